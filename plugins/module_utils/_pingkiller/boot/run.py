# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run that restores what is kept, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ..errors import PingKillerError, bounded
from ..kept.directory import Store

Result = TypeVar("Result")


class Outcome(NamedTuple):
    """What came of a run, in sentences."""

    changed: list[str]  #: restored; in check mode: missing
    absent: list[str]  #: filters whose interface is missing
    warnings: list[str]
    errors: list[str]
    lost: list[str]  #: filters that have an owner, but no note says how to restore them


class Run(NamedTuple):
    """What one run is about."""

    store: Store
    sources: dict[str, str]  #: the filter's C sources by file name
    base: str  #: the directory of the pins
    capacity: int | None  #: of each list, in entries; None: the default
    check: bool  #: only say what is missing
    lock_timeout: float  #: seconds
    outcome: Outcome

    def attempt(self, action: Callable[[], Result]) -> Result | None:
        """Return the result of an action. If it fails, note the error, once, and return None, so that the run goes on."""
        try:
            return action()
        except PingKillerError as error:
            sentence = str(error)
        except OSError as error:
            sentence = f"a system call failed ({error}): fix the cause and run this again"
        sentence = bounded(sentence)
        if sentence not in self.outcome.errors:
            self.outcome.errors.append(sentence)
        return None

    def names(self, *inside: str) -> list[str]:
        """Return the names of the notes in an inner directory of the store; empty, with an error, if it cannot be read."""
        return self.attempt(lambda: self.store.names(*inside)) or []
