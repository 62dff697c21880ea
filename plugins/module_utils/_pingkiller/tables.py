# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of text, and amounts as people read them. What others have written is escaped by who fills in a cell."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

LEFT, RIGHT = "<", ">"
_GAP = "  "
_WIDE = ("W", "F")  #: of Unicode's East Asian Width: two columns of a terminal each


def table(columns: Mapping[str, str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines, the headings first. ``columns`` has of each heading the side on which its cells are put."""
    cells = [list(columns), *map(list, rows)]
    widths = [max(map(width, column)) for column in zip(*cells)]
    return [_GAP.join(map(_padded, line, widths, columns.values())).rstrip() for line in cells]


def _padded(text: str, columns: int, side: str) -> str:
    space = " " * (columns - width(text))
    return text + space if side == LEFT else space + text


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # drawn over the one before
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def cut(text: str, columns: int) -> str:
    """As much of a text as so many columns of a terminal hold."""
    if text.isascii():
        return text[:columns]
    end, left = 0, columns
    for character in text:
        left -= _character_width(character)
        if left < 0:
            break
        end += 1
    return text[:end]


def number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


_TIMES = ((10**9, "s"), (10**6, "ms"), (10**3, "us"))  #: nanoseconds in each


def time(nanoseconds: int | None) -> str:
    """Three digits of it: 850 ns, 12.3 us, 4.56 ms, 1,230 s."""
    if nanoseconds is None:
        return "-"
    for size, unit in _TIMES:
        if nanoseconds >= size:
            value = nanoseconds / size
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:,.{digits}f} {unit}"
    return f"{nanoseconds} ns"
