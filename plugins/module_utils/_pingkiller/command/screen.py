# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw on a terminal: on its second screen, each picture over the one before."""

from __future__ import annotations

import contextlib
import locale
import os
import sys
from collections.abc import Callable, Iterable, Iterator

from ..tables import cut, width

#: Enter the second screen and hide the cursor; undo both.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
#: Move to the first line; clear to the end of the line; clear to the end of the screen.
_HOME, _CLEAR_LINE, _CLEAR_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

#: A piece of a line with its style, one of STYLES, or "" for the terminal's own colours.
Piece = tuple[str, str]
BOLD, DIM, RED, GREEN, YELLOW = "bold", "dim", "red", "green", "yellow"
STYLES = {BOLD: "1", DIM: "2", RED: "31", GREEN: "32", YELLOW: "33"}

Show = Callable[[Iterable[str]], None]


@contextlib.contextmanager
def opened() -> Iterator[Show]:
    """Enter the second screen. Yield a function that draws lines at once, so that nothing flickers.

    The lines have to fit: see ``size``, ``fitted`` and ``painted``.
    """
    enter()
    try:
        yield show
    finally:
        leave()


def enter(more: str = "") -> None:
    """Enter the second screen, and ask the terminal for something more."""
    _draw(_ENTER + more)


def leave(more: str = "") -> None:
    """Ask the terminal for something, and leave the second screen."""
    _draw(more + _LEAVE)


def show(lines: Iterable[str]) -> None:
    """Draw lines over what the screen has.

    What was there is cleared before a line is drawn. After a line that fills its row, many terminals have the cursor on its
    last character, and would clear that one.
    """
    *before, last = lines
    _draw(_HOME + "".join(f"{_CLEAR_LINE}{line}\r\n" for line in before) + _CLEAR_SCREEN + last)


def _draw(characters: str) -> None:
    sys.stdout.write(characters)
    sys.stdout.flush()


def is_drawable() -> bool:
    """Whether standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def size() -> os.terminal_size:
    """Return the columns and lines of the terminal."""
    import shutil  # what is no terminal is not asked for its size

    return shutil.get_terminal_size()


def fitted(line: str, columns: int) -> str:
    """Return as much of a line as fits, without characters that the terminal does not show."""
    return cut(encodable(line), columns)


def painted(line: Iterable[Piece], columns: int) -> str:
    """Return a line of pieces as ``fitted`` does, in colour unless the environment has NO_COLOR (no-color.org)."""
    colours, drawn = not os.environ.get("NO_COLOR"), ""
    for text, style in line:
        shown = fitted(text, columns)
        columns -= width(shown)
        drawn += f"\x1b[{STYLES[style]}m{shown}\x1b[0m" if style and shown and colours else shown
    return drawn


def draws_blocks() -> bool:
    """Whether the terminal shows UTF-8. Python writes it in any locale, but the locale says what the terminal shows."""
    return locale.nl_langinfo(locale.CODESET).upper() in ("UTF-8", "UTF8")


def encodable(line: str) -> str:
    """Escape the characters that the terminal does not show."""
    return line if draws_blocks() else line.encode("ascii", "backslashreplace").decode()
