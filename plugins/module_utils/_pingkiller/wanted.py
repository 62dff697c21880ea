# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is to have after a boot, in files that people can read but for the copies. They say what is wanted, never what is.

DIRECTORY/host.json                  where the pins are, and how much the lists hold
DIRECTORY/filters/INTERFACE.json     the options of an interface's filters, by hook
DIRECTORY/owners.json                who wants a filter here, by its name, whether or not it comes back after a boot
DIRECTORY/entries/LIST/OWNER.json    what an owner has on a list: list files, by the copies of what was last taken, and entries
DIRECTORY/entries/LIST/OWNER.DIGEST.keys    such a copy: ``copies.pack``, compressed

Expiry is by the wall clock here, since the clock that the kernel compares with starts anew with every boot.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, filterfalse
from typing import NamedTuple

from . import CONFIG_DIRECTORY, addresses, copies, durations, hooks, own, reading, schema
from .addresses import Wanted, Wishes
from .claims import direction
from .errors import PingKillerError, printable, quoted, quoted_path
from .lists import MAX_CAPACITY
from .pins import DEFAULT_BASE, Pins

UNIT = "/etc/systemd/system/pingkiller.service"  #: which the role writes where filters are to come back
_HOST = "host"
_OWNERS = "owners"
#: What is behind the name of a note in that of a copy, or of one that was not written to its end.
_COPY = re.compile(r"(.+)\.[0-9a-f]{64}\.keys(?:\.new)?")
_LONGEST_PATH = 4096  #: the kernel takes none as long as this, and no name of an interface as long as the next
_LONGEST_NAME = 128
_DIGEST = re.compile(r"[0-9a-f]{64}")


#: The units that restore take it as it is, and what is below it is removed with PingKiller.
_OWN_NAME = re.compile(r"/(?:[A-Za-z0-9._-]+/)+pingkiller[A-Za-z0-9._-]*")


class Broken(PingKillerError):
    """A file of ours that does not hold what it should. Whoever writes it may begin anew."""


