# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab bench`: perf/bench/odp_bench in the guests that its rows need, and one table of the results.

A row's figures, its bar and its verdict are the program's. Here it is decided which guests are booted: one with the
unmodified driver on the instruction clock, whose figures are the baselines of some rows; one with ours, likewise; and
one with ours and two processors, for what is measured in time. A bar that is missed is a result and no failure, unless
`--check` asks for that.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from . import table, ui
from .boot import boot
from .build import Build
from .config import Options
from .errors import FAILED, UNUSABLE, Failure
from .run import judge
from .selection import Selection
from .workshop import Workshop

PROGRAM = "/build/user/bin/odp_bench"
# Seconds for the rows of one guest.
LIMIT = 3600.0
COLUMNS = ("metric", "ours", "baseline", "ratio", "spread", "bar", "verdict", "unit", "beside what")


@dataclass
class Wish:
    """What the command line asked for. only: text of a Selection over row names. sweep: run sweep.py instead."""

    only: Optional[str] = None
    json: Optional[Path] = None
    check: bool = False
    samples: int = 5
    sweep: Optional[str] = None


@dataclass
class Row:
    """Where a row is measured."""

    name: str
    place: str
    has_upstream: bool


class Bench:
    def __init__(self, workshop: Workshop, options: Options, samples: int):
        self.workshop = workshop
        self.options = options
        self.samples = samples

    def rows(self, only: Optional[str]) -> list[Row]:
        """Those that are asked for. The program is asked on this side; it needs no guest for that."""
        process = self.workshop.start([PROGRAM, "--list"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        listed = process.communicate()[0].decode()
        if process.returncode != 0:
            raise Failure(f"odp_bench --list ended with status {process.returncode}.")
        known = [Row(words[0], words[1], "upstream" in words[2:]) for words in map(str.split, listed.splitlines())]
        selection = Selection(only)
        chosen = [row for row in known if selection.takes(row.name)]
        if not chosen:
            names = " ".join(row.name for row in known)
            raise Failure(f"--only {only}: no row has such a name. There are: {names}", UNUSABLE)
        return chosen

    def measure(self, rows: list[Row]) -> dict:
        """The report of odp_bench on our driver, rows of all guests in one list."""
        on_clock = [row.name for row in rows if row.place == "clock"]
        on_two = [row.name for row in rows if row.place == "processors"]
        upstream = [row.name for row in rows if row.has_upstream]
        reports = []
        baseline = self.on_clock("upstream", upstream, None) if upstream else None
        if on_clock:
            reports.append(self.on_clock("mirror", on_clock, baseline))
        if on_two:
            reports.append(self.on_two("mirror", on_two))
        return {**reports[0], "rows": [row for report in reports for row in report["rows"]]}

    def on_clock(self, rxe: str, names: list[str], baseline: Optional[dict]) -> dict:
        return self._in_guest(dataclasses.replace(self.options, rxe=rxe, icount=True), names, baseline)

    def on_two(self, rxe: str, names: list[str]) -> dict:
        return self._in_guest(dataclasses.replace(self.options, rxe=rxe, smp=2), names, None)

    def _in_guest(self, options: Options, names: list[str], baseline: Optional[dict]) -> dict:
        guest = boot(self.workshop, options)
        argv = [PROGRAM, "--samples", str(self.samples)]
        for name in names:
            argv += ["--only", name]
        output, said = bytearray(), bytearray()
        with tempfile.TemporaryFile() as earlier:
            if baseline:
                earlier.write(json.dumps(baseline).encode())
                earlier.seek(0)
                argv += ["--baseline", "/dev/stdin"]
            how = "on the instruction clock" if options.icount else "on two processors"
            with ui.step(f"{len(names)} rows with the {options.rxe} driver {how}"):
                result = guest.run(argv, output, said, stdin=earlier.fileno(), timeout=LIMIT)
        guest.stop()
        status = judge(result, guest, LIMIT)
        if status != 0:
            raise Failure(f"odp_bench ended with status {status}; it said:\n{said.decode(errors='replace').strip()}")
        guest.forget_logs()
        return json.loads(output)


def cells(row: dict) -> list[str]:
    """A row of the table, as COLUMNS."""
    ours, beside = row["ours"], row["beside"]
    return [
        row["name"],
        table.number(ours and ours["median"]),
        table.number(beside and beside["median"]),
        table.number(row["ratio"], digits=3),
        table.percent(ours and ours["spread"]),
        row["bar"],
        row["verdict"],
        row["unit"],
        row["baseline"],
    ]


def bench(workshop: Workshop, options: Options, wish: Wish) -> int:
    Build(workshop).everything()
    measuring = Bench(workshop, options, wish.samples)
    report = measuring.measure(measuring.rows(wish.only))
    print(f"Linux {report['kernel']}; median of {wish.samples}, spread over them")
    table.show(COLUMNS, [cells(row) for row in report["rows"]])
    save(wish.json, report)
    missed = [row["name"] for row in report["rows"] if row["verdict"].startswith("misses")]
    print(f"{len(report['rows'])} rows, {len(missed)} miss their bar" + "".join(f"\n  {name}" for name in missed))
    failed = [row for row in report["rows"] if row["trouble"]]
    for row in failed:
        print(f"{row['name']} could not be measured: {row['trouble']}")
    return FAILED if failed or (missed and wish.check) else 0


def save(path: Optional[Path], report: dict) -> None:
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n")
