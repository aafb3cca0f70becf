# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab patches DIR`: the conversion of rxe as a patch series that `git am` takes."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import ui
from .build import Build
from .errors import UNUSABLE, Failure
from .workshop import Workshop


def check(directory: Path) -> None:
    """Refuse a directory in which old patches would mix with new ones."""
    if directory.exists() and not directory.is_dir():
        raise Failure(f"{directory} exists and is not a directory; name another.", UNUSABLE)
    if directory.is_dir() and list(directory.glob("*.patch")):
        raise Failure(f"{directory} has patches in it already; name another directory, or remove them.", UNUSABLE)


def patches(workshop: Workshop, directory: Path) -> int:
    maker = workshop.paths.checkout / "kernel/rxe/make-series"
    if not maker.exists():
        raise Failure(f"{maker} is missing; this checkout is not complete. Check it out again.")
    build, kernels = Build(workshop), workshop.kernels
    target = workshop.paths.build / "patches"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    workshop.require(
        "making the patch series",
        ["/src/kernel/rxe/make-series", kernels.run, "/build/patches"],
        workshop.paths.logs / "patches.log",
        "Correct the cause and run it again.",
        build.kernel_environment(kernels.run_source),
    )
    made = sorted(target.glob("*.patch"))
    if not made:
        raise Failure("make-series succeeded but left no *.patch file; it must leave some, or fail.")
    directory.mkdir(parents=True, exist_ok=True)
    for patch in made:
        shutil.copy(patch, directory)
    ui.say(f"{len(made)} patches for Linux {kernels.run.split('+')[0]} are in {directory}.")
    return 0
