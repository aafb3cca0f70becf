# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab demo`: the main job, first as mainline does it, then as this project does.

The two parts are programs of tests/demo on the guest's PATH; each gets a guest with its driver. What they
print is the demo.
"""

from __future__ import annotations

import dataclasses
import time

from . import ui
from .boot import boot
from .build import Build
from .config import Options
from .errors import FAILED
from .run import judge
from .workshop import Workshop

PARTS = (("upstream", "demo-mainline"), ("mirror", "demo-faultline"))
LIMIT = 300.0


def demo(workshop: Workshop, options: Options) -> int:
    begun = time.monotonic()
    Build(workshop, options.kernel).everything()
    limit = LIMIT * options.patience
    failed = False
    for rxe, program in PARTS:
        guest = boot(workshop, dataclasses.replace(options, rxe=rxe), f"booting a guest with the {rxe} driver")
        result = guest.run([program], stdout=1, stderr=2, timeout=limit)
        guest.stop()
        status = judge(result, guest, limit)
        if status != 0:
            ui.say(f"{program} ended with status {status}.")
            failed = True
        else:
            guest.forget_logs()
    ui.say(f"the demo took {time.monotonic() - begun:.0f} s.")
    return FAILED if failed else 0
