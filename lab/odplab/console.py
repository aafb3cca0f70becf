# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Watches the guest's serial console for the kernel saying that something is wrong.

Kernel messages arrive as lines with a time stamp. A line that starts a report (panic, oops, warning, lockdep,
sanitizers, stalls) begins a Report, which collects lines until the report is over: the end marker of a
trace, or lines enough. Everything is also written to the run's log file, which is the only place for data races
between functions that are not this project's.
"""

from __future__ import annotations

import re
from pathlib import Path

# What begins a report. Each is what the kernel prints at the start of a line, after time stamp and caller.
MARKERS = re.compile(
    r"""^(
      Kernel\ panic
    | Oops\b
    | (kernel\ )?BUG\b
    | WARNING:
    | INFO:\ (possible|inconsistent|suspicious|task\ .*\ blocked|rcu.*stall|lockdep|trying\ to\ register)
    | (\[.*\]\ )?UBSAN:
    | general\ protection\ fault
    | (watchdog:\ )?BUG:\ soft\ lockup
    | (watchdog:\ )?(CPU.*:\ )?Watchdog\ detected\ hard\ LOCKUP
    | NMI\ watchdog:.*LOCKUP
    | rcu:\ INFO:.*stall
    | rcu:\ rcu_.*\ kthread\ starved
    | (unable\ to\ handle|Unable\ to\ handle)
    | refcount_t:
    | list_(add|del)\ corruption
    | slab\ .*corruption
    | DEBUG_LOCKS_WARN_ON
    | Internal\ error
    | kmemleak:\ [0-9]+\ new
    | divide\ error:
    | stack\ segment:
    | invalid\ opcode:
    | int3:
    | Bad\ page\ (state|map)
    | Out\ of\ memory:\ Killed\ process\ 1\b
    )""",
    re.VERBOSE,
)

# "[    1.234567] " or, with CONFIG_PRINTK_CALLER, "[    1.234567][    T1] ".
STAMP = re.compile(r"^(\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? )+")

TRACE_END = ("---[ end trace", "---[ end Kernel panic")

# KCSAN frames its reports by these rules, and finds races all over a kernel. Ours is one with a module of ours in it.
RACE = "BUG: KCSAN: "
RACE_END = "=" * 60
OURS = re.compile(r"\[(odp_mirror|rdma_rxe)")

# What lab/guest/init says, always by this name.
SENTENCE = "odplab: guest: "

# What lab/guest/agent.cpp puts into the kernel log.
END_OF_COMMAND = re.compile(r"odplab: end of command (\d+)$")

LONGEST_REPORT = 200  # lines
LINES_KEPT = 200
LAST_LINES = 40


class Console:
    """Feed it bytes; read `reports` and what it keeps of the rest."""

    def __init__(self, log: Path):
        self.log = log
        self.file = open(log, "wb")
        self.received = 0
        self.partial = b""
        self.reports: list[list[str]] = []
        self.kept: list[str] = []
        self.lines = 0
        self.commands_ended = 0
        self.before_report: list[str] = []
        self.sentences: list[str] = []
        self.open_report: list[str] | None = None

    def feed(self, data: bytes) -> None:
        self.file.write(data)
        self.received += len(data)
        lines = (self.partial + data).split(b"\n")
        self.partial = lines.pop()
        for line in lines:
            self._line(line.decode(errors="replace").rstrip("\r"))

    def close(self) -> None:
        if self.partial:
            self._line(self.partial.decode(errors="replace").rstrip("\r"))
            self.partial = b""
        self.file.close()

    def tail(self) -> list[str]:
        """The last lines for a guest that ended without an explanation: before its kernel's first report, if any."""
        return self.before_report or self.kept[-LAST_LINES:]

    def since(self, lines: int) -> list[str]:
        """What came after so many lines, as far as it is kept."""
        return self.kept[-min(self.lines - lines, LINES_KEPT) :] if self.lines > lines else []

    def _line(self, line: str) -> None:
        self.kept = self.kept[1 - LINES_KEPT :] + [line]
        self.lines += 1
        if line.startswith(SENTENCE):
            self.sentences.append(line[len(SENTENCE) :])
        message = STAMP.sub("", line)
        ended = END_OF_COMMAND.match(message)
        if ended:
            self.commands_ended = int(ended[1])
            self._close_report()
            return
        starts = bool(MARKERS.match(message)) and message != line
        if self.open_report is not None:
            self.open_report.append(line)
            if self._is_over(message):
                self._close_report()
        elif starts:
            # The line before is the rule of "=" or "cut here" that belongs to the report.
            before = [earlier for earlier in self.kept[-2:-1] if "cut here" in earlier or "====" in earlier]
            self.open_report = before + [line]
            self.reports.append(self.open_report)
            self.before_report = self.before_report or self.kept[-LAST_LINES:]

    def _is_over(self, message: str) -> bool:
        ends = message.startswith(RACE_END) if self._is_race() else message.startswith(TRACE_END)
        return ends or len(self.open_report or []) >= LONGEST_REPORT

    def _is_race(self) -> bool:
        return any(RACE in line for line in (self.open_report or [])[:2])

    def _close_report(self) -> None:
        if self._is_race() and not any(OURS.search(line) for line in self.open_report or []):
            self.reports.pop()
        self.open_report = None
