# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What the lab says to its user: all of it on stderr, because stdout belongs to the command.

A step is one line: what is done, then how long it took. On a terminal the line appears at once and a
counter runs behind it; in a log the finished line appears only. Steps that had nothing to do say nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager


def say(sentence: str) -> None:
    print(f"odplab: {sentence}", file=sys.stderr, flush=True)


def progress(sentence: str) -> None:
    """How far a long step is, said now and then. A terminal's running line makes room for it."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    say(sentence)


class _Ticker:
    """Rewrites one terminal line every second until it is stopped. There is one line, so one ticker at a time."""

    line = threading.Lock()

    def __init__(self, text: str):
        self.text = text
        self.begun = time.monotonic()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            seconds = int(time.monotonic() - self.begun)
            sys.stderr.write(f"\r\x1b[Kodplab: {self.text} ... {seconds} s")
            sys.stderr.flush()
            if self.stopped.wait(1):
                break

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()
        sys.stderr.write("\r\x1b[K")
        self.line.release()


@contextmanager
def step(text: str):
    """Announce a step, run it, and say how long it took or that it failed."""
    begun = time.monotonic()
    shown = sys.stderr.isatty() and _Ticker.line.acquire(blocking=False)
    ticker = _Ticker(text) if shown else None
    outcome = "failed after"
    try:
        yield
        outcome = "took"
    finally:
        if ticker:
            ticker.stop()
        say(f"{text}: {outcome} {time.monotonic() - begun:.1f} s")
