# SPDX-License-Identifier: GPL-2.0 OR MIT
"""clang-tidy on the user space, as .clang-tidy configures it in the folders.

A source takes about ten seconds, so one that passed is not looked at again before it, a header of ours that it
includes, how it is compiled or the root changes. What passed is kept in the cache, shared by all checkouts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .build import Build
from .workshop import Workshop

# Seconds that the cache remembers a source for which nobody asked.
KEPT = 30 * 24 * 3600.0


class Tidy:
    def __init__(self, workshop: Workshop, build: Build):
        self.workshop = workshop
        self.user = build.output / "user"
        self.checkout = workshop.paths.checkout
        self.configured = b""
        self.passed = workshop.paths.cache / "tidy"

    def run(self) -> str:
        """What is wrong with any source that was built; empty if nothing is."""
        self.passed.mkdir(exist_ok=True)
        for stamp in self.passed.iterdir():
            if stamp.stat().st_mtime < time.time() - KEPT:
                stamp.unlink()
        includes = self._includes()
        self.configured = b"".join(path.read_bytes() for path in sorted(self.checkout.rglob(".clang-tidy")))
        commands = json.loads((self.user / "compile_commands.json").read_text())
        stamps = {command["file"]: self._stamp(command, includes) for command in commands}
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            return "\n".join(filter(None, pool.map(self._one, stamps, stamps.values())))

    def _includes(self) -> dict[str, list[str]]:
        """Object file -> files of ours that it was made from, as ninja has them from the compiler."""
        process = self.workshop.start(["ninja", "-C", "/build/user", "-t", "deps"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, text=True)  # fmt: skip
        blocks = process.communicate()[0].split("\n\n")
        return {block.partition(": #deps")[0]: re.findall(r"^    /src/(.+)$", block, re.MULTILINE) for block in blocks}

    def _stamp(self, command: dict[str, str], includes: dict[str, list[str]]) -> Path:
        """The file that says that this source passed as it is. A source that was not compiled has no includes and is
        looked at each time."""
        key = hashlib.sha256(f"{self.workshop.root.name}\0{command['command']}".encode())
        key.update(self.configured)
        ours = includes.get(command["output"], [])
        for name in sorted(ours):
            key.update((self.checkout / name).read_bytes())
        return self.passed / (key.hexdigest() if ours else "unknown")

    def _one(self, file: str, stamp: Path) -> str:
        if stamp.exists():
            os.utime(stamp)
            return ""
        process = self.workshop.start(["clang-tidy", "-p", "/build/user", "--quiet", file], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        said, complaint = process.communicate()
        if process.returncode == 0:
            if stamp.name != "unknown":
                stamp.touch()
            return ""
        return said.strip() or f"clang-tidy on {file} ended with status {process.returncode}:\n{complaint}"
