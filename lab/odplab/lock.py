# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Locks of the cache: flock() on small files, so that death releases them.

`use` is held shared by everything that uses the cache and exclusively by `clean`. `setup` and each
build directory's `build` are held exclusively by who changes them. Order: use, setup, build.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from . import ui


class Lock:
    """Holds a lock from construction until release() or the death of the process."""

    def __init__(self, path: Path, shared: bool = False, waiting: str = "", block: bool = True):
        """waiting is said when someone else holds it. Without block, BlockingIOError is raised then."""
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self.fd, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if not block:
                    os.close(self.fd)
                    raise
                if waiting:
                    ui.say(waiting)
                fcntl.flock(self.fd, how)
            # clean may have removed the file between open and flock; such a lock protects nothing.
            try:
                if os.path.samestat(os.fstat(self.fd), os.stat(path)):
                    return
            except FileNotFoundError:
                pass
            os.close(self.fd)

    def release(self) -> None:
        os.close(self.fd)
