# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``pingkiller top``: look at the host again and again, and show it until something ends it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import PingKillerError, printable
from ..kept.directory import Store
from ..report import listening
from ..report.sampling import FilterNow, Look, Watch
from ..report.talkers import Ear
from . import host, keys, output, screen, top_json, top_screen
from .exit_status import ERROR, FINE
from .top_loans import Change, Loans
from .top_screen import SORTS, Heard, View

_ALL_ICMP = ("all_icmp", "trace")  #: values of the option events with which all ICMP is reported
_MOST_ROWS = 200  #: of a table that can be scrolled
_TEXT_COLUMNS, _TEXT_ROWS = 100, 10_000


def run(given: argparse.Namespace) -> int:
    """Show the host until the end. Raises PingKillerError. Returns an exit status."""
    base = host.base(Store(given.config))
    live = screen.is_drawable() and not given.json
    with keys.opened() as inbox, contextlib.closing(Ear(base)) as ear:
        with Loans(base, lock_timeout=given.lock_timeout, tells=live) as loans:
            top = _Top(given, base, inbox=inbox, ear=ear, loans=loans)
            top.look()
            if live:
                with inbox.terminal():
                    draw(top)
                    top.show(draw, count=given.count)
            elif given.json:
                top.show(write_json, count=given.count)
            elif not top.shown.filters:
                sys.stdout.write("no filter on this host\n")
            else:
                top.show(write_text, count=given.count or 1)
    return ERROR if loans.failed else FINE