class Store:
    """The directory of the wanted state. Looking makes nothing; what is root's alone is neither read nor written elsewhere."""

    def __init__(self, directory: str = CONFIG_DIRECTORY) -> None:
        self.directory = os.path.normpath(directory)
        if not _OWN_NAME.fullmatch(self.directory):
            raise PingKillerError(
                f"config_dir={quoted_path(directory)} is no name for a directory of PingKiller's own: give an absolute path of letters, digits, "
                f"dots, dashes and underscores below / whose last part begins with pingkiller, like {CONFIG_DIRECTORY}"
            )

    def require_own(self) -> None:
        """Before anything is planned there. Raises PingKillerError if the directory is somebody else's, or could become so."""
        own.check_way(self.directory)
        own.check_directory(self.directory)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name + ".json")

    def names(self, *inside: str) -> list[str]:
        """The files of a directory, without their suffix, sorted."""
        return sorted(name[: -len(".json")] for name in self._list(*inside) if name.endswith(".json"))

    def _list(self, *inside: str) -> list[str]:
        path = os.path.join(self.directory, *inside)
        try:
            return os.listdir(path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from None

    def copied(self, *inside: str) -> set[str]:
        """The names of the notes that copies in a directory belong to; a note need not be there any more."""
        return {found[1] for found in self._copies(*inside)}

    def _copies(self, *inside: str) -> list[re.Match]:
        return [each for each in map(_COPY.fullmatch, self._list(*inside)) if each]

    def is_empty(self) -> bool:
        """Whether nothing is there, not even the lists that the role writes, which stay where everything else is removed."""
        return not self._list()

    def restores(self) -> bool:
        """Whether anything comes back here at boot, so that what is put on the lists should, too."""
        return _HOST in self.names()

    def read(self, name: str) -> dict:
        """What a file holds; empty if there is none. Raises PingKillerError for what is not a file of ours."""
        path = self.path(name)
        try:
            content = json.loads(self._read(path).decode(errors="replace"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Broken(f"{path} is not JSON ({error}): {_REMEDY}") from None
        except RecursionError:
            raise Broken(f"{path} is nested deeper than PingKiller writes anything: {_REMEDY}") from None
        if not isinstance(content, dict):
            raise Broken(f"{path} holds no JSON object: {_REMEDY}")
        return content

    def _read(self, path: str) -> bytes:
        """Raises FileNotFoundError, and PingKillerError for what is not a file of ours."""
        self._check_directories(os.path.dirname(path))
        try:
            _check_own(path, os.lstat(path), stat.S_ISREG)
            return reading.read(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from None
        except ValueError as error:
            raise PingKillerError(f"{path} {error}: {_REMEDY}") from None

    def write(self, name: str, content: dict) -> None:
        """All of it or nothing, also if the power fails meanwhile. Nothing to say is no file."""
        path = self.path(name)
        self._check_directories(os.path.dirname(path))
        if content:
            self._write(path, (json.dumps(content, indent=2) + "\n").encode())
        else:
            self._remove(path)

    def _write(self, path: str, data: bytes) -> None:
        directory = os.path.dirname(path)
        self._make_directories(directory)
        temporary = f"{path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            os.rename(temporary, path)
        except OSError:  # half of a long copy would keep a full disk full
            os.unlink(temporary)
            raise
        _sync_directory(directory)

    def copy_path(self, name: str, digest: str) -> str:
        return os.path.join(self.directory, f"{name}.{digest}.keys")

    def read_copy(self, name: str, digest: str) -> bytes:
        """A copy that belongs to a note, as ``copies.pack`` made it. Raises PingKillerError if it is not whole and ours."""
        path = self.copy_path(name, digest)
        try:
            packed = copies.decompress(self._read(path))
        except FileNotFoundError:
            raise PingKillerError(f"{path} is not there, which {self.path(name)} names: {_RENEW}") from None
        except ValueError as error:
            raise PingKillerError(f"{path} is damaged ({error}): {_RENEW}") from None
        if copies.digest(packed) != digest:
            raise PingKillerError(f"{path} does not hold what was put there: {_RENEW}")
        return packed

    def has_copy(self, name: str, digest: str, packed: bytes) -> bool:
        try:
            return copies.decompress(self._read(self.copy_path(name, digest))) == packed
        except (FileNotFoundError, ValueError, PingKillerError):
            return False

    def write_copy(self, name: str, digest: str, packed: bytes) -> None:
        """All of it or nothing. A note is written after the copies that it names, so it never names one that is not there."""
        path = self.copy_path(name, digest)
        self._check_directories(os.path.dirname(path))
        self._write(path, copies.compress(packed))

    def drop_copies(self, name: str, wanted: Collection[str]) -> None:
        """Remove what is no copy that a note names (any more)."""
        directory, note = os.path.split(name)
        for found in self._copies(directory):
            if found[1] == note and found[0] not in {f"{note}.{digest}.keys" for digest in wanted}:
                self._remove(os.path.join(self.directory, directory, found[0]))

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            _sync_directory(os.path.dirname(path))
        for directory in self._inner_directories(os.path.dirname(path)):
            with contextlib.suppress(OSError):  # not empty, or not there
                os.rmdir(directory)

    def _inner_directories(self, directory: str) -> list[str]:
        """A directory and those around it that belong to the store, the innermost first; not the store itself."""
        found = []
        while directory != self.directory:
            found.append(directory)
            directory = os.path.dirname(directory)
        return found

    def _check_directories(self, directory: str) -> None:
        for each in [*self._inner_directories(directory), self.directory]:
            with contextlib.suppress(FileNotFoundError):
                _check_own(each, os.lstat(each), stat.S_ISDIR)

    def _make_directories(self, directory: str) -> None:
        own.make_way(self.directory)
        for each in reversed(self._inner_directories(directory)):
            with contextlib.suppress(FileExistsError):
                own.make_directory(each)


_ROOT = 0
_REMEDY = "mend or remove it, and deploy again"
_RENEW = "have the list file taken again"


def _check_own(path: str, status: os.stat_result, kind) -> None:
    """Only root may have a say in what is restored, and a link could lead elsewhere. Raises PingKillerError."""
    if not kind(status.st_mode) or status.st_uid != _ROOT or status.st_mode & 0o022:
        expected = "a directory" if kind is stat.S_ISDIR else "a file"
        raise PingKillerError(f"{path} is not {expected} that belongs to root and that only root can change: {_REMEDY}")


def _sync_directory(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Edit(NamedTuple):
    """A change of one file, planned. It is true if it changes what will be restored."""

    store: Store
    name: str
    found: dict | None  #: what the file holds; None if that is not to be understood
    before: dict  #: the same without what will not be restored, as it has expired or its copy is not whole
    after: dict
    packed: dict[str, bytes] = {}  #: by digest, copies that ``after`` names and that are not there whole

    def __bool__(self) -> bool:
        return self.found is None or self.before != self.after

    def write(self) -> None:
        if self.found != self.after:
            self.store.write(self.name, self.after)


class EntriesEdit(Edit):
    """The same for a file that names copies."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return super().__bool__() and not (self.found and self.before and self.after and self._same_entries())

    def _same_entries(self) -> bool:
        """Whether only the order of a list file changed, its doubles, or which of its copies holds what."""
        (before, old), (after, new) = map(_by_direction, (self.before, self.after))
        if before != after or old.keys() != new.keys():
            return False
        try:
            return all(
                _same_keys(self._keys(old[each]), self._keys(new[each])) for each in old if old[each] != new[each]
            )
        except PingKillerError:
            return False

    def _keys(self, digests: list[str]) -> Iterator[bytes]:
        held = (self.packed.get(digest) or self.store.read_copy(self.name, digest) for digest in digests)
        return chain.from_iterable(map(copies.unpack, held))

    def write(self) -> None:
        """Copies, the note that names them, and only then the removal of others: right whenever this is interrupted."""
        for digest, packed in self.packed.items():
            self.store.write_copy(self.name, digest, packed)
        super().write()
        self.store.drop_copies(self.name, _digests(self.after))


def _by_direction(content: dict) -> tuple[dict, dict[tuple[str, str], list[str]]]:
    """A note without its digests, and these by list file and direction."""
    digests: dict[tuple[str, str], list[str]] = defaultdict(list)
    sources = {}
    for path, about in content.get("sources", {}).items():
        for digest, name in about.get("copies", {}).items():
            digests[path, name].append(digest)
        sources[path] = {**about, "copies": "copies" in about}
    return {**content, "sources": sources}, digests


def _same_keys(some: Iterable[bytes], others: Iterable[bytes]) -> bool:
    """Whether these are the same but for order and doubles; of a million keys one set is enough."""
    left, others = set(some), list(others)
    same = all(map(left.__contains__, others))
    left.difference_update(others)
    return same and not left


def _found(read, *arguments) -> dict | None:
    try:
        return read(*arguments)
    except Broken:
        return None


# Filters


#: Where there are files that say what is to be restored.
PLACES = (("filters",), *(("entries", each) for each in schema.LISTS))


def check_there(store: Store) -> None:
    """Whether the wanted state may be whole. Raises PingKillerError if it looks as if some or all of it was lost."""
    noted = [store.path("/".join((*inside, name))) for inside in PLACES for name in store.names(*inside)]
    if noted and not store.restores():
        raise PingKillerError(
            f"{store.path(_HOST)} is not there, which belongs to {noted[0]}: {DEFAULT_BASE} is taken for where the pins are; "
            f"deploy again"
        )
    if os.path.lexists(UNIT) and store.is_empty():
        raise PingKillerError(
            f"{store.directory} is empty or not there, so nothing says what {UNIT} is to restore: mount it, name "
            f"the directory of the deployment with --config, or deploy again"
        )


def host(store: Store) -> dict:
    """``base`` and ``max_entries``; empty where nothing is to be restored."""
    return _checked(store, _HOST, _check_host)


def filters(store: Store, interface: str) -> dict:
    """The options of an interface's filters, by hook."""
    return _checked(store, f"filters/{interface}", _check_filters)


def _checked(store: Store, name: str, check: Callable[[dict], None]) -> dict:
    """What a file holds. Raises Broken if that is not of the shape that PingKiller writes, whatever it is."""
    content = store.read(name)
    try:
        check(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {quoted(str(error))}"  # Python may quote half of the file
        raise Broken(f"{store.path(name)} is not as PingKiller writes it ({what}): {_REMEDY}") from None
    return content


def _check_host(about: dict) -> None:
    """Raises one of the exceptions that wrong data raises, as all that check do."""
    base, capacity = about.get("base", DEFAULT_BASE), about.get("max_entries")
    try:
        Pins(base)
    except (TypeError, PingKillerError):
        raise ValueError(f"base={base}") from None
    if capacity is not None and not (_is_number(capacity) and 0 < capacity <= MAX_CAPACITY):
        raise ValueError(f"max_entries={capacity}")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_filters(by_hook: dict) -> None:
    for hook, options in by_hook.items():
        if hook not in hooks.HOOKS or not isinstance(options, dict):
            raise ValueError(f"{hook}: {options}")


def _check_owners(by_filter: dict) -> None:
    for name, owner in by_filter.items():
        interface, hook = hooks.split_name(name)
        named = 0 < len(os.fsencode(interface)) < _LONGEST_NAME and "\0" not in interface
        if not named or hook not in hooks.HOOKS or not isinstance(owner, str):
            raise ValueError(f"{name}: {owner}")


def plan_filters(store: Store, about_host: dict, options: dict) -> list[Edit]:
    """``options`` are those of each filter, by its name, or None for one that is to be forgotten. Pure but for reading."""
    store.require_own()
    edits = []
    for interface in dict.fromkeys(hooks.split_name(name)[0] for name in options):
        found = _found(filters, store, interface)
        before = found or {}
        after = dict(before)
        for name, wanted in options.items():
            of, hook = hooks.split_name(name)
            if of == interface:
                after.pop(hook, None)
                after.update({hook: wanted} if wanted else {})
        edits.append(Edit(store, f"filters/{interface}", found, before, after))
    others = set(store.names("filters")) - {edit.name.partition("/")[2] for edit in edits}
    left = others or any(edit.after for edit in edits) or any(store.names("entries", each) for each in schema.LISTS)
    return [*edits, plan_host(store, about_host if left else None)]


def plan_host(store: Store, about: dict | None) -> Edit:
    """``about`` is None where nothing is left to be restored."""
    found = _found(host, store)
    before = found or {}
    return Edit(store, _HOST, found, before, {} if about is None else {**before, **about})


def owners(store: Store) -> dict:
    """Who wants each filter, by the filter's name. What was put there by hand has no owner."""
    return _checked(store, _OWNERS, _check_owners)


def plan_owner(
    store: Store, names: Iterable[str], owner: str, own_name: Callable[[str], str], absent: bool = False
) -> Edit:
    """Note that an owner wants these filters, or that this one no longer does.

    ``own_name`` gives filters the names that they have now, since interfaces are renamed.
    """
    store.require_own()
    found = _found(owners, store)
    before = found or {}
    known = {own_name(name): other for name, other in before.items()}
    others = {name: other for name, other in known.items() if name not in names or other != owner}
    after = others if absent else {**known, **dict.fromkeys(names, owner)}
    return Edit(store, _OWNERS, found, before, after)


def owner_changes(edits: list[Edit], own_name: Callable[[str], str]) -> dict[str, str | None]:
    """The filters that get another owner, with the one that they had, None where nobody was known to want them."""
    changes = {}
    for edit in edits:
        before = {own_name(name): owner for name, owner in edit.before.items()} if edit.name == _OWNERS else {}
        after = edit.after if edit.name == _OWNERS else {}
        changes.update({name: before.get(name) for name, owner in after.items() if before.get(name) != owner})
    return changes


def owned_by(edits: list[Edit], owner: str) -> list[str]:
    """The names of all filters that an owner wants, once these have been written."""
    after = (edit.after for edit in edits if edit.name == _OWNERS)
    return sorted(name for each in after for name, other in each.items() if other == owner)


def plan_forgetting(store: Store) -> list[Edit]:
    """Everything goes, also copies that a run that was interrupted has left without their note."""
    store.require_own()
    names = [_HOST, _OWNERS, *(f"filters/{name}" for name in store.names("filters"))]
    contents = {name: _found(store.read, name) for name in names}
    edits = [Edit(store, name, content, content or {}, {}) for name, content in contents.items() if content != {}]
    for each in schema.LISTS:
        for owner in _owners_of_entries(store, each):
            content = _found(store.read, entries_name(each, owner))
            edits.append(EntriesEdit(store, entries_name(each, owner), content or None, content or {}, {}))
    return edits


def describe_filters(edits: list[Edit], when: str) -> dict:
    """What changes of what will be restored, for a diff: of owners, those of the filters concerned.

    That host.json goes with the last filter is not told: in check mode, another one may be about to come.
    """
    changing = [edit for edit in edits if edit]
    told = [edit for edit in changing if edit.name != _HOST or edit.after] or changing
    return {edit.name: _changing(edit, when) if edit.name == _OWNERS else getattr(edit, when) for edit in told}


def _changing(edit: Edit, when: str) -> dict:
    return {name: value for name, value in getattr(edit, when).items() if edit.before.get(name) != edit.after.get(name)}


# Entries


def entries(store: Store, list_name: str, owner: str) -> dict:
    """``sources``: list files by path; ``entries``: by address. Each has ``direction``, with ``until`` and ``ttl`` if it expires.

    A list file has ``copies``, the direction of each by its digest; those of a version that kept none are without, and have how
    the file is to be read, where that is not as usual.
    """
    return _checked(store, entries_name(list_name, owner), _check_entries)


def _owners_of_entries(store: Store, list_name: str) -> list[str]:
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
        if not _is_number(about["ttl"]):
            raise TypeError(about["ttl"])


def _check_path(path: str) -> None:
    if not os.path.isabs(path) or len(path) >= _LONGEST_PATH:
        raise ValueError(path)


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
            return {"entries": {addresses.display(key): _kept(each) for key, each in self.by_key.items()}}, {}
        groups = dict(self._by_wanted)
        timed = [wanted for wanted in groups if wanted.until != schema.FOREVER and wanted != usual]
        expiring = {addresses.display(key): _kept(wanted) for wanted in timed for key in groups.pop(wanted)}
        named, packed = _pack({wanted.sides: keys for wanted, keys in groups.items()})
        about = {**_kept(usual), **request.reading.chosen(), "copies": named}
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
        owners = _owners_of_entries(store, request.name) if request.any_owner else [request.owner]
        return [_taken_out(_begin(store, request, owner), asked, _without_these) for owner in owners]
    edits = [_plan_present(_begin(store, request, request.owner), asked)]
    if request.from_owner is not None:
        edits.append(_taken_out(_begin(store, request, request.from_owner), asked, _nothing))
    return edits


def _begin(store: Store, request, owner: str) -> Edit:
    """No change yet of what an owner has on the list, but that copies go which an interrupted run left without a note."""
    found = _found(entries, store, request.name, owner)
    if found == {} and owner in store.copied("entries", request.name):
        found = None
    before = _unexpired(found or {})
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


def _kept(wanted: Wanted) -> dict:
    kept = {"direction": direction(wanted.sides)}
    if wanted.until == schema.FOREVER:
        return kept
    return {**kept, "until": durations.iso(durations.from_boot(wanted.until)), "ttl": durations.left(wanted.until)}


def _merged(old: dict, new: dict) -> dict:
    """All of both. Of what is in both the new holds, but for copies."""
    both = {part: {**old.get(part, {}), **new.get(part, {})} for part in ("sources", "entries")}
    for path in old.get("sources", {}).keys() & new.get("sources", {}).keys():
        named = [each["sources"][path].get("copies", {}) for each in (old, new)]
        both["sources"][path] = {**both["sources"][path], "copies": {**named[0], **named[1]}}
    return _nonempty(both)


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
    return edit._replace(after=_nonempty(kept), packed=packed)


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
    return _nonempty({**content, "sources": sources})


def _digests(content: dict) -> set[str]:
    return {digest for about in content.get("sources", {}).values() for digest in about.get("copies", ())}


def _unexpired(content: dict) -> dict:
    return _nonempty(
        {part: {name: kept for name, kept in each.items() if seconds_left(kept) != 0} for part, each in content.items()}
    )


def _nonempty(content: dict) -> dict:
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
