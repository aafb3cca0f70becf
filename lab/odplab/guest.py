# SPDX-License-Identifier: GPL-2.0 OR MIT
"""A guest: starts virtiofsd and QEMU, and runs commands in it, one after the other.

Speaks with lab/guest/agent.cpp (whose header describes the protocol) over sockets that QEMU inherits. One
poll loop serves them all: console, monitor, control port, and the streams of the command. It never blocks
on a stream that the user does not drain, so the console is watched and time-outs hold at any time.
"""

from __future__ import annotations

import itertools
import os
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from . import disks, qemu
from .config import Options
from .console import Console
from .errors import SPLAT, Failure, Stuck
from .streams import Input, Output, Window
from .variant import release_of
from .workshop import SHARE, TREE, Workshop

# A boot takes about 7 s under TCG; a loaded host may be several times slower.
BOOT_LIMIT = 120.0
# How long a hung guest may take to print its state.
DUMP_LIMIT = 3.0
# How long the kernel may take to print what it said before a command ended. More than a moment only if the log is
# flooded, and then what was seen has to do.
LOG_LIMIT = 10.0


@dataclass
class Result:
    """How a command ended: status is None when the guest died first or the command was late. Reports are the
    kernel's, and state is what the guest was doing when the command was late."""

    status: Optional[int]
    timed_out: bool
    reports: list[list[str]]
    state: list[str]


