# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that ``pingkiller top`` changes for a while, and puts back when it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from ..errors import PingKillerError
from ..report.sampling import FilterNow
from ..store import filter_meta
from ..store.lock import lender_lock
from ..store.pins import Pins
from . import output, runtime


class Loans:
    """Changes options of filters until the end of the context. Also puts back what a run that was killed has left."""

    def __init__(self, base: str, *, lock_timeout: float) -> None:
        self._base, self._lock_timeout = base, lock_timeout
        self._stack = contextlib.ExitStack()
        self._holds = False
        self.failed = False  #: whether something could not be put back

    def __enter__(self) -> Loans:
        if self._lent():
            with contextlib.suppress(PingKillerError):  # else whoever lent them is still there
                self._hold()
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._stack:
            for name in self._lent() if self._holds else ():
                try:
                    self._put_back(name)
                except (PingKillerError, OSError) as error:
                    self.failed = True
                    output.complain(
                        f"the filter on {name} keeps the options that it was to have for a while: {error}; then run "
                        f"pingkiller top --count 1, which puts them back"
                    )

    def lend(self, filters: Iterable[FilterNow], option: str, value: Any) -> None:
        """Give filters another value of an option. Raises PingKillerError, and for the rest changes nothing."""
        from ..filters import lending  # imports the compiler, which top needs for nothing else

        self._hold()
        for each in filters:
            lending.lend(
                self._base, each.name, {option: value}, sources=runtime.sources(), lock_timeout=self._lock_timeout
            )

    def end(self, filters: Iterable[FilterNow], option: str) -> None:
        """Put back one option of filters. Raises PingKillerError."""
        self._hold()
        for each in filters:
            self._put_back(each.name, option)

    def _put_back(self, name: str, option: str | None = None) -> None:
        from ..filters import lending  # imports the compiler

        lending.put_back(self._base, name, option=option, sources=runtime.sources(), lock_timeout=self._lock_timeout)

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
