# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and check what a front end asks of a list, before anything else on the host is looked at."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO

from .. import durations
from ..entries import comments, list_files
from ..entries.claims import Claim
from ..entries.list_lines import Reading
from ..entries.plan import Demand
from ..entries.requested import RequestedEntries
from ..errors import PingKillerError, quoted, quoted_path, shortened_path
from ..files import reading
from ..kernel import schema
from ..store import limits
from .request import ListRequest

PATIENCE = 60  #: seconds to wait for a list file: enough for the largest one from a slow server


def read_demand(request: ListRequest) -> Demand:
    """Return what a request demands of its list. Raises PingKillerError for what contradicts itself or cannot be read."""
    if request.exclusive and request.absent:
        raise PingKillerError(
            "exclusive=true and state=absent contradict each other: use exclusive with state=present only"
        )
    if request.any_owner and not request.absent:
        raise PingKillerError(
            "any_owner=true and state=present contradict each other: leave out any_owner, and say with owner who wants the entries"
        )
    check_owner("owner", request.owner)
    _check_handover(request)
    requested = _requested(request)
    if len(requested.keys) > _most(request):
        list_files.check_number(set(requested.keys), _most(request))
    return Demand(
        requested=requested,
        owner=request.owner,
        absent=request.absent,
        exclusive=request.exclusive or request.everything,
        from_owner=request.from_owner,
        any_owner=request.any_owner,
        keeps_comments=request.keeps_comments,
    )


def _requested(request: ListRequest) -> RequestedEntries:
    if request.entries is not None:
        return request.entries
    until = schema.FOREVER if request.ttl is None else durations.until(durations.checked("ttl", request.ttl))
    sides = schema.DIRECTIONS[request.direction or ("both" if request.absent else "src")]
    usual = Claim(sides, until, checked_comment(request.comment or ""))
    if request.everything:
        return RequestedEntries([], usual)
    if request.content is not None:
        file = io.StringIO(request.content, newline=None)
        return list_files.parse_file(file, "content", usual, reading=request.reading, most=_most(request))
    if request.src is not None:
        return _read_file(request.src, usual, how=request.reading, most=_most(request))
    texts = [text.strip() for text in request.ip or []]
    return list_files.parse_all(texts, usual, request.reading)


def checked_comment(text: str) -> str:
    """Return the comment of a request as it is stored. Raises PingKillerError."""
    try:
        return comments.checked(text)
    except ValueError as error:
        raise PingKillerError(f"comment={quoted(text)} {error}") from None


def _most(request: ListRequest) -> int:
    """Return how many entries may be requested: as many as a list holds, and with ``absent`` any number."""
    return sys.maxsize if request.absent else limits.MAX_CAPACITY


def check_owner(option: str, owner: str) -> None:
    """Check the name of an owner, which ``option`` has. Raises PingKillerError."""
    allowed = owner.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum()) or len(owner) >= schema.OWNER_SIZE:
        raise PingKillerError(
            f"{option}={quoted(owner)} is not a valid owner name: use up to {schema.OWNER_SIZE - 1} letters, digits, dots, dashes, underscores"
        )


def _check_handover(request: ListRequest) -> None:
    if request.from_owner is None:
        return
    check_owner("from_owner", request.from_owner)
    if request.absent:
        raise PingKillerError(
            "from_owner and state=absent contradict each other: to remove what an owner wants, name that owner with owner"
        )
    if request.from_owner == request.owner:
        raise PingKillerError(
            f"from_owner={request.from_owner!r} is the owner itself: name the one who has the entries now, or leave it out"
        )


def _read_file(path: str, usual: Claim, *, how: Reading, most: int) -> RequestedEntries:
    try:
        reading.require_answer(path, PATIENCE)
        with reading.opened(path) as file:
            before = _version_of(file)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
            requested = list_files.parse_file(text, shortened_path(path), usual, reading=how, path=path, most=most)
            changed = _version_of(file) != before
    except ValueError as error:
        raise PingKillerError(
            f"src={quoted_path(path)} {error}: give the path of a list file on the managed host"
        ) from None
    except TimeoutError:
        raise PingKillerError(
            f"src={quoted_path(path)} was not read within {PATIENCE:g} s: nothing was changed; see what its file system waits for"
        ) from None
    except OSError as error:
        raise PingKillerError(
            f"src={quoted_path(path)} cannot be read on the managed host ({error.strerror}): give the path of a list file there"
        ) from None
    if changed:  # applying half of the list would remove the other half
        raise PingKillerError(
            f"src={quoted_path(path)} was written to while it was read: nothing was changed; run again"
        )
    return requested


def _version_of(file: BinaryIO) -> tuple[int, int]:
    """Return the size of a file, in bytes, and the time of its last change, in nanoseconds."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
