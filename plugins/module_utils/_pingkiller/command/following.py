# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen for ``pingkiller events``, and with ``--follow`` write what comes as it comes."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from ..errors import PingKillerError, printable, quoted
from ..kept.directory import Store
from ..kernel import netlink, schema
from ..report import events, listening
from ..store import filter_programs
from . import host
from .event_text import event_line, group_line, missed_line
from .exit_status import FINE
from .output import Found
from .watching import Watched

_DURATION, _LIMIT = 5.0, 1000  #: seconds, and events, of a listener that does not follow
_LOOK = 1.0  #: seconds between two looks at what was missed

#: What events of one group share.
_GROUP = ("interface", "family", "reason", "monitored", "source")


class _Ended(Exception):
    """A signal asks this to end."""


def listen(given: argparse.Namespace) -> Found:
    """Listen for a while. Return what the module xdp_events returns. Raises PingKillerError."""
    base, duration, limit = _base(given), given.duration or _DURATION, given.limit or _LIMIT
    found = events.listen(base, duration, limit, wanted=_wanted(given))
    return {name: found[name] for name in ("events", "count", *listening.Missed._fields)}


def follow(given: argparse.Namespace) -> int:
    """Write events until something ends it. Return an exit status. Raises PingKillerError, OSError, KeyboardInterrupt."""
    wanted = _wanted(given)
    _end_on_signals()
    with contextlib.suppress(_Ended, BrokenPipeError), listening.opened(_base(given)) as listener:
        follower = _Follower(listener, given, wanted)
        watched = Watched()
        while not (follower.has_all or watched.is_over(listening.PAUSE)):
            _write(follower.lines())
        _write(follower.last_lines())
    return FINE


def _base(given: argparse.Namespace) -> str:
    return host.base(Store(given.config))


def _wanted(given: argparse.Namespace) -> events.Wanted | None:
    """Return what the options say of the events that are asked for. Raises PingKillerError for an interface that is not there."""
    if given.interface is None and given.reason is None:
        return None
    if given.interface is not None and netlink.link(given.interface) is None:
        raise PingKillerError(f"--interface={quoted(given.interface)} is no interface of this host: see ip link")
    interface = None if given.interface is None else filter_programs.own_name(given.interface)

    def wanted(record: bytes) -> bool:
        event = schema.EVENT.unpack(record)
        return given.reason in (None, events.reason_name(event["reason"])) and (
            interface in (None, events.interface_name(event["interface"]))
        )

    return wanted


def _end_on_signals() -> None:
    """Let signals raise ``_Ended``, once. One that is ignored stays so, as nohup has it."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]

    def end(_number: int, _frame: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise _Ended

    for number in numbers:
        signal.signal(number, end)


class _Follower:
    """Makes lines of what a listener hears."""

    def __init__(self, listener: listening.Listener, given: argparse.Namespace, wanted: events.Wanted | None) -> None:
        self._listener = listener
        self._wanted = wanted
        self._json = given.json
        self._left = given.limit or sys.maxsize
        self._until = time.monotonic() + (given.duration or math.inf)
        self._aggregate: float | None = given.aggregate
        self._groups: dict[tuple[object, ...], Found] = {}
        self._told = listening.Missed(0, 0)
        self._look = time.monotonic() + _LOOK
        self._window = time.monotonic() + (given.aggregate or 0)

    @property
    def has_all(self) -> bool:
        """Whether as many events have come, or as much time has passed, as was asked for."""
        return not self._left or time.monotonic() >= self._until

    def lines(self) -> list[str]:
        """Return the lines that are due now."""
        records = list(filter(self._wanted, self._listener.read()))[: self._left]
        self._left -= len(records)
        now, lines = time.monotonic(), []
        if self._aggregate is None:
            lines = [self._line(events.decode(record), event_line) for record in records]
        else:
            self._gather(records)
            if now >= self._window:
                self._window = now + self._aggregate
                lines = self._gathered()
        if now >= self._look:
            self._look = now + _LOOK
            lines += self._missed()
        return lines

    def last_lines(self) -> list[str]:
        """Return the lines that were not due yet when it ended."""
        return [*self._gathered(), *self._missed()]

    def _gather(self, records: Iterable[bytes]) -> None:
        for record in records:
            fields = schema.EVENT.unpack(record)
            key = tuple(fields[name] for name in _GROUP)
            if key not in self._groups:
                first = events.decode(record)
                shared = {name: first[name] for name in ("time", "interface", "verdict", "reason", "src")}
                self._groups[key] = {**shared, "count": 0, "bytes": 0}
            self._groups[key]["count"] += 1
            self._groups[key]["bytes"] += fields["bytes"]

    def _gathered(self) -> list[str]:
        groups, self._groups = self._groups, {}
        return [self._line(group, group_line) for group in groups.values()]

    def _missed(self) -> list[str]:
        missed = self._listener.missed()
        if missed == self._told:
            return []
        self._told = missed
        return [self._line(missed._asdict(), missed_line)]

    def _line(self, found: Found, as_text: Callable[[Found], str]) -> str:
        return json.dumps(found) if self._json else printable(as_text(found))


def _write(lines: list[str]) -> None:
    """Write lines at once, by the system call: nothing is left to be written when a signal ends this."""
    left = "".join(f"{line}\n" for line in lines).encode()
    while left:
        try:
            left = left[os.write(sys.stdout.fileno(), left) :]
        except BlockingIOError:  # whoever started this has made the pipe one that does not wait
            select.select([], [sys.stdout], [])
