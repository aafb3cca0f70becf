# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What a program has to understand and to say so that the lab's runner takes it for a GoogleTest program.

Names are Suite.Test; Suite may have points in it, Test has none.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass
class Outcome:
    """message: why it failed or was skipped."""

    verdict: str
    message: str = ""


def value_of(option: str) -> str:
    """Of --OPTION=VALUE on the command line; empty if it is not there."""
    found = [word.split("=", 1)[1] for word in sys.argv[1:] if word.startswith(f"--{option}=")]
    return found[-1] if found else ""


def print_list(names: list[str]) -> None:
    last = ""
    for name in names:
        suite, test = name.rsplit(".", 1)
        if suite != last:
            print(f"{suite}.")
        print(f"  {test}")
        last = suite


def print_begun(name: str) -> None:
    """Before a test, so that the runner knows which one ended the guest."""
    print(f"[ RUN      ] {name}", flush=True)


def write_report(outcomes: dict[str, Outcome], file: str) -> None:
    root = ElementTree.Element("testsuites")
    for name, outcome in outcomes.items():
        suite, test = name.rsplit(".", 1)
        case = ElementTree.SubElement(root, "testcase", classname=suite, name=test, result="completed")
        if outcome.verdict != PASSED:
            kind = "failure" if outcome.verdict == FAILED else "skipped"
            ElementTree.SubElement(case, kind).text = outcome.message
    ElementTree.ElementTree(root).write(file)
