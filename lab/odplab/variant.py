# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Kernels that the lab builds itself: `--kernel debug` and `--kernel kcsan`.

Each is the distribution's source of the stock kernel's version, with the stock kernel's configuration reduced to
what a guest needs and the options of lab/kernels/KIND.config. It is built once, when it is first asked for,
and kept in the cache under a name that is a hash over all that it is made from; that name is also part of
its release, so modules of another one do not load. As with the root (root.py), a build works under another name
and renames at the end; what an interrupted one leaves is removed. The compiler's cache makes the next try quick.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

from . import root, sandbox, ui
from .config import MIB, STOCK, Paths
from .errors import FAILED, Failure
from .lock import Lock
from .workshop import Workshop, show_tail

# The source is 1.8 GiB, what is compiled from it about as much; 0.3 GiB are kept.
SPACE_NEEDED = 5120 * MIB
# Where a build takes place, as the root's programs see it.
PLACE = "/run/kernel"
PROGRESS = 60.0  # seconds
ADVICE = "Correct the cause and run it again; what was compiled is not compiled again."


def release_of(workshop: Workshop, kind: str) -> str:
    """What uname -r says in a guest with this kernel, whether it has been built or not."""
    return workshop.kernels.run if kind == STOCK else Variant(workshop, kind).release


class Variant:
    def __init__(self, workshop: Workshop, kind: str):
        self.workshop = workshop
        self.kind = kind
        self.fragments = [f"lab/kernels/{name}.config" for name in ("guest", kind)]
        key = self._key()
        # 7.2.12+deb13-cloud-amd64 is the distribution's build of 7.2.12.
        self.release = f"{workshop.kernels.run.split('+')[0]}-{kind}-{key}"
        self.tree = workshop.paths.cache / f"kernel-{kind}-{key}"

    def _key(self) -> str:
        """The kernel follows from these, so they are its name."""
        key = hashlib.sha256()
        for name in ("lab/kernels/make", *self.fragments):
            key.update((self.workshop.paths.checkout / name).read_bytes())
        key.update((self.workshop.root / self._base[1:]).read_bytes())
        installed = (self.workshop.root / "var/lib/dpkg/status").read_text()
        source = self.workshop.kernels.run_source.removesuffix(".tar.xz")
        for package in (re.escape(source), r"gcc-\d+", "binutils"):
            found = re.findall(rf"^Package: ({package})$(?:\n\S.*|\n .*)*?\nVersion: (.+)$", installed, re.MULTILINE)
            key.update(repr(sorted(found)).encode())
        return key.hexdigest()[:12]

    @property
    def _base(self) -> str:
        return f"/usr/lib/modules/{self.workshop.kernels.run}/config"

    def ensure(self) -> None:
        """Make it if it is not there, and have it appear beside the stock kernel."""
        paths = self.workshop.paths
        if not self.tree.exists():
            lock = Lock(paths.setup_lock, waiting="another odplab is setting something up; waiting for it.")
            try:
                if not self.tree.exists():
                    self._make(paths)
            finally:
                lock.release()
        self.workshop.add_kernel(self.release, self.tree / "modules")

    def _make(self, paths: Paths) -> None:
        root.remove_leftovers(paths)
        root.require_space(paths.cache, SPACE_NEEDED, f"building the {self.kind} kernel")
        ui.say(f"the {self.kind} kernel is not there yet; it is built once, in a quarter to half an hour on two processors.")
        unfinished = root.unfinished(self.tree)
        unfinished.mkdir()
        place = self.workshop.root / PLACE[1:]
        place.mkdir()
        sandbox.bind(unfinished, place, read_only=False)
        source = f"/usr/src/{self.workshop.kernels.run_source}"
        self._step("unpack", "unpacking the kernel's source", source)
        fragments = [f"/src/{name}" for name in self.fragments]
        self._step("configure", f"configuring the {self.kind} kernel", self._base, *fragments)
        self._step("compile", f"compiling the {self.kind} kernel", self.release)
        self._step("install", f"installing the {self.kind} kernel in the cache", self.release)
        unfinished.rename(self.tree)

    def _step(self, name: str, text: str, *arguments: str) -> None:
        log = self.workshop.paths.logs / f"kernel-{self.kind}-{name}.log"
        line = ["/bin/sh", "-c", f'cd {PLACE} && exec /src/lab/kernels/make "$@"', "make", name, *arguments]
        with ui.step(text), open(log, "wb") as output:
            process = self.workshop.start(line, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            while process.poll() is None:
                try:
                    process.wait(PROGRESS)
                except subprocess.TimeoutExpired:
                    ui.progress(f"{text}: {compiled(log)} files so far")
            if process.returncode != 0:
                show_tail(log)
                raise Failure(f"{text} failed; the end of its output is above, all of it in {log}. {ADVICE}", FAILED)


def compiled(log: Path) -> int:
    """Files that a kernel's make has compiled according to its output."""
    return len(re.findall(rb"^  (?:CC|AS|LD)\b", log.read_bytes(), re.MULTILINE))
