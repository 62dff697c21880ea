# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request for a list changes of what is kept."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from itertools import filterfalse

from ..entries import addresses
from ..entries.claims import direction
from ..entries.wishes import Wanted, Wishes
from ..errors import PingKillerError
from ..kernel import schema
from . import copies
from .directory import Store
from .edit import Edit, EntriesEdit, understood
from .entry_notes import entries, entries_name, kept_form, nonempty, owners_of_entries, unexpired

#: Which sides stay of something kept, of which this is wanted. See ``Asked.concerned``.
Left = Callable[[dict, Wanted], tuple[int, ...]]


class Asked:
    """A request for a list with what was read for it, and how that is kept, which is worked out once and only if it is."""

    def __init__(self, request, wishes: Wishes) -> None:
        self.request = request
        self.wishes = wishes
        self.path = None if request.src is None else os.path.abspath(request.src)

    @functools.cached_property
    def by_key(self) -> dict[bytes, Wanted]:
        return self.wishes.by_key()

    def concerned(self, about: dict, left: Left) -> dict[bytes, tuple[int, ...]]:
        """The keys of which not all stays that is kept like this, each with the sides that do."""
        found = {}
        for wanted, keys in self._by_wanted.items():
            stays = left(about, wanted)
            if stays != schema.DIRECTIONS[about["direction"]]:
                found.update(dict.fromkeys(keys, stays))
        return found

    @functools.cached_property
    def _by_wanted(self) -> dict[Wanted, list[bytes]]:
        return self.wishes.by_wanted()

    @functools.cached_property
    def kept(self) -> tuple[dict, dict[str, bytes]]:
        """What a note has of it, and the copies that are named there, by digest.

        A copy of a list file has what is for good and what ends with the file; its other entries that expire are kept one by
        one, with the time. The note of a list file also says what an older runtime needs that reads it again.
        """
        request, usual = self.request, self.wishes.wanted
        if self.path is None:
            return {"entries": {addresses.display(key): kept_form(each) for key, each in self.by_key.items()}}, {}
        groups = dict(self._by_wanted)
        timed = [wanted for wanted in groups if wanted.until != schema.FOREVER and wanted != usual]
        expiring = {addresses.display(key): kept_form(wanted) for wanted in timed for key in groups.pop(wanted)}
        named, packed = _pack({wanted.sides: keys for wanted, keys in groups.items()})
        about = {**kept_form(usual), **request.reading.chosen(), "copies": named}
        return {"sources": {self.path: about}, "entries": expiring}, packed


def _pack(keys: Mapping[tuple[int, ...], list[bytes]]) -> tuple[dict[str, str], dict[str, bytes]]:
    """Copies of keys by their sides: the direction of each by its digest, and what it holds by its digest."""
    packed = {direction(sides): copies.pack(alike) for sides, alike in keys.items() if alike}
    digests = {name: copies.digest(each) for name, each in packed.items()}
    return {digests[name]: name for name in packed}, {digests[name]: each for name, each in packed.items()}


def plan_entries(store: Store, asked: Asked) -> list[Edit]:
    """What a request for a list changes of what will be restored."""
    store.require_own()
    request = asked.request
    if request.absent:
        owners = owners_of_entries(store, request.name) if request.any_owner else [request.owner]
        return [_taken_out(_begin(store, request, owner), asked, _without_these) for owner in owners]
    edits = [_plan_present(_begin(store, request, request.owner), asked)]
    if request.from_owner is not None:
        edits.append(_taken_out(_begin(store, request, request.from_owner), asked, _nothing))
    return edits


def _begin(store: Store, request, owner: str) -> Edit:
    """No change yet of what an owner has on the list, but that copies go which an interrupted run left without a note."""
    found = understood(entries, store, request.name, owner)
    if found == {} and owner in store.copied("entries", request.name):
        found = None
    before = unexpired(found or {})
    return EntriesEdit(store, entries_name(request.name, owner), found, before, before)


def _plan_present(edit: Edit, asked: Asked) -> Edit:
    request = asked.request
    if request.persist is None and not edit.store.restores():
        return edit
    kept = {} if request.exclusive else edit.before
    if request.persist is False:
        rest = _taken_out(edit._replace(before=kept), asked, _nothing)
        return edit._replace(after=rest.after, packed=rest.packed)
    content, packed = asked.kept
    missing = {digest: each for digest, each in packed.items() if not edit.store.has_copy(edit.name, digest, each)}
    rest = _beside(edit._replace(before=kept), asked)
    before = _without_copies(edit.before, missing)
    return edit._replace(before=before, after=_merged(rest.after, content), packed={**rest.packed, **missing})


def _beside(edit: Edit, asked: Asked) -> Edit:
    """What is kept beside what is asked for: an entry is kept as it was asked for last, if need be in several places.

    What was taken from the list file before and is in it no more stays on the list. It stays in copies, or by itself if it has
    another end than the file.
    """
    sources = dict(edit.before.get("sources", {}))
    old = sources.pop(asked.path, {})
    rest = _taken_out(edit._replace(before={**edit.before, "sources": sources}), asked, _if_alike)
    if not old.get("copies"):
        return rest
    named, packed = _no_longer_in_file(edit, asked, old)
    if not any("until" in each for each in (old, asked.kept[0]["sources"][asked.path])):
        stays = {"sources": {asked.path: {**old, "copies": named}}}
        return rest._replace(after=_merged(rest.after, stays), packed={**rest.packed, **packed})
    expiry = {each: old[each] for each in ("until", "ttl") if each in old}
    keys = [(name, copies.unpack(packed.get(digest) or _held(edit, digest))) for digest, name in named.items()]
    stays = {addresses.display(key): {"direction": name, **expiry} for name, alike in keys for key in alike}
    return rest._replace(after=_merged({"entries": stays}, rest.after))


