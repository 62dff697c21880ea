# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``pingkiller trace``: live in a terminal, else with one result at the end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from ..trace import Request, text, watch
from . import runtime, screen
from .exit_status import FINE
from .screen import Show

_EVERY = 1.0  #: seconds between two results
_LIVE, _UNSEEN = 3600.0, 5.0  #: seconds that a trace lasts by default: in a terminal, and elsewhere


def run(options: dict[str, Any], *, as_json: bool) -> int:
    """Trace, and show the result. ``options`` are those of ``Request.checked``. Return an exit status."""
    live = sys.stdout.isatty() and not as_json and os.environ.get("TERM", "dumb") != "dumb"
    request = Request.checked(**{"duration": _LIVE if live else _UNSEEN, **options})
    result: dict[str, Any] = {}
    with screen.opened() if live else _hidden() as show:
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
def _hidden() -> Iterator[Show]:
    """Show no result before the end. Raise BrokenPipeError as soon as nobody reads the output any more."""
    watched = select.poll()
    watched.register(sys.stdout, 0)

    def show(_result: text.Result) -> None:
        if any(event & (select.POLLERR | select.POLLHUP) for _file, event in watched.poll(0)):
            raise BrokenPipeError

    yield show
