# SPDX-License-Identifier: GPL-2.0 OR MIT
"""FILTER of `odplab test`: which tests of folder/program/Suite.Test are meant.

A filter with a *, ? or [ is a glob over the whole name; any other is a part of it.
"""

from __future__ import annotations

import fnmatch
from typing import Optional


class Selection:
    def __init__(self, filter_text: Optional[str]):
        self.text = filter_text

    def names(self, folder: str) -> bool:
        """Whether it asks for this folder, and not only takes something in it."""
        return folder in (self.text or "")

    def takes(self, name: str) -> bool:
        if not self.text:
            return True
        if any(character in self.text for character in "*?["):
            return fnmatch.fnmatchcase(name, self.text)
        return self.text in name
