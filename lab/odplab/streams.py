# SPDX-License-Identifier: GPL-2.0 OR MIT
"""A command's streams, each between a guest port and the user, served by the guest's poll loop.

Input and Output hold at most one buffer and do not read more before it is written, so memory is bounded
and a stopped reader stops the writer in the guest. The user's descriptors may be shared with other
processes, so they are never made non-blocking: poll() promises room for PIPE_BUF bytes in a pipe, and no
more than that is written at once.
"""

from __future__ import annotations

import fcntl
import os
import select
import selectors
import socket
import stat
import struct
import termios
from typing import Union

CHUNK = 65536


class Output:
    """From a port to a descriptor or a bytearray. Lives as long as the guest; attach() gives it a sink per command."""

    def __init__(self, port: socket.socket):
        self.port = port
        self.sink: Union[int, bytearray, None] = None
        self.pending = b""
        self.received = 0

    def attach(self, poll: selectors.BaseSelector, sink: object) -> None:
        self.sink = sink  # type: ignore[assignment]
        poll.register(self.port, selectors.EVENT_READ, self)

    def detach(self, poll: selectors.BaseSelector) -> None:
        """Pass on what can be had at once: a guest that died may have left some."""
        if self.port in poll.get_map():
            poll.unregister(self.port)
        elif isinstance(self.sink, int) and self.sink in poll.get_map():
            poll.unregister(self.sink)
        while self.pending or self._receive():
            self._write(len(self.pending))

    def complete(self, received: int) -> bool:
        return self.received >= received and not self.pending

    def serve(self, poll: selectors.BaseSelector, events: int) -> None:
        if not self.pending:
            if not self._receive():
                # Nothing to read although poll() says so: the port has closed.
                poll.unregister(self.port)
                return
            if isinstance(self.sink, int) and _pollable(self.sink):
                poll.unregister(self.port)
                poll.register(self.sink, selectors.EVENT_WRITE, self)
                return
            self._write(len(self.pending))
        else:
            self._write(select.PIPE_BUF)
            if not self.pending:
                poll.unregister(self.sink)  # type: ignore[arg-type]
                poll.register(self.port, selectors.EVENT_READ, self)

    def _receive(self) -> bool:
        try:
            self.pending = self.port.recv(CHUNK)
        except (BlockingIOError, ConnectionResetError):
            return False
        self.received += len(self.pending)
        return bool(self.pending)

    def _write(self, most: int) -> None:
        if isinstance(self.sink, bytearray):
            self.sink += self.pending
            self.pending = b""
        else:
            written = os.write(self.sink, self.pending[:most])  # type: ignore[arg-type]
            self.pending = self.pending[written:]


class Input:
    """From a descriptor to the guest's stdin port, whose end the guest sees when the descriptor ends."""

    def __init__(self, poll: selectors.BaseSelector, source: int, port: socket.socket):
        self.source = source
        self.port = port
        self.pending = b""
        poll.register(source, selectors.EVENT_READ, self)

    def serve(self, poll: selectors.BaseSelector, events: int) -> None:
        if self.pending:
            try:
                self.pending = self.pending[self.port.send(self.pending) :]
            except OSError:
                self.close(poll)
                return
            if not self.pending:
                poll.unregister(self.port)
                poll.register(self.source, selectors.EVENT_READ, self)
            return
        try:
            self.pending = os.read(self.source, CHUNK)
        except OSError:  # a terminal that belongs to someone else, for a lab in the background
            self.pending = b""
        poll.unregister(self.source)
        if self.pending:
            poll.register(self.port, selectors.EVENT_WRITE, self)
        else:
            self.port.shutdown(socket.SHUT_WR)

    def close(self, poll: selectors.BaseSelector) -> None:
        for one in (self.source, self.port):
            if one in poll.get_map():
                poll.unregister(one)


class Window:
    """The size of the user's terminal, and whether it changed since it was last asked for."""

    def __init__(self, terminal: int):
        self.terminal = terminal
        self.size = self._ask()

    def _ask(self) -> tuple[int, int]:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(self.terminal, termios.TIOCGWINSZ, bytes(8)))
        return rows, columns

    def changed(self) -> bool:
        before, self.size = self.size, self._ask()
        return self.size != before


def _pollable(fd: int) -> bool:
    """Pipes, sockets and terminals can make a writer wait; a file or /dev/null cannot."""
    kind = os.fstat(fd).st_mode
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or os.isatty(fd)
