# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The lab's root as a place to work in: mounted read-only, with the checkout, the build directory and /proc.

Made once per run inside the sandbox, so there is nothing to undo. Programs of the root (compilers, QEMU,
virtiofsd) are started by chroot. A second, bare view of the root at TREE is what virtiofsd serves to the
guest: the same files, with /src and /build, but without this side's /proc, /dev and /tmp.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Optional

from . import sandbox, ui
from .config import Kernels, Paths
from .errors import FAILED, Failure

TREE = "/run/tree"
SHARE = "/run/share"
MODULES = "usr/lib/modules"

LOG_LINES_SHOWN = 15
LOGS_KEPT = 20


class Workshop:
    """Programs run in the root through start() and step()."""

    def __init__(self, paths: Paths, share: Optional[Path], verbose: bool = False):
        self.paths = paths
        self.root = paths.root
        self.kernels = Kernels.read(self.root)
        if verbose:
            ui.say(f"root: {self.root}; build: {paths.build}")
            ui.say(f"kernel: {self.kernels.run}, source: {self.kernels.run_source}")
            ui.say(f"also built on: {self.kernels.build_only or 'no other kernel'}")
        self._mount(share)

    def _mount(self, share: Optional[Path]) -> None:
        root, build = self.root, self.paths.build
        for directory in (build, self.paths.ccache, self.paths.logs):
            directory.mkdir(parents=True, exist_ok=True)
        # The share may lie inside a directory that is mounted over below, so it is bound first of all.
        sandbox.bind(root, root, read_only=True)
        sandbox.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "run")
        for directory in (TREE, SHARE):
            (root / directory[1:]).mkdir()
        tree = root / TREE[1:]
        if share is not None:
            sandbox.bind(share, root / SHARE[1:], read_only=False)
        sandbox.bind(root, tree, read_only=True)
        sandbox.bind(self.paths.checkout, tree / "src", read_only=True)
        sandbox.bind(build, tree / "build", read_only=True)
        sandbox.bind(self.paths.checkout, root / "src", read_only=True)
        sandbox.bind(build, root / "build", read_only=False)
        sandbox.bind(self.paths.ccache, root / "var/cache/ccache", read_only=False)
        sandbox.mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
        sandbox.mount("-t", "proc", "proc", root / "proc")
        sandbox.mount("--rbind", "/dev", root / "dev")

    def add_kernel(self, release: str, directory: Path) -> None:
        """Have this directory appear as /usr/lib/modules/RELEASE, for the root's programs and for the guest. The
        root has no place to mount it at, so a directory that has all kernels is put together elsewhere."""
        together = self.root / "run/modules"
        together.mkdir()
        existing = {place.name: place for place in (self.root / MODULES).iterdir()}
        for name, place in {**existing, release: directory}.items():
            (together / name).mkdir()
            sandbox.bind(place, together / name, read_only=True)
        for view in (self.root, self.root / TREE[1:]):
            sandbox.mount("--rbind", together, view / MODULES)

    def new_log(self) -> Path:
        """A name for the next console log; the oldest ones go."""
        logs = sorted(self.paths.logs.glob("console-*.log"), key=lambda log: log.stat().st_mtime)
        for old in logs[: 1 - LOGS_KEPT]:
            old.unlink(missing_ok=True)
            old.with_suffix(".qemu").unlink(missing_ok=True)
        return self.paths.logs / f"console-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}.log"

    def start(self, argv: list[str], environment: Optional[dict[str, str]] = None, **popen: object) -> subprocess.Popen:
        """Start a program of the root. It gets its own session, so that the terminal's Ctrl-C reaches the lab only."""
        clean = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "CCACHE_DIR": "/var/cache/ccache",
            **(environment or {}),
        }
        return subprocess.Popen(
            ["chroot", str(self.root), *argv], env=clean, cwd="/", start_new_session=True, **popen
        )  # type: ignore[call-overload]

    def run(self, argv: list[str], log: Path, environment: Optional[dict[str, str]] = None) -> int:
        """Run a program to its end, with its output in log."""
        with open(log, "wb") as output:
            process = self.start(
                argv, environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            return process.wait()

    def require(
        self, text: str, argv: list[str], log: Path, advice: str, environment: Optional[dict[str, str]] = None
    ) -> None:
        """Run a program that must succeed; its failure shows the end of its output and the advice."""
        if self.run(argv, log, environment) != 0:
            show_tail(log)
            raise Failure(f"{text} failed; the end of its output is above, all of it in {log}. {advice}", FAILED)


def show_tail(log: Path) -> None:
    for line in log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]:
        ui.say(f"| {line}")

