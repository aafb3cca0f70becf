# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Booting a guest, which under load may take two attempts.

Emulated processors lose a timer once in some hundred boots on a busy machine: both are idle then, and the kernel waits
for ever. That says nothing about what the guest was booted for. A guest that crashes is not booted again.
"""

from __future__ import annotations

import contextlib

from . import accelerator, ui
from .config import Options
from .errors import Stuck
from .guest import Guest
from .workshop import Workshop


def boot(workshop: Workshop, options: Options, step: str = "") -> Guest:
    """A guest that is ready for a command; Failure if there is none. step: what to announce it as, if at all."""
    accelerator.choose(workshop, options)
    try:
        return _once(workshop, options, step)
    except Stuck as stuck:
        ui.say(f"{stuck}\nIt got stuck; trying once more.")
        return _once(workshop, options, step)


def _once(workshop: Workshop, options: Options, step: str) -> Guest:
    guest = Guest(workshop, options, workshop.new_log())
    with ui.step(step) if step else contextlib.nullcontext():
        guest.boot()
    return guest
