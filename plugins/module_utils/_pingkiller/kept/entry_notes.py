# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an owner's entries on a list: read, checked and described."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from .. import durations
from ..entries import addresses, comments
from ..entries.claims import Claim, direction
from ..errors import printable
from ..kernel import schema
from .directory import Store
from .edit import Edit, is_number, read_checked

MAX_SHOWN = 1000  #: lines of a diff
_LONGEST_PATH = 4096  #: bytes that the kernel takes, with the terminating zero

_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Directed(TypedDict):
    direction: str  #: one of ``schema.DIRECTIONS``


class KeptEntry(_Directed, total=False):
    """What is kept of an entry. Without ``until`` and ``ttl`` it is for good. A list file itself has no ``comment``."""

    until: str  #: when it ends, in ISO 8601 and UTC
    ttl: int  #: the seconds that were left when this was written
    comment: str


class KeptSource(KeptEntry, total=False):
    """What is kept of a list file.

    The ``copies`` hold the entries that end with the file; their direction is by digest. Notes of versions that kept no
    copies have none. Options of ``list_lines.Reading`` are kept if they differ from their defaults.
    """

    format: str
    on_invalid: str
    host_bits: str
    copies: dict[str, str]


class EntriesNote(TypedDict, total=False):
    """What is kept of an owner's entries on a list. A part without content is left out."""

    sources: dict[str, KeptSource]  #: by the path of the list file
    entries: dict[str, KeptEntry]  #: by address


def read_entries(store: Store, list_name: str, owner: str) -> EntriesNote:
    """Read the note of an owner's entries; empty if there is none. Raises Broken, and PingKillerError as ``Store.read``."""
    return read_checked(store, entries_name(list_name, owner), _checked)


def owners_of_entries(store: Store, list_name: str) -> list[str]:
    """Return the owners of which there is a note, or at least a copy, which an interrupted run left without its note."""
    return sorted({*store.names("entries", list_name), *store.copied("entries", list_name)})


def entries_name(list_name: str, owner: str) -> str:
    """Return the name of the note of an owner's entries: see ``Store.path``."""
    return f"entries/{list_name}/{owner}"


def _checked(content: dict[str, Any]) -> EntriesNote:
    """Check the content of a note as ``read_checked`` wants it."""
    if not content.keys() <= {"sources", "entries"}:
        raise KeyError(*content.keys() - {"sources", "entries"})
    for path, source in content.get("sources", {}).items():
        _check_path(path)
        _check_kept(source)
        _check_source(source)
    for address, entry in content.get("entries", {}).items():
        addresses.parse(address)
        _check_kept(entry)
        _check_comment(entry)
    note: EntriesNote = {}
    if "sources" in content:
        note["sources"] = content["sources"]
    if "entries" in content:
        note["entries"] = content["entries"]
    return note


def _check_path(path: str) -> None:
    if not os.path.isabs(path) or len(path) >= _LONGEST_PATH:
        raise ValueError(path)


def _check_kept(kept: Mapping[str, Any]) -> None:
    schema.DIRECTIONS[kept["direction"]]
    if "until" in kept:
        durations.from_iso(kept["until"])
        durations.parse(kept["ttl"])
        if not is_number(kept["ttl"]):
            raise TypeError(kept["ttl"])


def _check_comment(entry: Mapping[str, Any]) -> None:
    comment = entry.get("comment", "")
    if comments.checked(comment) != comment:
        raise ValueError(comment)


def _check_source(source: Mapping[str, Any]) -> None:
    for digest, name in source.get("copies", {}).items():
        schema.DIRECTIONS[name]
        if not _DIGEST.fullmatch(digest):  # becomes part of a path
            raise ValueError(digest)


def kept_form(claim: Claim) -> KeptEntry:
    """Return what is kept of an entry with this claim."""
    kept: KeptEntry = {"direction": direction(claim.sides)}
    if claim.until != schema.FOREVER:
        kept["until"] = durations.iso(durations.from_boot(claim.until))
        kept["ttl"] = durations.left(claim.until)
    if claim.comment:
        kept["comment"] = claim.comment
    return kept


def unexpired(note: EntriesNote) -> EntriesNote:
    """Return a note without what has expired."""
    return note_of(
        sources={path: source for path, source in note.get("sources", {}).items() if seconds_left(source) != 0},
        entries={address: entry for address, entry in note.get("entries", {}).items() if seconds_left(entry) != 0},
    )


def note_of(sources: dict[str, KeptSource], entries: dict[str, KeptEntry]) -> EntriesNote:
    """Return the note of these parts, without those that are empty."""
    note: EntriesNote = {}
    if sources:
        note["sources"] = sources
    if entries:
        note["entries"] = entries
    return note


def seconds_left(kept: KeptEntry) -> int | None:
    """Return how long something kept still holds: None for good, 0 if it has expired.

    This is never longer than when it was kept: the clock of a host may be behind until the network has told it the time.
    """
    if "until" not in kept:
        return None
    return max(0, min(kept["ttl"], round(durations.from_iso(kept["until"]) - time.time())))


def describe_entries(edit: Edit, when: str) -> str:
    """Describe in lines for a diff what changes of what will be restored; ``when`` is before or after."""
    owner = edit.name.rpartition("/")[2]
    mine, other = (edit.before, edit.after) if when == "before" else (edit.after, edit.before)
    lines = []
    for part in ("sources", "entries"):
        for name, kept in mine.get(part, {}).items():
            if other.get(part, {}).get(name) != kept:
                expiry = f" until={kept['until'][:16]}Z" if "until" in kept else ""
                content = _describe_copies(kept) if part == "sources" else comments.option(kept.get("comment", ""))
                lines.append(
                    f"at boot: {printable(name)} direction={kept['direction']} owner={owner}{expiry}{content}\n"
                )
    return "".join(lines[:MAX_SHOWN])


def _describe_copies(source: KeptSource) -> str:
    """Describe the content of a list file. The beginnings of digests are enough to tell contents apart."""
    if "copies" not in source:
        return ", what the file holds then"
    return ", " + (" and ".join(f"copy {digest[:12]}" for digest in source["copies"]) or "nothing")
