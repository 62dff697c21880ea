# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that ``pingkiller top`` changes for a while, and puts back when it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..errors import PingKillerError
from ..store import filter_meta
from ..store.lock import lender_lock
from ..store.pins import Pins
from . import output, runtime


class Change(NamedTuple):
    """A change of an option of filters, for a while or back."""

    filters: list[str]  #: names
    option: str
    value: Any = None  #: None: put it back


class Loans:
    """Changes options of filters until the end of the context. Also puts back what a run that was killed has left."""

    def __init__(self, base: str, *, lock_timeout: float, tells: bool) -> None:
        """``tells``: at the end, say on standard error that it takes its time."""
        self._base, self._lock_timeout, self._tells = base, lock_timeout, tells
        self._stack = contextlib.ExitStack()
        self._holds = False
        self._thread: threading.Thread | None = None
        self._refusal = ""
        self.failed = False  #: whether something could not be put back

    def __enter__(self) -> Loans:
        if self._lent():
            with contextlib.suppress(PingKillerError):  # else whoever lent them is still there
                self._hold()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._tells and (self.busy or (self._holds and self._lent())):
            with contextlib.suppress(OSError):  # the terminal has gone
                output.say("putting back what was switched on: this takes a second or more for each filter")
        if self._thread:
            self._thread.join()
        refusals: list[tuple[str, Exception]] = []
        with self._stack:
            for name in self._lent() if self._holds else ():
                try:
                    self._put_back(name)
                except (PingKillerError, OSError) as error:
                    refusals.append((name, error))
        self.failed = bool(refusals)
        for name, refusal in refusals:
            output.complain(
                f"the filter on {name} keeps the options that it was to have for a while: {refusal}; then run "
                f"pingkiller top --count 1, which puts them back"
            )

    def make(self, changes: Iterable[Change]) -> None:
        """Make changes. Raises PingKillerError at the first that is refused."""
        from ..filters import lending  # imports what plans a change, which top needs for nothing else

        for change in changes:
            self._hold()
            for name in change.filters:
                if change.value is None:
                    self._put_back(name, change.option)
                else:
                    options, sources = {change.option: change.value}, runtime.sources()
                    lending.lend(self._base, name, options, sources=sources, lock_timeout=self._lock_timeout)

    def begin(self, changes: list[Change]) -> None:
        """Begin to make changes, which takes a second or more for each filter. ``refusal`` has what came of it."""

        def run() -> None:
            try:
                self.make(changes)
            except (PingKillerError, OSError) as error:
                self._refusal = str(error)

        self._thread = threading.Thread(target=run)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether changes are being made."""
        return self._thread is not None and self._thread.is_alive()

    def refusal(self) -> str:
        """Return why the last changes could not be made, once."""
        found, self._refusal = self._refusal, ""
        return found

    def _put_back(self, name: str, option: str | None = None) -> None:
        from ..filters import lending  # see ``make``

        sources = runtime.sources()
        lending.put_back(self._base, name, option=option, sources=sources, lock_timeout=self._lock_timeout)

    def _hold(self) -> None:
        """Be the one who puts options back. Raises PingKillerError if somebody else is."""
        if not self._holds:
            self._stack.enter_context(lender_lock())
            self._holds = True

    def _lent(self) -> list[str]:
        """Return the names of the filters that have options only for a while."""
        pins = Pins(self._base)
        pins.check_mount()
        pins = pins.in_use()
        return [name for name in pins.filters() if filter_meta.read(pins, name).lent]