class Guest:
    """Construct, boot(), run() as often as wanted, stop(). The end of the lab ends it too."""

    # Names for sockets in the workshop's own /run, which ends with it.
    numbers = itertools.count()

    def __init__(self, workshop: Workshop, options: Options, log: Path):
        self.workshop = workshop
        self.options = options
        self.console = Console(log)
        self.qemu_log = log.with_suffix(".qemu")
        self.poll = selectors.PollSelector()
        self.ends: dict[str, socket.socket] = {}
        self.lines: list[str] = []
        self.partial = b""
        self.dead = False
        self.commands = 0
        self.processes: list[subprocess.Popen] = []
        self.outputs: dict[str, Output] = {}

    # Starting

    def boot(self) -> None:
        """Return when the guest's agent is ready for a command; Failure if it does not get there."""
        self._start()
        self._wait_until(lambda: "ready" in self.lines, BOOT_LIMIT * self.options.patience)
        if "ready" not in self.lines:
            self._boot_failed()
        self.lines.remove("ready")
        self.outputs = {name: Output(self.ends[name]) for name in ("stdout", "stderr")}

    def reaches(self, sentence: str, limit: float) -> bool:
        """Boot only as far as this sentence on the console, for at most limit seconds; then stop."""
        self._start()
        self._wait_until(lambda: sentence in self.console.sentences, limit)
        self.stop()
        return sentence in self.console.sentences

    def _start(self) -> None:
        shares = {"root": self._serve("root", TREE, ["--cache", "always", "--no-announce-submounts"])}
        if self.options.share:
            # Nothing is cached, so that both sides see at once what the other wrote.
            shares["share"] = self._serve("share", SHARE, ["--cache", "never", "--allow-mmap"])
        images = disks.make_disks(self.workshop)
        memory = disks.make_memory(self.workshop, self.options)
        theirs = {}
        for name in ("console", "monitor", *qemu.PORTS):
            ours, other = socket.socketpair()
            ours.setblocking(False)
            self.ends[name], theirs[name] = ours, other
        line = qemu.command(
            self.options,
            release_of(self.workshop, self.options.kernel),
            shares,
            {name: other.fileno() for name, other in theirs.items()},
            memory,
            images,
        )
        with open(self.qemu_log, "wb") as errors:
            self.qemu = self.workshop.start(
                line,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[memory, *images, *(other.fileno() for other in theirs.values())],
            )
        self.processes.append(self.qemu)
        for other in theirs.values():
            other.close()
        for image in (memory, *images):
            os.close(image)
        for name in ("console", "monitor", "control"):
            self.poll.register(self.ends[name], selectors.EVENT_READ, name)
        self.ends["monitor"].send(b'{"execute":"qmp_capabilities"}\n')

    def _serve(self, tag: str, directory: str, arguments: list[str]) -> str:
        """Start a virtiofsd on a socket that is already listening, so that QEMU can connect at once."""
        path = f"/run/{tag}-{next(self.numbers)}.socket"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(f"{self.workshop.root}{path}")
        listening.listen(1)
        with open(self.qemu_log, "ab") as errors:
            self.processes.append(
                self.workshop.start(
                    ["/usr/libexec/virtiofsd", "--fd", str(listening.fileno()), "--shared-dir", directory,
                     "--sandbox", "none", "--log-level", "error", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=[listening.fileno()],
                )
            )  # fmt: skip
        listening.close()
        return path

    def _boot_failed(self) -> None:
        crashed = self.dead
        if not crashed:
            self.dump()
        self.stop()
        said = self.qemu_log.read_text(errors="replace").splitlines()
        # Its own sentences tell most; without any, what the kernel said last.
        shown = [*(self.console.sentences or self.console.tail()), *said]
        where = f"its whole console is in {self.console.log}"
        kind = Failure if crashed else Stuck
        raise kind("\n".join([f"the guest did not boot. It said the following; {where}.", *shown]), SPLAT)

    # The loop

    def _wait_until(self, done: Callable[[], bool], limit: Optional[float]) -> bool:
        """Serve everything until done() or the guest is dead. False if the limit (seconds) passed first."""
        deadline = None if limit is None else time.monotonic() + limit
        while not done() and not self.dead:
            wait = 0.5
            if deadline is not None:
                wait = min(wait, deadline - time.monotonic())
                if wait <= 0:
                    return False
            for key, events in self.poll.select(wait):
                self._serve_event(key.data, events)
        return True

    def _serve_event(self, what: object, events: int) -> None:
        if what == "console":
            self._read_console()
        elif what == "monitor":
            self._receive("monitor")
        elif what == "control":
            received = (self.partial + self._receive("control")).split(b"\n")
            self.partial = received.pop()
            self.lines += [line.decode() for line in received]
        else:
            what.serve(self.poll, events)  # type: ignore[attr-defined]

    def _receive(self, name: str) -> bytes:
        try:
            data = self.ends[name].recv(65536)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            data = b""
        if not data:
            self.poll.unregister(self.ends[name])
            # QEMU holds the other end of the console until it exits.
            self.dead = self.dead or name == "console"
        return data

    def _read_console(self) -> None:
        data = self._receive("console")
        if data:
            self.console.feed(data)

    # Commands

    def run(
        self,
        argv: list[str],
        stdout: object,
        stderr: object,
        stdin: Optional[int] = None,
        timeout: Optional[float] = None,
        terminal: Optional[int] = None,
    ) -> Result:
        """Run argv and wait for its end. stdout, stderr: a descriptor or a bytearray. terminal: the user's, for
        a command that gets one of its own."""
        seen = len(self.console.reports)
        self.commands += 1
        flags = ("i" if stdin is not None else "") + ("t" if terminal is not None else "")
        window = Window(terminal) if terminal is not None else None
        rows, columns = window.size if window else (0, 0)
        self.outputs["stdout"].attach(self.poll, stdout)
        self.outputs["stderr"].attach(self.poll, stderr)
        self._send("run", flags, rows, columns, os.environ.get("TERM", "dumb"), *argv)
        source = Input(self.poll, stdin, self.ends["stdin"]) if stdin is not None else None

        def ended() -> bool:
            if window and window.changed():
                self._send("window", *window.size)
            return any(line.startswith("exit ") for line in self.lines)

        in_time = self._wait_until(ended, timeout)
        if source:
            source.close(self.poll)
        status, state = None, []
        if in_time and not self.dead:
            status = self._collect_exit()
        elif not in_time:
            state = self.dump()
        for output in self.outputs.values():
            output.detach(self.poll)
        return Result(status, not in_time, self.console.reports[seen:], state)

    def _collect_exit(self) -> int:
        """Take the exit message, then the output and the kernel messages that were still on their way."""
        line = next(line for line in self.lines if line.startswith("exit "))
        self.lines.remove(line)
        status, out, error = map(int, line.split()[1:])
        wanted = {"stdout": out, "stderr": error}
        self._wait_until(lambda: all(o.complete(wanted[name]) for name, o in self.outputs.items()), None)
        self._wait_until(lambda: self.console.commands_ended == self.commands, LOG_LIMIT)
        return status

    def _send(self, *fields: object) -> None:
        body = b"".join(os.fsencode(str(field)) + b"\0" for field in fields)
        message = str(len(body)).encode() + b"\n" + body
        control = self.ends["control"]
        control.setblocking(True)
        try:
            control.sendall(message)
        except OSError:
            self.dead = True
        control.setblocking(False)

    def dump(self) -> list[str]:
        """Have the guest print what it is doing: by its agent, or if that does not answer, by an NMI."""
        before, lines = self.console.received, self.console.lines
        self._send("dump")
        self._wait_until(lambda: False, DUMP_LIMIT)
        if self.console.received == before and not self.dead:
            self.ends["monitor"].send(b'{"execute":"inject-nmi"}\n')
            self._wait_until(lambda: False, DUMP_LIMIT)
        return self.console.since(lines)

    # Ending

    def stop(self) -> None:
        """Switch the guest off, without ceremony: nothing in it is kept."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        while not self.dead:
            self._read_console()
        self.console.close()

    def forget_logs(self) -> None:
        """For a guest about which there is nothing to tell."""
        self.console.log.unlink()
        self.qemu_log.unlink()
