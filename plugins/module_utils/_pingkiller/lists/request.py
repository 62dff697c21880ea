# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a front end asks of a list, read and checked before anything on the host is looked at."""

from __future__ import annotations

import io
import os
import sys
from typing import NamedTuple

from .. import durations
from ..entries import list_files
from ..entries.claims import Demand
from ..entries.list_files import Reading
from ..entries.wishes import Wanted, Wishes
from ..errors import PingKillerError, quoted, quoted_path, shortened_path
from ..files import reading
from ..kept.directory import Store
from ..kernel import schema
from ..store import limits
from .foreseen import Foreseen

_PATIENCE = 60  #: seconds for a list file: the largest there may be, from a slow server


class ListRequest(NamedTuple):
    """What is asked of a list. One of ``ip``, ``src``, ``content``, ``wishes`` is set; ``src`` with ``content`` is a file to come."""

    name: str
    ip: list[str] | None = None
    src: str | None = None
    content: str | None = None
    wishes: Wishes | None = None  #: what was read before
    absent: bool = False
    exclusive: bool = False
    owner: str = "adhoc"
    direction: str | None = None  #: None: src, or of entries that are to go, whatever they have
    ttl: str | None = None
    from_owner: str | None = None
    any_owner: bool = False
    reading: Reading = Reading()
    persist: bool | None = None  #: None: where the host restores its filters
    store: Store | None = None  #: None: what is restored at boot is left alone
    foreseen: Foreseen = Foreseen()  #: for a prediction


def read_demand(request: ListRequest) -> Demand:
    """What is asked for. Raises PingKillerError before anything on the host is looked at."""
    if request.exclusive and request.absent:
        raise PingKillerError(
            "exclusive=true and state=absent contradict each other: use exclusive with state=present only"
        )
    if request.any_owner and not request.absent:
        raise PingKillerError("any_owner=true and state=present contradict each other: name who wants it with owner")
    _check_owner("owner", request.owner)
    _check_handover(request)
    wishes = _read_wishes(request)
    if len(wishes.keys) > _most(request):
        list_files.check_number(set(wishes.keys), _most(request))
    return Demand(
        wishes,
        request.owner,
        absent=request.absent,
        exclusive=request.exclusive,
        from_owner=request.from_owner,
        any_owner=request.any_owner,
    )


def _read_wishes(request: ListRequest) -> Wishes:
    if request.wishes is not None:
        return request.wishes
    until = schema.FOREVER if request.ttl is None else durations.until(durations.checked("ttl", request.ttl))
    wanted = Wanted(schema.DIRECTIONS[request.direction or ("both" if request.absent else "src")], until)
    if request.content is not None:
        file = io.StringIO(request.content, newline=None)
        return list_files.parse_file(file, "content", wanted, request.reading, most=_most(request))
    if request.src is not None:
        return _read_file(request.src, wanted, request.reading, _most(request))
    texts = [text.strip() for text in request.ip or []]
    return list_files.parse_all(texts, wanted, request.reading)


def _most(request: ListRequest) -> int:
    """How many entries may be asked for: no more than a list holds, but any number may be asked to go."""
    return sys.maxsize if request.absent else limits.MAX_CAPACITY


def _check_owner(option: str, owner: str) -> None:
    allowed = owner.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum()) or len(owner) >= schema.OWNER_SIZE:
        raise PingKillerError(
            f"{option}={quoted(owner)} is no name for an owner: use up to {schema.OWNER_SIZE - 1} letters, digits, dots, dashes, underscores"
        )


def _check_handover(request: ListRequest) -> None:
    if request.from_owner is None:
        return
    _check_owner("from_owner", request.from_owner)
    if request.absent:
        raise PingKillerError(
            "from_owner and state=absent contradict each other: to take back what an owner wants, name it with owner"
        )
    if request.from_owner == request.owner:
        raise PingKillerError(
            f"from_owner={request.from_owner!r} is the owner itself: name the one who has the entries now, or leave it out"
        )


def _read_file(path: str, wanted: Wanted, how: Reading, most: int) -> Wishes:
    try:
        reading.require_answer(path, _PATIENCE)
        with reading.opened(path) as file:
            before = _version_of(file)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
            wishes = list_files.parse_file(text, shortened_path(path), wanted, how, path, most)
            changed = _version_of(file) != before
    except ValueError as error:
        raise PingKillerError(
            f"src={quoted_path(path)} {error}: give the path of a list file on the managed host"
        ) from None
    except TimeoutError:
        raise PingKillerError(
            f"src={quoted_path(path)} was not read within {_PATIENCE:g} s: nothing was changed; see what its file system waits for"
        ) from None
    except OSError as error:
        raise PingKillerError(
            f"src={quoted_path(path)} cannot be read on the managed host ({error.strerror}): give the path of a list file there"
        ) from None
    if changed:  # half a list would remove the other half
        raise PingKillerError(
            f"src={quoted_path(path)} was written to while it was read: nothing was changed; run again"
        )
    return wishes


def _version_of(file) -> tuple:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