def _no_longer_in_file(edit: Edit, asked: Asked, old: dict) -> tuple[dict[str, str], dict[str, bytes]]:
    """What the copies of a list file hold of it that is in it no more; as ``_narrow_copies``."""
    content, _packed = asked.kept
    present = content["sources"][asked.path]["copies"]
    rest = _without_damaged(edit, {**old, "copies": _without(old["copies"], present)}, asked, _nothing)
    if present.keys() <= old["copies"].keys() and not content["entries"]:  # what the others hold is in none of these
        return rest["copies"], {}
    return _narrow_copies(edit, rest, asked, _nothing)


def _merged(old: dict, new: dict) -> dict:
    """All of both. Of what is in both the new holds, but for copies."""
    both = {part: {**old.get(part, {}), **new.get(part, {})} for part in ("sources", "entries")}
    for path in old.get("sources", {}).keys() & new.get("sources", {}).keys():
        named = [each["sources"][path].get("copies", {}) for each in (old, new)]
        both["sources"][path] = {**both["sources"][path], "copies": {**named[0], **named[1]}}
    return nonempty(both)


def _without_these(about: dict, wanted: Wanted) -> tuple[int, ...]:
    return tuple(side for side in schema.DIRECTIONS[about["direction"]] if side not in wanted.sides)


def _nothing(_about: dict, _wanted: Wanted) -> tuple[int, ...]:
    return ()


def _if_alike(about: dict, wanted: Wanted) -> tuple[int, ...]:
    """Where several ask for the same, each of them would otherwise undo what the one before noted, with every run."""
    sides = schema.DIRECTIONS[about["direction"]]
    return sides if wanted == Wanted(sides) and "until" not in about else ()


def _taken_out(edit: Edit, asked: Asked, left: Left) -> Edit:
    """What is kept when of the entries asked for, and of the list file, no more sides stay than ``left`` says."""
    kept = {part: dict(edit.before.get(part, {})) for part in ("sources", "entries")}
    for address, about in [*kept["entries"].items()]:
        wanted = asked.by_key.get(addresses.parse(address))
        if wanted:
            _narrow(kept["entries"], address, left(about, wanted))
    packed: dict[str, bytes] = {}
    for path, about in [*kept["sources"].items()]:
        own, sides = path == asked.path, schema.DIRECTIONS[about["direction"]]
        stays = left(about, asked.wishes.wanted) if own else sides
        if about.get("copies"):
            about = _without_damaged(edit, about, asked, left) if own else about
            named, anew = _narrow_copies(edit, about, asked, left)
            kept["sources"][path] = {**about, "copies": named}
            packed.update(anew)
            stays = named and (stays or sides)
        _narrow(kept["sources"], path, stays)
    return edit._replace(after=nonempty(kept), packed=packed)


def _narrow(kept: dict, name: str, sides: Collection[int]) -> None:
    if sides:
        kept[name] = {**kept[name], "direction": direction(tuple(sides))}
    else:
        del kept[name]


def _narrow_copies(edit: Edit, about: dict, asked: Asked, left: Left) -> tuple[dict[str, str], dict[str, bytes]]:
    """The copies of a list file with what is left of them: all of them, and what those hold that are new."""
    concerned = {name: asked.concerned({**about, "direction": name}, left) for name in about["copies"].values()}
    held = {digest: _held(edit, digest) for digest in about["copies"] if any(concerned.values())}
    if not any(copies.may_hold(packed, concerned[about["copies"][digest]]) for digest, packed in held.items()):
        return about["copies"], {}
    damaged = {digest: name for digest, name in about["copies"].items() if not held[digest]}
    parts: dict[tuple[int, ...], list[bytes]] = defaultdict(list)
    touched = False
    for digest, name in _without(about["copies"], damaged).items():
        keys = copies.unpack(held[digest])
        leaving = concerned[name]
        if any(leaving.values()):
            for key in filter(leaving.__contains__, keys):  # in their order, so that a prediction has the same digest
                parts[leaving[key]].append(key)
        staying = list(filterfalse(leaving.__contains__, keys))
        parts[schema.DIRECTIONS[name]] += staying
        touched |= len(staying) < len(keys)
    if not touched:
        return about["copies"], {}
    parts.pop((), None)
    named, packed = _pack(parts)
    return {**damaged, **named}, _without(packed, about["copies"])


def _held(edit: Edit, digest: str) -> bytes:
    """What a copy holds, packed: nothing if it is not whole, since nothing of it comes back in any case."""
    try:
        return edit.store.read_copy(edit.name, digest)
    except PingKillerError:
        return b""


def _without_damaged(edit: Edit, about: dict, asked: Asked, left: Left) -> dict:
    """A list file that is asked for, without copies of which nothing is to be left and of which nobody knows what they held."""
    named = about["copies"].items()
    stays = {name: left({**about, "direction": name}, asked.wishes.wanted) for _digest, name in named}
    return {**about, "copies": {digest: name for digest, name in named if stays[name] or _held(edit, digest)}}


def _without(some: Mapping, those: Collection) -> dict:
    return {name: each for name, each in some.items() if name not in those}


def _without_copies(content: dict, lost: Collection[str]) -> dict:
    sources = dict(content.get("sources", {}))
    for path, about in sources.items():
        if "copies" in about:
            sources[path] = {**about, "copies": _without(about["copies"], lost)}
    return nonempty({**content, "sources": sources})
