# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Private namespaces, so that whatever the lab starts or mounts ends with the lab.

The lab is two processes. The outer one is what the user started; it only waits. The inner one is
process 1 of a new PID namespace and has its own mount namespace; it does all the work. When the inner
one dies, for whatever reason, the kernel kills every process below it and drops every mount. It dies
with the outer one (PR_SET_PDEATHSIG), so even `kill -9` of the lab leaves nothing behind. Locks are
flock()s, which go the same way.

A signal to the outer process kills the inner one at once: there is nothing in it worth an orderly end,
because a guest is thrown away anyhow and set-up works in a directory that only a finished set-up renames (and
that the outer process removes).
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Callable

from .errors import UNUSABLE, Failure

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
PR_SET_PDEATHSIG = 1

FATAL_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

libc = ctypes.CDLL(None, use_errno=True)


def _unshare(namespace: int) -> None:
    if libc.unshare(namespace) != 0:
        why = os.strerror(ctypes.get_errno())
        raise Failure(
            f"cannot make private mount and PID namespaces: {why}. "
            "In a container, give it CAP_SYS_ADMIN (for example --privileged).",
            UNUSABLE,
        )


def _inner(alive: int, work: Callable[[], int]) -> int:
    """Process 1 of the new PID namespace. The mount namespace is its own only: the outer process sees no mount of
    the lab's, and so cannot reach through one when it removes something."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The outer process may have died before prctl(): its end of the pipe is closed then.
    if select.select([alive], [], [], 0)[0]:
        return UNUSABLE
    # The kernel drops default-action signals to process 1; its children still get the default.
    for number in FATAL_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _unshare(CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    # A /proc of the new PID namespace, so that /proc/self means what its readers expect.
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    return work()


def enter(work: Callable[[], int], tidy: Callable[[], None]) -> int:
    """Run work() in private namespaces; its return value is the lab's exit status.

    A fatal signal kills everything inside, and then this process too, so that its caller sees the signal. The
    terminal is restored, and tidy() called outside of the namespaces, however the work ended.
    """
    terminal = None
    if sys.stdin is not None and sys.stdin.isatty():
        terminal = termios.tcgetattr(sys.stdin)
    _unshare(CLONE_NEWPID)
    alive, kept = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    inner = os.fork()
    if inner == 0:
        status = UNUSABLE
        try:
            os.close(kept)
            status = _inner(alive, work)
            sys.stdout.flush()
        except BrokenPipeError:
            status = 128 + signal.SIGPIPE
        except Failure as failure:
            print(f"odplab: {failure}", file=sys.stderr)
            status = failure.status
        except BaseException:  # the process must not return into the caller's stack
            sys.excepthook(*sys.exc_info())
            status = 70
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(alive)

    caught: list[int] = []

    def stop(number: int, _frame: object) -> None:
        caught.append(number)
        os.kill(inner, signal.SIGKILL)

    for number in FATAL_SIGNALS:
        signal.signal(number, stop)
    _, how = os.waitpid(inner, 0)
    if terminal is not None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)
    tidy()
    if caught:
        signal.signal(caught[0], signal.SIG_DFL)
        os.kill(os.getpid(), caught[0])
    return os.waitstatus_to_exitcode(how) if os.WIFEXITED(how) else 128 + os.WTERMSIG(how)


def mount(*arguments: object) -> None:
    """mount(8), with its message on failure."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"cannot mount {arguments[-1]}: {done.stderr.strip()}")


def bind(source: Path, target: Path, read_only: bool) -> None:
    mount("--bind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)
