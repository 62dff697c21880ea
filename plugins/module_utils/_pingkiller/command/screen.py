# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw results of a trace on a terminal: on its second screen, each over the one before."""

from __future__ import annotations

import contextlib
import locale
import shutil
import sys
from collections.abc import Callable, Iterator

from ..tables import cut
from ..trace import text

_LEAST_ROWS = 3  #: of a table, however few lines the terminal has

#: Enter the second screen and hide the cursor; undo both.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
#: Move to the first line; clear to the end of the line; clear to the end of the screen.
_HOME, _CLEAR_LINE, _CLEAR_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

Show = Callable[[text.Result], None]


@contextlib.contextmanager
def opened() -> Iterator[Show]:
    """Enter the second screen. Yield a function that draws a result at once, so that nothing flickers."""
    blocks = draws_blocks()

    def show(result: text.Result) -> None:
        size = shutil.get_terminal_size()
        lines = [encodable(line) for line in fitted(result, size.lines, blocks=blocks)]
        drawn = f"{_CLEAR_LINE}\r\n".join(cut(line, size.columns) for line in lines)
        _draw(_HOME + drawn + _CLEAR_LINE + _CLEAR_SCREEN)

    _draw(_ENTER)
    try:
        yield show
    finally:
        _draw(_LEAVE)


def _draw(characters: str) -> None:
    sys.stdout.write(characters)
    sys.stdout.flush()


def fitted(result: text.Result, height: int, *, blocks: bool) -> list[str]:
    """Write a result in at most ``height`` lines: the longest table is cut, so that there is room for the rest."""
    rest = len(text.lines(result, rows=_LEAST_ROWS, blocks=blocks)) - _LEAST_ROWS
    return text.lines(result, rows=max(_LEAST_ROWS, height - rest), blocks=blocks)[:height]


def draws_blocks() -> bool:
    """Whether the terminal shows UTF-8. Python writes it in any locale, but the locale says what the terminal shows."""
    return locale.nl_langinfo(locale.CODESET).upper() in ("UTF-8", "UTF8")


def encodable(line: str) -> str:
    """Escape the characters that the terminal does not show."""
    return line if draws_blocks() else line.encode("ascii", "backslashreplace").decode()
