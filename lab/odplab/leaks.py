# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Memory that the kernel of a guest has lost, by its own kmemleak: one more outcome of a test run.

The debug kernel has kmemleak and no scan of its own accord; lab/guest/leaks has it look, when the programs of a folder
are through. A kernel whose kmemleak is off fails too, because then nothing has been looked for.
"""

from __future__ import annotations

from .gtest import FAILED, PASSED, Outcome
from .guest import Guest

KERNEL = "debug"
NAME = "kernel/kmemleak"
# Two scans of 3 GiB take about a minute under TCG.
LIMIT = 900.0


def scan(guest: Guest) -> Outcome:
    said = bytearray()
    result = guest.run(["/bin/sh", "/src/lab/guest/leaks"], said, said, timeout=LIMIT)
    if result.status == 0:
        return Outcome(NAME, PASSED)
    if result.status is None:
        why = f"did not end within {LIMIT:g} s" if result.timed_out else "ended the guest"
        said += "\n".join([f"the scan {why}", *(result.state or guest.console.tail())]).encode()
    return Outcome(NAME, FAILED, f"{said.decode(errors='replace')}\nthe whole console is in {guest.console.log}")
