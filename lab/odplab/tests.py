# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab test`: runs every test there is, or those that FILTER names, and counts.

Test programs are GoogleTest programs, or look like one from outside, in /build/user/bin/tests, in a folder that says where they run:

  host/      in the lab's root, without a guest
  lab/       on this machine, against ./odplab itself
  guest/     in a guest with the converted driver
  suites/    there too: other people's tests and programs, as they are; if the filter names it
  upstream/  in a guest with the kernel's unmodified driver; they assert that its defects are seen

On a kernel other than the stock one, only what needs a guest is run, as the rest would be the same again;
and upstream/ only if the filter names it, because its defects are what such a kernel reports. With --all, what is about
concurrency, life times and failure runs on the debug kernel too, in a guest beside the others, under names that begin
with debug/; and clang-tidy.
The programs of a folder share one guest. One that crashes it, hangs, or makes its kernel report something
fails, and the next gets a fresh guest. What the sources look like is checked by checks.py.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Optional

from . import leaks, mutation, ui
from .boot import boot
from .build import Build
from .checks import Checks
from .config import STOCK, Options
from .errors import FAILED as STATUS_FAILED
from .errors import Failure
from .gtest import FAILED, PASSED, SKIPPED, Outcome, last_begun, parse_list, parse_report
from .guest import Guest, Result
from .selection import Selection
from .workshop import Workshop

PROGRAMS = "user/bin/tests"
# Seconds for one program on the stock kernel. The slowest takes about a minute under TCG.
PROGRAM_LIMIT = 600.0
# Instantiations of tests with this name take long: they need a filter that has it too.
EXTENDED = "Extended"
# Takes as long as all the others, so it is run by its name only.
SUITES = "suites"
GUEST_FOLDERS = {"guest": "mirror", SUITES: "mirror", "upstream": "upstream"}
REPORT = "/tmp/odplab-report.xml"
# What --all repeats on the debug kernel: where its checks see more than the tests do.
DEBUG = "debug"
# What has nothing to do on a kernel that cannot fail on demand.
DEBUG_ONLY = ("allocation_failure",)
DEBUG_PROGRAMS = ("allocation_failure", "emulation", "events", "lifetime", "stress", "testdev")


