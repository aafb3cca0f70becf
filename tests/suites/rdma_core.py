# SPDX-License-Identifier: GPL-2.0 OR MIT
"""rdma-core's own tests, as Debian's python3-pyverbs has them: found, and run as they are.

Each module runs in a child process, so that one that does not end, or dies, takes nothing else along. A test that is
silent for too long is killed with its child, and a new one goes on behind it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import unittest
from typing import Callable, Optional

from googletest import FAILED, PASSED, SKIPPED, Outcome

PLACE = "/usr/share/doc/rdma-core"
# For devices that nobody has here: every test of these would be skipped.
OTHER_HARDWARE = ("test_mlx5_", "test_efa", "test_cuda_")
# Seconds for one test. The slowest, those of rdma_cm that must fail, take 5 s.
TEST_LIMIT = 60.0
HUNG = "hung"

fork = multiprocessing.get_context("fork")
Note = Callable[[str, Outcome], None]


def modules() -> dict[str, list[unittest.TestCase]]:
    """Module -> its tests."""
    sys.path[:0] = [PLACE, f"{PLACE}/tests"]
    arguments, sys.argv[1:] = sys.argv[1:], []
    import args_parser  # type: ignore[import-not-found]

    args_parser.parser.parse_args()
    sys.argv[1:] = arguments
    import tests  # type: ignore[import-not-found]

    found = {}
    for module in tests.__test_modules__:
        name = module.__name__.rsplit(".", 1)[1]
        if not name.startswith(OTHER_HARDWARE):
            suites = unittest.defaultTestLoader.loadTestsFromModule(module)
            # A module also has the classes of others that it builds on.
            found[name] = [test for suite in suites for test in suite if name_of(test).startswith(f"{name}.")]
    return found


def name_of(test: unittest.TestCase) -> str:
    """module.Class.test, without the package."""
    return test.id().split(".", 1)[1]


class Relay(unittest.TestResult):
    """Sends what happens to the parent: a name before its test, name and outcome after it."""

    def __init__(self, pipe: object):
        super().__init__()
        self.pipe = pipe

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.pipe.send((name_of(test), None))

    def _say(self, test: object, verdict: str, message: str = "") -> None:
        if isinstance(test, unittest.TestCase):
            self.pipe.send((name_of(test), Outcome(verdict, message)))
        else:  # the set-up of a whole class
            self.pipe.send((None, Outcome(verdict, message)))

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._say(test, PASSED)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._say(test, SKIPPED, reason)

    def addFailure(self, test: unittest.TestCase, err: tuple) -> None:
        self._say(test, FAILED, self._exc_info_to_string(err, test))

    addError = addFailure

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Optional[tuple]) -> None:
        if err is not None:
            self._say(test, FAILED, self._exc_info_to_string(err, test))


def _child(tests: list[unittest.TestCase], pipe: object) -> None:
    os.setsid()
    unittest.TestSuite(tests).run(Relay(pipe))


def run(tests: list[unittest.TestCase], begun: Callable[[str], None], ended: Note) -> None:
    """Run the tests of one module; each is told of twice."""
    left = list(tests)
    while left:
        left = _run_until_silent(left, begun, ended)


def _run_until_silent(
    tests: list[unittest.TestCase], begun: Callable[[str], None], ended: Note
) -> list[unittest.TestCase]:
    """Returns those behind one that does not end."""
    reader, writer = fork.Pipe(duplex=False)
    child = fork.Process(target=_child, args=(tests, writer))
    child.start()
    writer.close()
    missing = {name_of(test): test for test in tests}
    current, why, silent = "", "", False
    try:
        while not (silent := not reader.poll(TEST_LIMIT)):
            name, outcome = reader.recv()
            if outcome is None:
                current = name
                begun(name)
            elif name is None:
                why = outcome.message
            elif missing.pop(name, None):
                ended(name, outcome)
    except EOFError:
        pass
    if silent:
        os.killpg(child.pid, signal.SIGKILL)
        missing.pop(current, None)
        ended(current, Outcome(HUNG, f"did not end within {TEST_LIMIT:g} s"))
        return list(missing.values())
    child.join()
    for name in missing:
        ended(name, Outcome(FAILED, why or f"its process ended first, with status {child.exitcode}"))
    return []
