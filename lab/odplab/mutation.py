# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab test mutation/`: are the tests able to fail?

For each rule that the mirror core must not break (kernel/mirror/rules.h) a module is built that breaks it, and the
tests that tests/mutations names for the rule run on it. One of them has to fail; if all pass, the rule is not tested.
Takes half a minute for each rule, so it runs only when asked for by name.
"""

from __future__ import annotations

import dataclasses
import shutil
from typing import Iterator

from .boot import boot
from .build import Build
from .config import Options
from .errors import Failure
from .gtest import FAILED, PASSED, Outcome, parse_report
from .guest import Guest
from .selection import Selection
from .workshop import Workshop

FOLDER = "mutation"
REPORT = "/tmp/report.xml"
LIMIT = 120.0


class Mutations:
    def __init__(self, workshop: Workshop, build: Build, options: Options, listed: dict[str, list[str]]):
        """listed: the tests of each program in guest/."""
        self.workshop = workshop
        self.build = build
        self.options = options
        self.listed = listed
        self.version = workshop.kernels.run

    def table(self) -> dict[str, list[str]]:
        """Rule -> the filters of its tests, folder/program/Suite.Test as everywhere."""
        rules = {}
        for line in (self.build.source / "tests/mutations").read_text().splitlines():
            if line and not line.startswith("#"):
                rule, *filters = line.split()
                rules[rule] = filters
        return rules

    def run(self, selection: Selection) -> Iterator[Outcome]:
        for rule, filters in self.table().items():
            name = f"{FOLDER}/{rule}"
            if selection.takes(name):
                try:
                    yield self._one(name, rule, filters)
                except Failure as failure:
                    yield Outcome(name, FAILED, str(failure))

    def _one(self, name: str, rule: str, filters: list[str]) -> Outcome:
        driver = self._build(rule)
        tests = self._tests(filters)
        if not tests:
            return Outcome(name, FAILED, f"tests/mutations names no test that exists: {' '.join(filters)}")
        options = dataclasses.replace(self.options, rxe=driver)
        guest = boot(self.workshop, options)
        try:
            noticed = [said for program, names in tests.items() if (said := self._notices(guest, program, names))]
        finally:
            guest.stop()
            guest.forget_logs()
        if noticed:
            return Outcome(name, PASSED, noticed[0])
        count = sum(map(len, tests.values()))
        return Outcome(name, FAILED, f"the rule is broken and all {count} tests pass: {' '.join(filters)}")

    def _build(self, rule: str) -> str:
        """Returns the name of the driver, as the guest's init takes it."""
        driver = f"broken-{rule}"
        output = f"kernel/{self.version}/{driver}"
        environment = {**self.build.kernel_environment(self.workshop.kernels.run_source), "ODP_BREAK": rule}
        self.workshop.require(
            f"building the mirror without {rule}",
            ["/src/kernel/build", self.version, f"/build/{output}"],
            self.build.logs / "build-broken.log",
            "Correct the cause and run it again.",
            environment,
        )
        place = self.build.output / "lab/modules" / self.version / driver
        shutil.copytree(place.with_name("mirror"), place, dirs_exist_ok=True)
        shutil.copy(self.build.output / output / "odp_mirror.ko", place / "odp_mirror.ko")
        return driver

    def _tests(self, filters: list[str]) -> dict[str, list[str]]:
        chosen = {}
        for program, tests in self.listed.items():
            names = [
                test for test in tests if any(Selection(text).takes(f"guest/{program}/{test}") for text in filters)
            ]
            if names:
                chosen[program] = names
        return chosen

    def _notices(self, guest: Guest, program: str, names: list[str]) -> str:
        """What went wrong in a program, or nothing."""
        if guest.dead:
            return "the guest is gone"
        output, xml = bytearray(), bytearray()
        argv = [f"/build/user/bin/tests/guest/{program}", f"--gtest_filter={':'.join(names)}"]
        result = guest.run([*argv, f"--gtest_output=xml:{REPORT}"], output, output, timeout=LIMIT)
        if result.status is None or result.reports:
            return f"{program} hung or ended the guest"
        guest.run(["cat", REPORT], xml, bytearray(), timeout=60.0)
        failed = [outcome.name for outcome in parse_report(program, bytes(xml)) if outcome.verdict == FAILED]
        return " ".join(failed) or ("" if result.status == 0 else f"{program} ended with status {result.status}")
