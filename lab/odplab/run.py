# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab run` and `odplab shell`: one guest, one command, its exit status."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Optional

from . import qemu, ui
from .boot import boot
from .build import Build
from .config import Options
from .errors import SPLAT, TIMED_OUT
from .guest import Guest, Result
from .variant import release_of
from .workshop import Workshop

def show_reports(result: Result, guest: Guest) -> None:
    for report in result.reports:
        ui.say("the guest's kernel reported:")
        for line in report:
            print(line, file=sys.stderr)
    ui.say(f"the whole console is in {guest.console.log}")


def judge(result: Result, guest: Guest, timeout: Optional[float]) -> int:
    """The lab's exit status for a command, after saying why if it is not the command's own."""
    if result.timed_out:
        ui.say(f"the command did not end within {timeout:g} s (--timeout); what the guest was doing:")
        for line in result.state:
            print(line, file=sys.stderr)
    elif result.status is None and not result.reports:
        ui.say("the guest ended before the command did; the end of its console:")
        for line in guest.console.tail():
            print(line, file=sys.stderr)
        said = guest.qemu_log.read_text(errors="replace").strip()
        if said:
            ui.say(f"QEMU said: {said}")
    if result.reports or result.timed_out or result.status is None:
        show_reports(result, guest)
        return TIMED_OUT if result.timed_out else SPLAT
    return result.status


def run(workshop: Workshop, options: Options, argv: list[str], interactive: bool) -> int:
    Build(workshop, options.kernel).everything()
    guest = boot(workshop, options)
    terminal = 0 if interactive and os.isatty(0) and os.isatty(1) else None
    result = guest.run(argv, stdout=1, stderr=2, stdin=0, timeout=options.timeout, terminal=terminal)
    guest.stop()
    status = judge(result, guest, options.timeout)
    if status == result.status:
        guest.forget_logs()
    return status


def dry_run(workshop: Workshop, options: Options) -> int:
    """Print QEMU's command as it would be run in the lab's root; descriptors are shown by what they are."""
    names = ("console", "monitor", *qemu.PORTS)
    shares = {"root": "/run/root.socket"}
    if options.share:
        shares["share"] = "/run/share.socket"
    kernel = release_of(workshop, options.kernel)
    line = qemu.command(options, kernel, shares, {n: i for i, n in enumerate(names, 3)}, 9, [10, 11])
    print(shlex.join(line))
    return 0
