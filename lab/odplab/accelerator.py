# SPDX-License-Identifier: GPL-2.0 OR MIT
"""KVM where a guest really runs on it, otherwise TCG.

/dev/kvm proves nothing: inside another virtual machine it may accept a processor whose first instructions
fail. So the lab's own kernel is booted on it, up to user space, once per boot of this machine; the answer is
kept in the cache together with what it depends on.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from . import ui
from .config import Options
from .guest import Guest
from .workshop import Workshop

# Printed by lab/guest/init. On KVM this takes a second.
REACHED = "the probe reached user space"
LIMIT = 10.0


def choose(workshop: Workshop, options: Options) -> None:
    """Set options.accelerator. The instruction clock exists in TCG only."""
    if options.icount or not Path("/dev/kvm").exists():
        return
    facts = {
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "root": workshop.root.name,
    }
    kept = workshop.paths.accelerator
    try:
        known = json.loads(kept.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("facts") != facts:
        known = {"facts": facts, "accelerator": _probe(workshop)}
        new = kept.with_suffix(f".{workshop.root.name}.new")
        new.write_text(json.dumps(known) + "\n")
        new.replace(kept)
    options.accelerator = known["accelerator"]
    if options.verbose:
        ui.say(f"accelerator: {options.accelerator}")


def _probe(workshop: Workshop) -> str:
    log = workshop.paths.logs / "kvm-probe.log"
    with ui.step("trying whether a guest boots on KVM"):
        options = dataclasses.replace(Options(), accelerator="kvm", probe=True)
        works = Guest(workshop, options, log).reaches(REACHED, LIMIT)
    if works:
        return "kvm"
    ui.say(f"this machine has /dev/kvm, but no guest boots on it ({log}); using emulation (TCG), which is slower.")
    return "tcg"
