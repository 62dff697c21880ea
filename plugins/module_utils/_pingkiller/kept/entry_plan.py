# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan what a request for a list changes of what is kept of its owners' entries."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..entries import addresses
from ..entries.claims import Claim, direction
from ..kernel import schema
from . import copies
from .directory import Store
from .edit import understood
from .entries_request import Copies, EntriesRequest, Staying, kept_forms
from .entry_edit import EntriesEdit
from .entry_notes import (
    EntriesNote,
    KeptEntry,
    KeptSource,
    entries_name,
    note_of,
    owners_of_entries,
    read_entries,
    unexpired,
)
from .narrowing import held, narrowed_copies, without, without_damaged


def plan_entries(store: Store, request: EntriesRequest) -> list[EntriesEdit]:
    """Plan what a request changes of what will be restored. Raises PingKillerError if the directory is not root's alone."""
    store.require_own()
    options = request.options
    if options.everything:
        edit = _unchanged(store, options.name, options.owner)
        return [edit._replace(after={})]
    if options.absent:
        owners = owners_of_entries(store, options.name) if options.any_owner else [options.owner]
        return [_taken_out(_unchanged(store, options.name, owner), request, _other_sides) for owner in owners]
    mine = _unchanged(store, options.name, options.owner)
    if options.from_owner is None:
        return [_plan_present(mine, request, [mine])]
    theirs = _unchanged(store, options.name, options.from_owner)
    return [_plan_present(mine, request, [theirs, mine]), _taken_out(theirs, request, _none)]


def _other_sides(kept: KeptEntry, claim: Claim) -> tuple[int, ...]:
    return tuple(side for side in schema.DIRECTIONS[kept["direction"]] if side not in claim.sides)


def _none(_kept: KeptEntry, _claim: Claim) -> tuple[int, ...]:
    return ()


def _all_if_the_same(kept: KeptEntry, claim: Claim) -> tuple[int, ...]:
    """Otherwise several places that keep the same entry would undo each other's notes with every run."""
    sides = schema.DIRECTIONS[kept["direction"]]
    return sides if claim == Claim(sides, comment=kept.get("comment", "")) and "until" not in kept else ()


def _unchanged(store: Store, list_name: str, owner: str) -> EntriesEdit:
    """Return an edit without a change yet, except that it removes copies that an interrupted run left without a note."""
    found = understood(lambda: read_entries(store, list_name, owner))
    if found == {} and owner in store.copied("entries", list_name):
        found = None
    before = unexpired(found or {})
    return EntriesEdit(store=store, name=entries_name(list_name, owner), found=found, before=before, after=before)


def _plan_present(edit: EntriesEdit, request: EntriesRequest, before: list[EntriesEdit]) -> EntriesEdit:
    """Plan for the owner of the request. ``before`` are the edits of those whose comments it keeps, its own last."""
    options = request.options
    if options.persist is None and not edit.store.restores():
        return edit
    kept: EntriesNote = {} if options.exclusive else edit.before
    if options.persist is False:
        rest = _taken_out(edit._replace(before=kept), request, _none)
        return edit._replace(after=rest.after, packed=rest.packed)
    packed = {} if request.path is None else request.copies.packed
    missing = {digest: data for digest, data in packed.items() if not edit.store.has_copy(edit.name, digest, data)}
    rest = _beside(edit._replace(before=kept), request)
    return edit._replace(
        before=_without_copies(edit.before, missing),
        after=_merged(_merged(rest.after, request.note), note_of({}, _with_old_comments(before, request))),
        packed={**rest.packed, **missing},
    )


def _with_old_comments(before: list[EntriesEdit], request: EntriesRequest) -> dict[str, KeptEntry]:
    """Return the requested entries that keep the comments that are kept of them."""
    found: dict[bytes, Claim] = {}
    for edit in before if request.options.keeps_comments else ():
        for address, entry in edit.before.get("entries", {}).items():
            claim = request.by_key.get(addresses.parse(address)) if "comment" in entry else None
            if claim is not None and not claim.comment:
                found[addresses.parse(address)] = claim._replace(comment=entry["comment"])
    return kept_forms(found)


