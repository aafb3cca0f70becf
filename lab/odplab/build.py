# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Builds what a guest needs, in the lab's root, into /build: the agent, the kernel modules, the user space.

Each build is incremental and silent when it has nothing to do. The kernel's make takes seconds to find
that out, so it is asked only when a file below kernel/ is newer than its last success. CMake and ninja
find out in a fraction of a second and are always asked.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import ui
from .config import STOCK
from .errors import Failure
from .lock import Lock
from .variant import Variant, release_of
from .workshop import Workshop

DRIVERS = {"mirror": ("odp_mirror.ko", "rdma_rxe.ko", "odp_mirror_test.ko"), "upstream": ("rdma_rxe.ko",)}
CMAKE = ["cmake", "-S", "/src", "-B", "/build/user", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
         "-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]  # fmt: skip
AGENT = ["g++", "-std=c++23", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-static"]
FIX = "Correct the cause and run it again."


class Build:
    """The build directory of one checkout. Holds its lock while building; readers need none."""

    def __init__(self, workshop: Workshop, kernel: str = STOCK):
        self.workshop = workshop
        self.kernel = kernel
        self.source = workshop.paths.checkout
        self.output = workshop.paths.build
        self.logs = workshop.paths.logs

    def everything(self, tests: bool = False) -> None:
        """tests: their programs too."""
        if self.kernel != STOCK:
            Variant(self.workshop, self.kernel).ensure()
        lock = Lock(self.output / "build.lock", waiting="another odplab builds this checkout; waiting for it.")
        try:
            self._agent()
            self._kernel(release_of(self.workshop, self.kernel), self.workshop.kernels.run_source)
            self._user("all" if tests else "programs")
        finally:
            lock.release()

    def _agent(self) -> None:
        source = self.source / "lab/guest/agent.cpp"
        program = self.output / "lab/agent"
        if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
            return
        program.parent.mkdir(exist_ok=True)
        with ui.step("building the guest's agent"):
            self.workshop.require(
                "building the guest's agent",
                [*AGENT, "-o", "/build/lab/agent.new", "/src/lab/guest/agent.cpp"],
                self.logs / "build-agent.log",
                FIX,
            )
        os.replace(self.output / "lab/agent.new", program)

    def kernel_environment(self, source: str) -> dict[str, str]:
        return {"ODP_KERNEL_SOURCE": f"/usr/src/{source}"}

    def _kernel(self, version: str, source: str) -> None:
        builder = self.source / "kernel/build"
        if not builder.exists():
            raise Failure(f"{builder} is missing; this checkout is not complete. Check it out again.")
        stamp = self.output / "lab/modules" / version / "stamp"
        if stamp.exists() and stamp.stat().st_mtime > newest(self.source / "kernel"):
            return
        # Taken before the build, so that a file that changes while it runs is built next time.
        begun = stamp.with_name("begun")
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.touch()
        with ui.step(f"building the kernel modules for {version}"):
            self.workshop.require(
                "building the kernel modules",
                ["/src/kernel/build", version],
                self.logs / "build-kernel.log",
                FIX,
                self.kernel_environment(source),
            )
        for driver, modules in DRIVERS.items():
            for module in modules:
                if not (self.output / "kernel" / version / driver / module).exists():
                    raise Failure(f"kernel/build succeeded but left no {driver}/{module}; it must, or must fail.")
                self._strip(f"{version}/{driver}", module)
        os.replace(begun, stamp)

    def _strip(self, directory: str, module: str) -> None:
        """A copy for the guest to load. Debug information is 15 of rxe's 16 MB, and half a second of each boot.
        It is replaced as a whole, because another run's guest may be reading it."""
        place = self.output / "lab/modules" / directory
        place.mkdir(exist_ok=True)
        self.workshop.require(
            f"stripping {module}",
            ["objcopy", "--strip-debug", f"/build/kernel/{directory}/{module}", f"/build/lab/modules/{directory}/new"],
            self.logs / "build-strip.log",
            FIX,
        )
        os.replace(place / "new", place / module)

    def _user(self, target: str) -> None:
        log = self.logs / "build-user.log"
        if not (self.output / "user/build.ninja").exists():
            with ui.step("configuring the user space"):
                self.workshop.require("configuring the user space", CMAKE, log, FIX)
        # With nothing to do this is over before anybody would read a line about it.
        pending = self.workshop.run(["ninja", "-C", "/build/user", "-n", target], log)
        if pending == 0 and b"no work to do" in log.read_bytes():
            return
        with ui.step("building the user space"):
            self.workshop.require("building the user space", ["ninja", "-C", "/build/user", target], log, FIX)


def newest(directory: Path) -> float:
    """The time of the last change below a directory: of a file's content, or of a name in a folder."""
    times = [directory.stat().st_mtime]
    for folder, folders, files in os.walk(directory):
        times += [os.lstat(os.path.join(folder, name)).st_mtime for name in folders + files]
    return max(times)
