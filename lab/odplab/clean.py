# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab clean`: removes everything that the lab made, and only that.

What is removed is named here and not found by deleting the cache directory, so that nothing of anybody else's goes
with it. All of it is removed with the `use` lock held exclusively, so no run can be using it.
"""

from __future__ import annotations

import shutil

from . import ui
from .config import Paths
from .errors import UNUSABLE, Failure
from .lock import Lock

OURS = ("root-*", "kernel-*", "build-*", "disk-*", "ccache", "tidy", "log", "pycache", "accelerator*", "setup.lock", "use.lock")


def clean(paths: Paths) -> int:
    if not paths.cache.exists():
        return 0
    try:
        lock = Lock(paths.use_lock, block=False)
    except BlockingIOError:
        raise Failure(
            "an odplab is running and uses the cache; wait for it to end, or stop it, and clean again. "
            "Nothing was removed.",
            UNUSABLE,
        ) from None
    with ui.step(f"removing what the lab made in {paths.cache}"):
        for pattern in OURS:
            for path in paths.cache.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    lock.release()
    if not any(paths.cache.iterdir()):
        paths.cache.rmdir()
    return 0
