# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore the entries of lists."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..entries.claims import Claim
from ..entries.requested import RequestedEntries
from ..errors import PingKillerError, quoted_path
from ..files import deadline
from ..kept import copies, entry_notes
from ..kept.directory import Store
from ..kept.entries_request import reading_of
from ..kept.entry_notes import KeptEntry, KeptSource
from ..kernel import schema
from ..store import entry_list
from ..store.entry_list import EntryList
from ..store.list_reader import MANY
from ..store.pins import Pins
from .run import Run

PATIENCE = 10.0  #: seconds that a boot waits for each list file that is not kept

#: The allowlist comes first, so that the blocklist never drops what the allowlist protects.
_LISTS = (schema.ALLOWLIST, schema.BLOCKLIST)


class Alike(NamedTuple):
    """Keys with the same claim."""

    claim: Claim  #: its ``until`` is 0 if it has expired
    keys: list[bytes]


#: Entries that are kept in one place. They are read when they are asked for.
Part = Iterator[Alike]


class Owned(NamedTuple):
    """What an owner has on a list. Every part is read and restored by itself."""

    list_name: str
    owner: str
    #: Entries that are kept one by one, which may have comments, and copies, which may have the same entries.
    kept: list[Part]
    elsewhere: list[Part]  #: list files of which an earlier version kept no copy


def restore_lists(run: Run) -> list[Owned]:
    """Restore what is kept on the lists. Return it, so that ``restore_elsewhere`` can restore the rest later."""
    found: list[Owned] = []
    for list_name in _LISTS:
        for owner in run.names("entries", list_name):
            owned = run.attempt(partial(read_owned, run.store, list_name, owner))
            if owned is not None:
                _restore_parts(run, owned, owned.kept)
                found.append(owned)
    return found


def restore_elsewhere(run: Run, owned: Owned) -> None:
    """Restore the list files that are not kept. Each may take a while: see ``PATIENCE``."""
    _restore_parts(run, owned, owned.elsewhere)


def _restore_parts(run: Run, owned: Owned, parts: list[Part]) -> None:
    counts = [run.attempt(partial(_restore_part, run, owned, part)) or 0 for part in parts]
    if sum(counts):
        run.outcome.changed.append(f"entries of {owned.owner} on the {owned.list_name}: {sum(counts)}")


def _restore_part(run: Run, owned: Owned, part: Part) -> int:
    """Restore entries. Return how many of them the list did not have, or not in this way."""
    valid = [alike for alike in part if alike.claim.until]
    with entry_list.opened_list(Pins(run.base), owned.list_name) as entries:
        left = valid if entries is None else _missing(entries, owned.owner, valid)
    if not any(alike.keys for alike in left):
        return 0
    from ..lists.change import change_list  # imports much, and mostly the lists have what is kept
    from ..lists.request import Foreseen, ListRequest

    request = ListRequest(
        name=owned.list_name,
        entries=RequestedEntries.of(left),
        owner=owned.owner,
        foreseen=Foreseen(capacity=run.capacity),
    )
    result = change_list(run.base, request, check=run.check, lock_timeout=run.lock_timeout)
    return int(result["added_count"] + result["updated_count"])


def _missing(entries: EntryList, owner: str, wanted: list[Alike]) -> list[Alike]:
    """Return what an owner does not have on a list, or not in this way.

    An entry with an expiry keeps the expiry that it has there. Of many entries for good, and of a list that is damaged, all those
    for good are returned: a change finds out quicker, and repairs the list.
    """
    entries.compare(MANY)
    everything = entries.dirty or sum(len(alike.keys) for alike in wanted) > MANY
    looked_at = [alike for alike in wanted if alike.claim.until != schema.FOREVER or not everything]
    keys = dict.fromkeys(key for alike in looked_at for key in alike.keys)
    has = {key: held.claims[owner] for held in entries.held(keys) if owner in held.claims for key in held.keys}
    return [
        alike._replace(keys=[key for key in alike.keys if key not in has or not _stays(has[key], alike.claim)])
        for alike in wanted
    ]


def _stays(claim: Claim, wanted: Claim) -> bool:
    return wanted.until != schema.FOREVER or claim == wanted


# Reading what is kept


def read_owned(store: Store, list_name: str, owner: str) -> Owned:
    """Read the note of an owner's entries. Raises what ``read_entries`` raises; reading a part may raise PingKillerError."""
    note = entry_notes.read_entries(store, list_name, owner)
    name = entry_notes.entries_name(list_name, owner)
    sources = note.get("sources", {})
    kept_copies = [part for source in sources.values() for part in _of_copies(store, name, source)]
    return Owned(
        list_name=list_name,
        owner=owner,
        kept=[_of_entries(note.get("entries", {})), *kept_copies],
        elsewhere=[_of_file(list_name, path, source) for path, source in sources.items() if "copies" not in source],
    )


def _of_copies(store: Store, name: str, source: KeptSource) -> list[Part]:
    return [
        _of_copy(store, name, digest=digest, claim=Claim(schema.DIRECTIONS[direction], _until(source)))
        for digest, direction in source.get("copies", {}).items()
    ]


def _of_copy(store: Store, name: str, *, digest: str, claim: Claim) -> Part:
    yield Alike(claim, copies.unpack(store.read_copy(name, digest)))


def _of_file(list_name: str, path: str, source: KeptSource) -> Part:
    """Read a list file as it is now, until it is taken again and copies of it are kept."""
    from ..lists.demand import read_demand  # see ``_restore_part``
    from ..lists.request import ListRequest

    request = ListRequest(list_name, src=path, direction=source["direction"], reading=reading_of(source))
    try:
        requested = deadline.within(PATIENCE, lambda: read_demand(request).requested)
    except TimeoutError:
        raise PingKillerError(
            f"src={quoted_path(path)} was not read within {PATIENCE:g} s, so nothing of it is on the {list_name}: see what its file "
            f"system waits for, and run the task that takes the list file again"
        ) from None
    for claim, keys in requested.by_claim().items():
        if claim.until == schema.FOREVER:  # entries with a ttl are kept one by one
            yield Alike(claim._replace(until=_until(source)), keys)


def _of_entries(entries: dict[str, KeptEntry]) -> Part:
    for address, kept in entries.items():
        claim = Claim(schema.DIRECTIONS[kept["direction"]], _until(kept), kept.get("comment", ""))
        yield Alike(claim, [addresses.parse(address)])


def _until(kept: KeptEntry) -> int:
    """Return when something kept ends, as a claim has it; 0 if it has expired."""
    seconds = entry_notes.seconds_left(kept)
    return schema.FOREVER if seconds is None else seconds and durations.until(seconds)
