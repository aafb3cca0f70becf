# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The lab's exit statuses and the exception that carries one.

Everything that stops the lab raises Failure with a sentence for the user: what failed and what to do.
Statuses that belong to the lab are few, and documented in docs/lab.md, so that a caller can tell a
failing command from a failing lab.
"""

FAILED = 1  # a build, a test, or a step of the lab failed
UNUSABLE = 2  # bad usage, or this machine lacks something
TIMED_OUT = 124  # the command did not end within --timeout
SPLAT = 255  # the guest's kernel crashed, or reported a bug of its own


class Failure(Exception):
    """A sentence for the user and the exit status that goes with it."""

    def __init__(self, sentence: str, status: int = FAILED):
        super().__init__(sentence)
        self.status = status


class Stuck(Failure):
    """A guest that neither booted nor crashed. On a busy machine an emulated processor's timer may be lost."""
