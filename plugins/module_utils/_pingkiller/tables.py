# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of text, and numbers and times as people read them. Callers escape the text that comes from others."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

LEFT, RIGHT = "<", ">"
_GAP = "  "
_TIMES = ((10**9, "s"), (10**6, "ms"), (10**3, "us"))  #: units with their nanoseconds
_SIZES = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
_WIDE = ("W", "F")  #: values of East Asian Width in Unicode: two columns of a terminal


def table(columns: Mapping[str, str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, the headings first. ``columns`` has the headings, each with LEFT or RIGHT for its cells."""
    cells = [list(columns), *map(list, rows)]
    widths = [max(map(width, column)) for column in zip(*cells)]
    return [_GAP.join(map(_padded, line, widths, columns.values())).rstrip() for line in cells]


def _padded(text: str, columns: int, side: str) -> str:
    space = " " * (columns - width(text))
    return text + space if side == LEFT else space + text


def width(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # drawn over the character before it
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def cut(text: str, columns: int) -> str:
    """Return as much of a text as fits into these columns of a terminal."""
    if text.isascii():
        return text[:columns]
    end, left = 0, columns
    for character in text:
        left -= _character_width(character)
        if left < 0:
            break
        end += 1
    return text[:end]


def clipped(text: str, columns: int) -> str:
    """Return a text that fits into these columns, with an ellipsis where it was cut."""
    return text if width(text) <= columns else cut(text, columns - 3) + "..."


def number(value: int | None) -> str:
    """Return a number with commas between thousands, or a dash for None."""
    return "-" if value is None else f"{value:,}"


def short(value: int) -> str:
    """Return a number in at most five characters if it is below 10^15, such as 9,999, 12.3k or 4.56M."""
    for size, unit in _SIZES if value >= 10_000 else ():
        if value >= 0.9995 * size:
            return (f"{value / size:.3g}" if value < 999.5 * size else number(round(value / size))) + unit
    return number(value)


def wrapped(text: str, columns: int, indent: str = "") -> list[str]:
    """Break a text into lines of at most this many columns, all but the first with an indent. Words that are longer are cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(cut((indent if lines else "") + word, columns))
    return lines


def time(nanoseconds: int | None) -> str:
    """Return a time with three digits, such as 850 ns, 12.3 us, 4.56 ms or 1,230 s, or a dash for None."""
    if nanoseconds is None:
        return "-"
    for size, unit in _TIMES:
        if nanoseconds >= size:
            value = nanoseconds / size
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:,.{digits}f} {unit}"
    return f"{nanoseconds} ns"
