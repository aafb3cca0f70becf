# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Where things are and what a run was asked for: the two records that all other modules take.

Paths knows the cache's layout (docs/lab.md describes it), Options a guest's parameters.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .errors import UNUSABLE, Failure

MIB = 1024 * 1024

# What --kernel takes: the distribution's kernel, and those that the lab builds itself (variant.py).
STOCK = "stock"
KERNELS = (STOCK, "debug", "kcsan")

# Below these the guest does not boot, or mkfs.xfs refuses the pmem region.
MINIMUM_MEMORY = 512 * MIB
MINIMUM_PMEM = 320 * MIB
# A region must start and end on a section that memory hotplug can handle.
PMEM_UNIT = 16 * MIB
# The second NUMA node: first a region of persistent memory that nobody formatted, for device-dax, then RAM to
# migrate to and from.
FAR_PMEM = 320 * MIB
FAR_MEMORY = 128 * MIB


class Paths:
    """The checkout, the cache, and what is in it."""

    def __init__(self, checkout: Path, cache: Path):
        self.checkout = checkout
        self.cache = cache
        self.use_lock = cache / "use.lock"
        self.setup_lock = cache / "setup.lock"
        self.logs = cache / "log"
        self.ccache = cache / "ccache"
        self.accelerator = cache / "accelerator.json"
        self.pycache = cache / "pycache"
        # Each kernel has a root of its own. Empty for the newest.
        self.wanted_kernel = os.environ.get("ODPLAB_KERNEL", "")
        root_key = self._root_key()
        self.root = cache / f"root-{root_key}"
        # What was built in one root is not mixed with what another root's compiler builds.
        build_key = hashlib.sha256(f"{checkout}\0{root_key}".encode()).hexdigest()[:12]
        self.build = cache / f"build-{build_key}"

    def _root_key(self) -> str:
        """The root's content follows from these files, so their content is its name."""
        key = hashlib.sha256(self.wanted_kernel.encode())
        for name in ("packages", "finish-root", "odplab/recipe.py", "odplab/kernel.py"):
            key.update((self.checkout / "lab" / name).read_bytes())
        return key.hexdigest()[:12]


@dataclass(frozen=True)
class Kernels:
    """What set-up resolved, as recorded in the root. Versions are complete: 7.2.12+deb13-cloud-amd64."""

    run: str
    run_source: str
    build_only: Optional[str]
    build_only_source: Optional[str]

    RECORD = "etc/odplab.json"

    @classmethod
    def read(cls, root: Path) -> "Kernels":
        return cls(**json.loads((root / cls.RECORD).read_text()))

    def write(self, root: Path) -> None:
        (root / self.RECORD).write_text(json.dumps(self.__dict__, indent=1) + "\n")


@dataclass
class Options:
    """One guest. Sizes are bytes."""

    kernel: str = STOCK
    rxe: str = "mirror"
    smp: int = 2
    memory: int = 2048 * MIB
    pmem: int = 512 * MIB
    icount: bool = False
    share: Optional[Path] = None
    timeout: Optional[float] = None
    mtu: int = 1500
    verbose: bool = False
    accelerator: str = "tcg"
    probe: bool = False

    @property
    def patience(self) -> float:
        """By how much limits on time are longer than for the stock kernel."""
        return 1.0 if self.kernel == STOCK else 4.0

    @property
    def near_memory(self) -> int:
        """The first NUMA node's, in which all processors are, with two regions of pmem."""
        return self.memory - FAR_MEMORY + 2 * self.pmem

    @property
    def far_start(self) -> int:
        """Guest physical address of the second node."""
        return 4096 * MIB + self.near_memory - self.memory_below_4g

    @property
    def memory_below_4g(self) -> int:
        """Also where in the guest's memory the pmem regions begin: they are the first thing above 4 GiB."""
        return min(self.memory - FAR_MEMORY, 2048 * MIB)


def parse_size(text: str, option: str, minimum: int) -> int:
    """512M, 2G: a whole number of PMEM_UNIT, because both memory and pmem are placed in such units."""
    match = re.fullmatch(r"([0-9]+)([MG])", text)
    if not match:
        raise Failure(f"{option} {text}: write a size as a whole number and M or G, such as 512M or 2G.", UNUSABLE)
    size = int(match[1]) * (MIB if match[2] == "M" else 1024 * MIB)
    if size < minimum or size % PMEM_UNIT:
        raise Failure(
            f"{option} {text}: must be at least {minimum // MIB}M and a multiple of {PMEM_UNIT // MIB}M.", UNUSABLE
        )
    return size
