# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Set-up: makes the lab's root file system, once, and never trusts a half-made one.

mmdebstrap installs everything in one go (recipe.py) into a directory with another name, extract_elf() prepares
its kernel for booting, the record of what was resolved is written last, and a rename makes it the root.
Whatever an interrupted or failed set-up leaves has the other name. It is removed as the lab ends, or if that
was by SIGKILL, by the next set-up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import kernel, mirror, recipe, ui
from .config import MIB, Kernels, Paths
from .errors import FAILED, UNUSABLE, Failure
from .lock import Lock
from .workshop import show_tail

SPACE_NEEDED = 6144 * MIB

def unfinished(root: Path) -> Path:
    return root.with_name(root.name + ".unfinished")


def ensure(paths: Paths) -> None:
    """Make the root if it is not there."""
    if (paths.root / Kernels.RECORD).exists():
        return
    lock = Lock(paths.setup_lock, waiting="another odplab is setting something up; waiting for it.")
    try:
        if not (paths.root / Kernels.RECORD).exists():
            _make(paths)
    finally:
        lock.release()


def remove_unfinished(paths: Paths) -> None:
    """Remove what an interrupted set-up, or build of a kernel, left, unless one is going on right now."""
    try:
        lock = Lock(paths.setup_lock, block=False)
    except BlockingIOError:
        return
    remove_leftovers(paths)
    lock.release()


def remove_leftovers(paths: Paths) -> None:
    """The same with the setup lock held."""
    for pattern in ("root-*.unfinished", "kernel-*.unfinished"):
        for leftover in paths.cache.glob(pattern):
            _require_no_mounts(leftover)
            with ui.step(f"removing {leftover.name}, which an interrupted set-up left"):
                shutil.rmtree(leftover)


def _require_no_mounts(directory: Path) -> None:
    """Removing a tree with something mounted in it would empty what is mounted there, such as /dev."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(f"{directory}/"):
            raise Failure(
                f"{directory} is left from an interrupted set-up and has mounts in it; unmount them first.", UNUSABLE
            )


def _make(paths: Paths) -> None:
    remove_leftovers(paths)
    require_space(paths.cache, SPACE_NEEDED, "the lab")
    keyring = mirror.keyring()
    with ui.step("finding the package mirror and the newest kernel"):
        uri = mirror.find()
        choice = kernel.resolve(uri, paths.wanted_kernel)
    ui.say(f"packages come from {uri}; the kernel is {choice.kernels.run}")
    paths.logs.mkdir(parents=True, exist_ok=True)
    root = unfinished(paths.root)
    log = paths.logs / "setup.log"
    with ui.step("making the lab's root from about 400 Debian packages, once"):
        _debootstrap(recipe.command(paths.checkout, root, keyring, uri, choice), log)
        kernel.extract_elf(root, choice.kernels.run)
    choice.kernels.write(root)
    os.sync()
    os.rename(root, paths.root)


def _debootstrap(line: list[str], log: Path) -> None:
    # mmdebstrap starts Python by its name, and the user's PATH may have another one first.
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with open(log, "wb") as output:
        made = subprocess.run(
            line, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    if made.returncode != 0:
        show_tail(log)
        raise Failure(
            f"making the root failed; the end of mmdebstrap's output is above, all of it in {log}. "
            "If packages could not be fetched, try again or name another mirror by ODPLAB_MIRROR.",
            FAILED,
        )


def require_space(cache: Path, needed: int, purpose: str) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise Failure(
            f"{cache} has {free // MIB} MiB free and {purpose} needs {needed // MIB}. "
            "Free some, or set XDG_CACHE_HOME to a directory on another disk.",
            UNUSABLE,
        )
