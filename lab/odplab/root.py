# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Set-up: makes the lab's root file system, once, and never trusts a half-made one.

mmdebstrap installs everything in one go into a directory with another name, lab/finish-root and
extract_elf() prepare it for booting, the record of what was resolved is written last, and a rename makes it
the root. Whatever an interrupted set-up left has the other name and is removed by the next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import kernel, mirror, ui
from .config import MIB, Kernels, Paths
from .errors import FAILED, UNUSABLE, Failure
from .lock import Lock
from .workshop import show_tail

SPACE_NEEDED = 6144 * MIB

# Only the kernel is wanted from backports; everything else stays with the stable release.
PREFERENCES = f"""Package: src:linux src:linux-base
Pin: release n={mirror.BACKPORTS}
Pin-Priority: 600
"""

# Nobody reads manuals in the guest, and they are a tenth of the files.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


def wanted_packages(paths: Paths) -> list[str]:
    lines = (paths.checkout / "lab/packages").read_text().splitlines()
    return [words[0] for words in (line.split("#")[0].split() for line in lines) if words]


def unfinished(root: Path) -> Path:
    return root.with_name(root.name + ".unfinished")


def ensure(paths: Paths) -> None:
    """Make the root if it is not there."""
    if (paths.root / Kernels.RECORD).exists():
        return
    lock = Lock(paths.setup_lock, waiting="another odplab is making the lab's root; waiting for it.")
    try:
        if not (paths.root / Kernels.RECORD).exists():
            _make(paths)
    finally:
        lock.release()


def _make(paths: Paths) -> None:
    for leftover in paths.cache.glob("root-*.unfinished"):
        with ui.step(f"removing {leftover.name}, which an interrupted set-up left"):
            shutil.rmtree(leftover)
    _require_space(paths.cache)
    keyring = mirror.keyring()
    with ui.step("finding the package mirror and the newest kernel"):
        uri = mirror.find()
        choice = kernel.resolve(uri)
    ui.say(f"packages come from {uri}; the kernel is {choice.kernels.run}")
    paths.logs.mkdir(parents=True, exist_ok=True)
    root = unfinished(paths.root)
    log = paths.logs / "setup.log"
    with ui.step("making the lab's root from about 400 Debian packages, once"):
        with open(log, "wb") as output:
            made = subprocess.run(
                _mmdebstrap(paths, root, keyring, uri, choice),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
    if made.returncode != 0:
        show_tail(log)
        shutil.rmtree(root, ignore_errors=True)
        raise Failure(
            f"making the root failed; the end of mmdebstrap's output is above, all of it in {log}. "
            "If packages could not be fetched, try again or name another mirror by ODPLAB_MIRROR.",
            FAILED,
        )
    kernel.extract_elf(root, choice.kernels.run)
    choice.kernels.write(root)
    os.sync()
    os.rename(root, paths.root)


def _require_space(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < SPACE_NEEDED:
        raise Failure(
            f"{cache} has {free // MIB} MiB free and the lab needs {SPACE_NEEDED // MIB}. "
            "Free some, or set XDG_CACHE_HOME to a directory on another disk.",
            UNUSABLE,
        )


def _mmdebstrap(paths: Paths, root: Path, keyring: Path, uri: str, choice: kernel.Choice) -> list[str]:
    packages = wanted_packages(paths) + choice.packages
    line = ["mmdebstrap", "--mode=root", "--variant=minbase", "--architectures=amd64", f"--keyring={keyring}"]
    line += [f"--include={','.join(packages)}"]
    line += [f"--aptopt={option}" for option in mirror.apt_options()]
    line += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    line += ['--setup-hook=mkdir -p "$1/etc/apt/preferences.d"']
    line += [f"--setup-hook=printf '%s' '{PREFERENCES}' >\"$1/etc/apt/preferences.d/odplab\""]
    line += [f"--customize-hook=cp '{paths.checkout}/lab/finish-root' \"$1/finish-root\""]
    line += [f'--customize-hook=chroot "$1" /finish-root {choice.kernels.run}']
    line += ['--customize-hook=rm "$1/finish-root"']
    return [*line, mirror.SUITE, str(root), *mirror.sources(uri)]
