# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``pingkiller trace``: live in a terminal, else with one result at the end."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..trace import Request, text, watch
from . import output, runtime, screen
from .exit_status import FINE

_EVERY = 1.0  #: seconds between two results
_LEAST_ROWS = 3  #: of a table, however few lines the terminal has
_Show = Callable[[text.Result], None]
_LIVE, _UNSEEN = 3600.0, 5.0  #: seconds that a trace lasts by default: in a terminal, and elsewhere


def run(options: dict[str, Any], *, as_json: bool) -> int:
    """Trace, and show the result. ``options`` are those of ``Request.checked``. Return an exit status."""
    live = screen.is_drawable() and not as_json
    request = Request.checked(**{"duration": _LIVE if live else _UNSEEN, **options})
    result: dict[str, Any] = {}
    with _drawn() if live else _hidden() as show:
        for result in watch(request, runtime.trace_sources(), every=_EVERY, stop=_stop_on_signals()):
            show(result)
    lines = [json.dumps(result, indent=2)] if as_json else text.lines(result, blocks=screen.draws_blocks())
    sys.stdout.write("".join(f"{screen.encodable(line)}\n" for line in lines))
    return FINE


def _stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set, to end the trace and show the result. A second signal ends the command."""
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


@contextlib.contextmanager
def _drawn() -> Iterator[_Show]:
    """Draw each result over the one before."""
    with screen.opened() as draw:

        def show(result: text.Result) -> None:
            size = screen.size()
            lines = fitted(result, size.lines, blocks=screen.draws_blocks())
            draw(screen.fitted(line, size.columns) for line in lines)

        yield show


def fitted(result: text.Result, height: int, *, blocks: bool) -> list[str]:
    """Write a result in at most ``height`` lines: the longest table is cut, so that there is room for the rest."""
    rest = len(text.lines(result, rows=_LEAST_ROWS, blocks=blocks)) - _LEAST_ROWS
    return text.lines(result, rows=max(_LEAST_ROWS, height - rest), blocks=blocks)[:height]


@contextlib.contextmanager
def _hidden() -> Iterator[_Show]:
    """Show no result before the end. Raise BrokenPipeError as soon as nobody reads the output any more."""

    def show(_result: text.Result) -> None:
        if output.nobody_reads():
            raise BrokenPipeError

    yield show