class _Top:
    """What is shown, and how."""

    def __init__(self, given: argparse.Namespace, base: str, *, inbox: keys.Inbox, ear: Ear, loans: Loans) -> None:
        self.given = given
        self._inbox, self._ear, self._loans = inbox, ear, loans
        self._watch = Watch(base)
        self._due = self._looked = time.monotonic()
        self._known: set[str] = set()  #: filters for which options were switched on, if they are to be
        self._now = Look(time.time(), [], {}, [])
        self.view = View(sort=given.sort)
        self.shown, self.heard = self._now, Heard()

    # Looking

    def look(self) -> None:
        """Look at the host. Raises PingKillerError and OSError, maybe only because maps are being replaced."""
        by_total = self.view.sort == "total"
        self._now = self._watch.look(self._rows(), by_total=by_total)
        now = time.monotonic()
        heard = self._hear(now - self._looked, by_total=by_total)
        self._looked = now
        self._due = max(self._due + self.given.interval, now)
        if not self.view.paused:
            self.shown, self.heard = self._now, heard

    def _rows(self) -> int:
        """Return how many rows of a table can be shown."""
        return min(_MOST_ROWS, screen.size().lines + self.view.first) if self._inbox.draws else int(self.given.top)

    def _hear(self, seconds: float, *, by_total: bool) -> Heard:
        """Return the busiest sources, if they are wanted."""
        if not self.given.sources:
            return Heard()
        self._ear.listen()
        self._ear.read()
        missed = self._ear.missed()
        talkers = self._ear.talkers.take(max(seconds, 0.001), self._rows(), by_total=by_total)
        deaf = [printable(name) for name in _without("events", self._now.filters)]
        notes = [f"e (or --events): show the sources of all ICMP on {', '.join(deaf)}"] if deaf else []
        return Heard(talkers if self._ear.listens else None, missed, notes)

    def switch_on(self) -> None:
        """Switch on what was asked for, on filters that were not there before. Raises PingKillerError."""
        new = [each for each in self._now.filters if each.name not in self._known and each.mode != "none"]
        if self._loans.busy or not new:
            return
        self._known.update(each.name for each in new)
        wanted = {"timing_sample": self.given.timing, "events": "all_icmp" if self.given.events else None}
        changes = [
            Change(_without(option, new), option, value) for option, value in wanted.items() if value is not None
        ]
        if not changes:  # and nothing is to be compiled, nor the compiler imported
            return
        if self._inbox.draws:
            self._loans.begin(changes)
        else:
            self._loans.make(changes)

    # Showing

    def show(self, picture: Callable[[_Top], None], *, count: int | None = None) -> None:
        """Make a picture after each interval, ``count`` times or until the end."""
        self.switch_on()
        self._due = time.monotonic() + self.given.interval
        pictures, failed = 0, False
        while pictures != count and self._pass_time():
            try:
                self.look()
                self.switch_on()
                failed = False
                self._tell_refusal()
            except (PingKillerError, OSError) as error:  # perhaps maps have been replaced at this moment
                if failed and not self._inbox.draws:
                    raise
                failed, self._due = True, time.monotonic() + self.given.interval
                self._say(str(error))
            if not failed or self._inbox.draws:
                try:
                    with self._inbox.interruptible():
                        picture(self)
                except keys.Interrupted:  # the reader does not read
                    output.discard()
                    return
                pictures += 1

    def _pass_time(self) -> bool:
        """Wait until it is time to look again. Returns False at the end."""
        while True:
            left = self._due - time.monotonic()
            if left <= 0:
                return True
            news = self._inbox.wait(min(left, listening.PAUSE) if self._ear.listens else left)
            self._ear.read()
            if news.end or "q" in news.keys:
                return False
            for key in news.keys:
                self._press(key)
            if news.keys or news.resized:
                draw(self)

    def lines(self, columns: int, rows: int, *, live: bool) -> list[top_screen.Line]:
        """Return the lines of a picture."""
        return top_screen.lines(
            self.shown,
            self.heard,
            self.view._replace(message=self.view.message or ("compiling..." if self._loans.busy else "")),
            interval=self.given.interval,
            columns=columns,
            rows=rows,
            blocks=screen.draws_blocks(),
            live=live,
        )

    def _tell_refusal(self) -> None:
        refusal = self._loans.refusal()
        if refusal:
            self._say(refusal)

    def _say(self, message: str) -> None:
        self.view = self.view._replace(message=printable(message))

    # Keys

    def _press(self, key: str) -> None:
        self._say("")
        view, page = self.view, max(1, screen.size().lines // 2)
        steps = {keys.UP: -1, keys.DOWN: 1, keys.PAGE_UP: -page, keys.PAGE_DOWN: page}
        if key in steps:
            self.view = view._replace(first=min(_MOST_ROWS, max(0, view.first + steps[key])))
        elif key == "s":
            self.view = view._replace(sort=SORTS[(SORTS.index(view.sort) + 1) % len(SORTS)])
        elif key == "p":
            self.view = view._replace(paused=not view.paused)
        elif key == "?":
            self.view = view._replace(helping=not view.helping)
        elif key == "t":
            self._switch("timing_sample", self.given.timing or self.given.timing_sample)
        elif key == "e":
            self.given.sources = True
            self._switch("events", "all_icmp")

    def _switch(self, option: str, value: Any) -> None:
        """Give filters an option for a while, or put it back."""
        lent = [each.name for each in self._now.filters if option in each.lent]
        off = _without(option, self._now.filters)
        if self._loans.busy:
            self._say("the change before is not complete yet: try again in a moment")
        elif lent:
            self._loans.begin([Change(lent, option)])
        elif off:
            self._loans.begin([Change(off, option, value)])
        else:
            self._say(f"every filter has {option} on already")


def draw(top: _Top) -> None:
    """Draw on the terminal."""
    size = screen.size()
    lines = top.lines(size.columns, size.lines, live=True)
    screen.show(screen.painted(line, size.columns) for line in lines)


def write_text(top: _Top) -> None:
    """Write a picture as text."""
    for line in top.lines(_TEXT_COLUMNS, _TEXT_ROWS, live=False):
        sys.stdout.write(screen.encodable("".join(text for text, _style in line).rstrip()) + "\n")
    sys.stdout.flush()


def write_json(top: _Top) -> None:
    """Write a picture as a line of JSON."""
    sys.stdout.write(json.dumps(top_json.found(top.shown, top.heard)) + "\n")
    sys.stdout.flush()


def _without(option: str, filters: list[FilterNow]) -> list[str]:
    """Return the names of the filters that run and do not measure, or do not report all ICMP."""
    enough = _ALL_ICMP if option == "events" else range(1, 10**9 + 1)
    return [each.name for each in filters if each.mode != "none" and each.options.get(option) not in enough]
