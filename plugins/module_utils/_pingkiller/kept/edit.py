# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned changes of the files that say what a host has after a boot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from ..errors import PingKillerError, quoted
from .directory import REMEDY, Broken, Store

Note = TypeVar("Note")


class Edit(Protocol):
    """A planned change of one note, which is a JSON file. It is true if it changes what will be restored."""

    @property
    def name(self) -> str:
        """The name of the note: see ``Store.path``."""

    @property
    def before(self) -> Mapping[str, Any]:
        """What will be restored without the change."""

    @property
    def after(self) -> Mapping[str, Any]:
        """What will be restored with the change. Empty: there will be no file."""

    def __bool__(self) -> bool: ...

    def write(self) -> None:
        """Make the change. Raises PingKillerError, and OSError."""


class NoteEdit(NamedTuple):
    """The ``Edit`` of a note that is nothing but its file."""

    store: Store
    name: str
    found: Mapping[str, Any] | None  #: the content of the file; None if it cannot be understood
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def __bool__(self) -> bool:
        return self.found is None or self.before != self.after

    def write(self) -> None:
        if self.found != self.after:
            self.store.write(self.name, self.after)


def write_all(edits: Iterable[Edit]) -> None:
    """Write edits after what they note was done in the kernel. Raises PingKillerError, which says so if a disk is full."""
    try:
        for edit in edits:
            edit.write()
    except OSError as error:
        raise PingKillerError(
            f"the change is made, but a boot will undo it, since it could not be noted ({error}): fix the cause and run this again"
        ) from None


def understood(read: Callable[[], Note]) -> Note | None:
    """Return what ``read`` returns, or None if a file cannot be understood."""
    try:
        return read()
    except Broken:
        return None


def read_checked(store: Store, name: str, checked: Callable[[dict[str, Any]], Note]) -> Note:
    """Return what ``checked`` makes of the content of a file.

    ``checked`` raises AttributeError, KeyError, TypeError or ValueError for content that PingKiller does not write. This
    raises Broken instead.
    """
    content = store.read(name)
    try:
        return checked(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {quoted(str(error))}"  # Python may quote half of the file
        raise Broken(f"{store.path(name)} is not as PingKiller writes it ({what}): {REMEDY}") from None


def is_number(value: object) -> bool:
    """Tell whether a value of JSON is an integer. In Python, true and false are integers, too."""
    return isinstance(value, int) and not isinstance(value, bool)
