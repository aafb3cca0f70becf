# SPDX-License-Identifier: GPL-2.0 OR MIT
"""GoogleTest programs seen from outside: which tests one has, and what its XML report says.

Outcome is also what the runner counts for everything that is not GoogleTest: a test is a name, a verdict
and a message.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass
class Outcome:
    """name: folder/program/Suite.Test. message: why it failed or was skipped."""

    name: str
    verdict: str
    message: str = ""


def parse_list(text: str) -> list[str]:
    """Suite.Test names from --gtest_list_tests; what follows a '#' describes a parameter."""
    names, suite = [], ""
    for line in text.splitlines():
        word = line.split("#")[0].rstrip()
        if word.endswith(".") and not line.startswith(" "):
            suite = word
        elif suite and line.startswith("  "):
            names.append(suite + word.strip())
    return [name for name in names if not re.search(r"(^|/|\.)DISABLED_", name)]


def parse_report(prefix: str, xml: bytes) -> list[Outcome]:
    """Outcomes from an XML report. ElementTree.ParseError if it is not one."""
    outcomes = []
    for case in ElementTree.fromstring(xml).iter("testcase"):
        name = f"{prefix}/{case.get('classname')}.{case.get('name')}"
        failures = [failure.text or failure.get("message") or "" for failure in case.findall("failure")]
        skipped = case.find("skipped")
        if failures:
            outcomes.append(Outcome(name, FAILED, "\n".join(failures)))
        elif skipped is not None:
            outcomes.append(Outcome(name, SKIPPED, (skipped.text or skipped.get("message") or "").strip()))
        elif case.get("result") == "completed":
            outcomes.append(Outcome(name, PASSED))
    # A failure outside of every test, such as in SetUpTestSuite, is a suite's of its own.
    for suite in ElementTree.fromstring(xml).iter("testsuite"):
        for failure in suite.findall("failure"):
            outcomes.append(Outcome(f"{prefix}/{suite.get('name')}", FAILED, failure.text or ""))
    return outcomes


def last_begun(output: str) -> str:
    """The test that a program was in when it ended, from its output."""
    begun = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    return begun[-1] if begun else ""