def _beside(edit: EntriesEdit, request: EntriesRequest) -> EntriesEdit:
    """Plan what stays kept beside the requested entries.

    An entry is kept as it was requested last, in several places if need be. Entries that are no longer in the list file
    stay on the list. They stay in its copies, or one by one if they end at another time than the file.
    """
    sources = dict(edit.before.get("sources", {}))
    old = None if request.path is None else sources.pop(request.path, None)
    others = note_of(sources, edit.before.get("entries", {}))
    rest = _taken_out(edit._replace(before=others), request, _all_if_the_same)
    if old is None or request.path is None or not old.get("copies"):
        return rest
    gone = _no_longer_in_file(edit, request, old)
    if "until" not in old and "until" not in request.source:
        stays = note_of({request.path: {**old, "copies": gone.directions}}, {})
        return rest._replace(after=_merged(rest.after, stays), packed={**rest.packed, **gone.packed})
    return rest._replace(after=_merged(note_of({}, _one_by_one(edit, old, gone)), rest.after))


def _no_longer_in_file(edit: EntriesEdit, request: EntriesRequest, old: KeptSource) -> Copies:
    """Return copies of the entries of a list file that are not in it any more."""
    present = request.copies.directions
    rest = without_damaged(edit, {**old, "copies": without(old["copies"], present)}, request=request, staying=_none)
    if present.keys() <= old["copies"].keys() and not request.apart:  # no other copy has entries of these
        return Copies(directions=rest["copies"], packed={})
    return narrowed_copies(edit, rest, request=request, staying=_none)


def _one_by_one(edit: EntriesEdit, source: KeptSource, gone: Copies) -> dict[str, KeptEntry]:
    """Return the entries of copies as they are kept one by one, with the end of their list file."""
    entries: dict[str, KeptEntry] = {}
    for digest, name in gone.directions.items():
        kept: KeptEntry = {"direction": name}
        if "until" in source:
            kept = {"direction": name, "until": source["until"], "ttl": source["ttl"]}
        for key in copies.unpack(gone.packed.get(digest) or held(edit, digest)):
            entries[addresses.display(key)] = kept
    return entries


def _merged(old: EntriesNote, new: EntriesNote) -> EntriesNote:
    """Return all of both notes. What is in both is as in the new one, but a list file has the copies of both."""
    old_sources, sources = old.get("sources", {}), {**old.get("sources", {}), **new.get("sources", {})}
    for path in old_sources.keys() & new.get("sources", {}).keys():
        both = {**old_sources[path].get("copies", {}), **new["sources"][path].get("copies", {})}
        sources[path] = {**old_sources[path], **new["sources"][path], "copies": both}
    return note_of(sources, {**old.get("entries", {}), **new.get("entries", {})})


def _taken_out(edit: EntriesEdit, request: EntriesRequest, staying: Staying) -> EntriesEdit:
    """Plan that of the requested entries, and of the list file, no more sides stay kept than ``staying`` says."""
    entries: dict[str, KeptEntry] = {}
    for address, entry in edit.before.get("entries", {}).items():
        claim = request.by_key.get(addresses.parse(address))
        sides = schema.DIRECTIONS[entry["direction"]] if claim is None else staying(entry, claim)
        if sides:
            entries[address] = {**entry, "direction": direction(sides)}
    sources: dict[str, KeptSource] = {}
    packed: dict[str, bytes] = {}
    for path, source in edit.before.get("sources", {}).items():
        left = _source_left(edit, source, request=request, staying=staying, own=path == request.path)
        if left.source is not None:
            sources[path] = left.source
        packed.update(left.packed)
    return edit._replace(after=note_of(sources, entries), packed=packed)


class _SourceLeft(NamedTuple):
    source: KeptSource | None  #: None if nothing of the list file stays kept
    packed: dict[str, bytes]  #: copies that have to be written, by digest


def _source_left(
    edit: EntriesEdit, source: KeptSource, *, request: EntriesRequest, staying: Staying, own: bool
) -> _SourceLeft:
    """Return what stays of a list file; ``own`` says that it is the one of the request."""
    sides = schema.DIRECTIONS[source["direction"]]
    stay = staying(source, request.requested.usual) if own else sides
    if not source.get("copies"):
        return _SourceLeft({**source, "direction": direction(stay)} if stay else None, {})
    whole = without_damaged(edit, source, request=request, staying=staying) if own else source
    left = narrowed_copies(edit, whole, request=request, staying=staying)
    if not left.directions:
        return _SourceLeft(None, left.packed)
    return _SourceLeft({**whole, "copies": left.directions, "direction": direction(stay or sides)}, left.packed)


def _without_copies(note: EntriesNote, lost: Collection[str]) -> EntriesNote:
    """Return a note that does not name some copies."""
    sources: dict[str, KeptSource] = {
        path: {**source, "copies": without(source["copies"], lost)} if "copies" in source else source
        for path, source in note.get("sources", {}).items()
    }
    return note_of(sources, note.get("entries", {}))