class TestRun:
    __test__ = False
    noting = threading.Lock()

    def __init__(self, workshop: Workshop, options: Options, selection: Selection, beyond: bool = False):
        """beyond: --all, what else there is beyond the kernel of the options."""
        self.beyond = beyond
        self.prefix = ""
        self.programs: Optional[tuple[str, ...]] = None  # all
        self.workshop = workshop
        self.options = options
        self.selection = selection
        self.build = Build(workshop, options.kernel)
        self.limit = PROGRAM_LIMIT * options.patience
        self.outcomes: list[Outcome] = []

    def run(self) -> int:
        self.build.everything(tests=True)
        debug = self._on_debug() if self.beyond and self.options.kernel == STOCK else None
        with ThreadPoolExecutor(max_workers=1) as pool:
            # A guest leaves one of two processors idle for most of the time.
            beside = pool.submit(debug._in_guest, "guest", GUEST_FOLDERS["guest"]) if debug else None
            self._on_kernel()
            if debug and beside:
                beside.result()
                self.outcomes += debug.outcomes
        return self._conclude()

    def _on_kernel(self) -> None:
        stock = self.options.kernel == STOCK
        if stock:
            self._checks()
            self._host()
            self._lab()
        for folder, rxe in GUEST_FOLDERS.items():
            if (stock and folder != SUITES) or folder == "guest" or self.selection.names(folder):
                self._in_guest(folder, rxe)
        self._mutations()

    def _on_debug(self) -> Optional["TestRun"]:
        """What --all adds, built and ready to run, if any of it is chosen."""
        run = TestRun(self.workshop, dataclasses.replace(self.options, kernel=DEBUG), self.selection)
        run.prefix = f"{DEBUG}/"
        run.programs = DEBUG_PROGRAMS
        if not run._chosen("guest"):
            return None
        run.build.everything(tests=True)
        return run

    # What there is to run

    def _listed(self, folder: str) -> dict[str, list[str]]:
        """Program -> all of its tests."""
        programs = {}
        for path in sorted((self.build.output / PROGRAMS / folder).glob("*")):
            if not os.access(path, os.X_OK) or path.is_dir():
                continue
            process = self.workshop.start(
                [f"/build/{PROGRAMS}/{folder}/{path.name}", "--gtest_list_tests"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            output = process.communicate()[0].decode(errors="replace")
            programs[path.name] = parse_list(output)
            if process.returncode != 0 or not programs[path.name]:
                self._note([Outcome(f"{folder}/{path.name}", FAILED, f"cannot list its tests:\n{output}")])
        return programs

    def _chosen(self, folder: str) -> dict[str, list[str]]:
        """Program -> its chosen tests, for programs with any."""
        chosen = {}
        for program, tests in self._listed(folder).items():
            names = [name for name in tests if self._takes(f"{folder}/{program}/{name}")]
            if program in DEBUG_ONLY and self.options.kernel != DEBUG:
                continue
            if not self.selection.names(EXTENDED):
                names = [name for name in names if not name.startswith(f"{EXTENDED}/")]
            if names and (self.programs is None or program in self.programs):
                chosen[program] = names
        return chosen

    def _takes(self, name: str) -> bool:
        return self.selection.takes(name) or self.selection.takes(self.prefix + name)

    @staticmethod
    def _arguments(names: list[str], report: str) -> list[str]:
        return [f"--gtest_filter={':'.join(names)}", f"--gtest_output=xml:{report}"]

    # Where it runs

    def _checks(self) -> None:
        begun = time.monotonic()
        for outcome in Checks(self.workshop, self.build, self.beyond).run(self.selection):
            self._note([outcome], f"{outcome.name}: {outcome.verdict} ({time.monotonic() - begun:.1f} s)")
            begun = time.monotonic()

    def _mutations(self) -> None:
        """Only by name: `odplab test mutation/`."""
        if not (self.selection.text or "").startswith(mutation.FOLDER):
            return
        begun = time.monotonic()
        mutations = mutation.Mutations(self.workshop, self.build, self.options, self._listed("guest"))
        for outcome in mutations.run(self.selection):
            self._note([outcome], f"{outcome.name}: {outcome.verdict} ({time.monotonic() - begun:.1f} s)")
            begun = time.monotonic()

    def _host(self) -> None:
        for program, names in self._chosen("host").items():
            report = self.build.output / "report.xml"
            self._program("host", program, self.workshop.start, [f"/build/{PROGRAMS}/host/{program}"], names,
                          "/build/report.xml", report)  # fmt: skip

    def _lab(self) -> None:
        """Two at a time: each mostly waits for a guest of its own to boot."""

        def one(item: tuple[str, list[str]]) -> None:
            program, names = item
            report = self.build.output / f"report-{program}.xml"
            argv = [str(self.build.output / PROGRAMS / "lab" / program)]
            self._program("lab", program, self._start_here, argv, names, str(report), report)

        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(one, self._chosen("lab").items()))

    def _start_here(self, argv: list[str], **popen: object) -> subprocess.Popen:
        environment = {**os.environ, "ODPLAB": str(self.workshop.paths.checkout / "odplab")}
        return subprocess.Popen(argv, env=environment, start_new_session=True, **popen)  # type: ignore[call-overload]

    def _program(
        self, folder: str, program: str, start: Callable, argv: list[str], names: list[str], shown: str, report: Path
    ) -> None:
        """Run a program on this side; shown is the report's path as the program sees it."""
        begun = time.monotonic()
        report.unlink(missing_ok=True)
        process = start(
            [*argv, *self._arguments(names, shown)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output = process.communicate(timeout=PROGRAM_LIMIT)[0]
            how = f"ended with status {process.returncode} and without a report"
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0]
            how = f"did not end within {PROGRAM_LIMIT:g} s"
        xml = report.read_bytes() if report.exists() else b""
        self._finish(f"{folder}/{program}", xml, output.decode(errors="replace"), how, process.returncode, begun)

    def _in_guest(self, folder: str, rxe: str) -> None:
        guest: Optional[Guest] = None
        options = dataclasses.replace(self.options, rxe=rxe)
        for program, names in self._chosen(folder).items():
            if guest is None:
                try:
                    guest = boot(self.workshop, options, f"booting a guest for {folder}/")
                except Failure as failure:
                    self._note([Outcome(f"{folder}/{program}", FAILED, str(failure))])
                    continue
            if not self._one_in_guest(guest, folder, program, names):
                guest.stop()
                guest = None
        if guest is not None:
            lost = self.options.kernel == leaks.KERNEL and self._leaks(guest)
            guest.stop()
            if not lost:
                guest.forget_logs()

    def _leaks(self, guest: Guest) -> bool:
        begun = time.monotonic()
        outcome = leaks.scan(guest)
        self._note([outcome], f"{outcome.name}: {outcome.verdict} ({time.monotonic() - begun:.1f} s)")
        return outcome.verdict == FAILED

    def _one_in_guest(self, guest: Guest, folder: str, program: str, names: list[str]) -> bool:
        """Run a program in the guest. False if the guest cannot be used for the next one."""
        begun = time.monotonic()
        output, xml = bytearray(), bytearray()
        argv = [f"/build/{PROGRAMS}/{folder}/{program}", *self._arguments(names, REPORT)]
        result = guest.run(argv, output, output, timeout=self.limit)
        usable = result.status is not None and not result.reports
        if usable:
            guest.run(["cat", REPORT], xml, bytearray(), timeout=60.0)
            guest.run(["rm", "-f", REPORT], bytearray(), bytearray(), timeout=60.0)
        how = self._how(result, guest)
        self._finish(f"{folder}/{program}", bytes(xml), output.decode(errors="replace"), how, result.status, begun)
        return usable

    def _how(self, result: Result, guest: Guest) -> str:
        """Why there is no report, with what the kernel said."""
        said = [line for report in result.reports for line in report]
        where = f"the whole console is in {guest.console.log}"
        if result.timed_out:
            return "\n".join([f"did not end within {self.limit:g} s; {where}", *said, *result.state])
        if result.status is None:
            return "\n".join([f"ended the guest; {where}", *(said or guest.console.tail())])
        if said:
            return "\n".join([f"made the guest's kernel report the following; {where}", *said])
        return f"ended with status {result.status} and without a report"

    # Counting

    def _finish(self, name: str, xml: bytes, output: str, how: str, status: Optional[int], begun: float) -> None:
        """Count one program's outcomes: those of its report, or one failure if it has none."""
        try:
            outcomes = parse_report(name, xml)
        except ElementTree.ParseError:
            outcomes = []
        if not outcomes:
            last = last_begun(output)
            outcomes = [Outcome(f"{name}/{last}".rstrip("/"), FAILED, f"{how}\nits output:\n{output}")]
        elif status != 0 and not any(outcome.verdict == FAILED for outcome in outcomes):
            outcomes.append(Outcome(name, FAILED, f"every test passed, but the program ended with status {status}"))
        counts = self._counts(outcomes)
        self._note(outcomes, f"{name}: {counts} ({time.monotonic() - begun:.1f} s)")

    @staticmethod
    def _counts(outcomes: list[Outcome]) -> str:
        return ", ".join(f"{sum(o.verdict == v for o in outcomes)} {v}" for v in (PASSED, FAILED, SKIPPED))

    def _note(self, outcomes: list[Outcome], line: str = "") -> None:
        with self.noting:
            self._note_alone(outcomes, line)

    def _note_alone(self, outcomes: list[Outcome], line: str) -> None:
        outcomes = [dataclasses.replace(outcome, name=self.prefix + outcome.name) for outcome in outcomes]
        self.outcomes += outcomes
        if line:
            print(self.prefix + line, flush=True)
        for outcome in outcomes:
            if outcome.verdict != PASSED:
                message = outcome.message.strip().replace("\n", "\n    ")
                print(f"  {outcome.verdict}: {outcome.name}\n    {message}", flush=True)

    def _conclude(self) -> int:
        failed = [outcome.name for outcome in self.outcomes if outcome.verdict == FAILED]
        if failed:
            print("failed:\n  " + "\n  ".join(failed))
        if not self.outcomes:
            ui.say(f"no test matches '{self.selection.text}'; names look like guest/matrix/Suite.Test or lint/licence.")
            if self.options.kernel != STOCK:
                ui.say(f"with --kernel {self.options.kernel} only {' and '.join(GUEST_FOLDERS)} are run.")
        print(self._counts(self.outcomes), flush=True)
        ran = any(outcome.verdict != SKIPPED for outcome in self.outcomes)
        return 0 if ran and not failed else STATUS_FAILED
