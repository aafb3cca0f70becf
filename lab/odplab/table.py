# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Tables of figures for a terminal: columns as wide as they need to be, the first one to the left."""

from __future__ import annotations

from typing import Optional, Sequence


def number(value: Optional[float], digits: int = 1) -> str:
    """1,234,567 from a thousand on, where no digit behind the point means anything; nothing for None."""
    if value is None:
        return ""
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) >= 10 ** -digits else f"{value:.2g}"


def percent(part: Optional[float]) -> str:
    return "" if part is None else f"{100 * part:.1f} %"


def lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The text of the last column may be long, so nothing follows it and it is not padded."""
    widths = [max(map(len, column)) for column in zip(columns, *rows)]
    return ["  ".join(_pad(text, width, first=i == 0, last=i == len(widths) - 1)
                      for i, (text, width) in enumerate(zip(row, widths))).rstrip()
            for row in (columns, *rows)]  # fmt: skip


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for line in lines(columns, rows):
        print(line)


def _pad(text: str, width: int, first: bool, last: bool) -> str:
    if last:
        return text
    return text.ljust(width) if first else text.rjust(width)
