# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an owner's entries on a list: read, checked and described."""

from __future__ import annotations

import os
import re
import time

from .. import durations
from ..entries import addresses
from ..entries.claims import direction
from ..entries.wishes import Wanted
from ..errors import printable
from ..kernel import schema
from .directory import Store
from .edit import Edit, is_number, read_checked

_LONGEST_PATH = 4096  #: the kernel takes none as long as this, and no name of an interface as long as the next

_DIGEST = re.compile(r"[0-9a-f]{64}")


# Entries


def entries(store: Store, list_name: str, owner: str) -> dict:
    """``sources``: list files by path; ``entries``: by address. Each has ``direction``, with ``until`` and ``ttl`` if it expires.

    A list file has ``copies``, the direction of each by its digest; those of a version that kept none are without, and have how
    the file is to be read, where that is not as usual.
    """
    return read_checked(store, entries_name(list_name, owner), _check_entries)


def owners_of_entries(store: Store, list_name: str) -> list[str]:
    """Also those of whom a run that was interrupted has left no more than a copy."""
    return sorted({*store.names("entries", list_name), *store.copied("entries", list_name)})


def entries_name(list_name: str, owner: str) -> str:
    return f"entries/{list_name}/{owner}"


def _check_entries(content: dict) -> None:
    for part, kept in content.items():
        for name, about in kept.items():
            _check_kept(part, name, about)


def _check_kept(part: str, name: str, about: dict) -> None:
    {"entries": addresses.parse, "sources": _check_path}[part](name)
    for each in (about["direction"], *about.get("copies", {}).values()):
        schema.DIRECTIONS[each]
    for digest in about.get("copies", ()):
        if not _DIGEST.fullmatch(digest):  # becomes part of a path
            raise ValueError(digest)
    if "until" in about:
        durations.from_iso(about["until"])
        durations.parse(about["ttl"])
        if not is_number(about["ttl"]):
            raise TypeError(about["ttl"])


def _check_path(path: str) -> None:
    if not os.path.isabs(path) or len(path) >= _LONGEST_PATH:
        raise ValueError(path)


def kept_form(wanted: Wanted) -> dict:
    kept = {"direction": direction(wanted.sides)}
    if wanted.until == schema.FOREVER:
        return kept
    return {**kept, "until": durations.iso(durations.from_boot(wanted.until)), "ttl": durations.left(wanted.until)}


def unexpired(content: dict) -> dict:
    return nonempty(
        {part: {name: kept for name, kept in each.items() if seconds_left(kept) != 0} for part, each in content.items()}
    )


def nonempty(content: dict) -> dict:
    return {part: each for part, each in content.items() if each}


def seconds_left(kept: dict) -> int | None:
    """How long something kept still holds: None for good, 0 if it has expired.

    Never longer than it was given, since a host's clock may be behind until the network has told it the time.
    """
    if "until" not in kept:
        return None
    return max(0, min(kept["ttl"], round(durations.from_iso(kept["until"]) - time.time())))


def describe_entries(edit: Edit, when: str) -> str:
    """What changes of what will be restored, as lines for a diff."""
    owner = edit.name.rpartition("/")[2]
    mine, other = (getattr(edit, side) for side in ((when, "after") if when == "before" else (when, "before")))
    lines = []
    for part in ("sources", "entries"):
        for name, kept in mine.get(part, {}).items():
            if other.get(part, {}).get(name) != kept:
                expiry = f" until={kept['until'][:16]}Z" if "until" in kept else ""
                content = _describe_content(kept) if part == "sources" else ""
                lines.append(
                    f"at boot: {printable(name)} direction={kept['direction']} owner={owner}{expiry}{content}\n"
                )
    return "".join(lines[:MAX_SHOWN])


def _describe_content(about: dict) -> str:
    """Of a list file. Digests tell contents apart, and nobody reads more of them."""
    if "copies" not in about:
        return ", what the file holds then"
    return ", " + (" and ".join(f"copy {digest[:12]}" for digest in about["copies"]) or "nothing")


MAX_SHOWN = 1000  #: lines of a diff
