# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is to have after a boot, in files that people can read. They say what is wanted, never what is.

DIRECTORY/host.json                  where the pins are, and how much the lists hold
DIRECTORY/filters/INTERFACE.json     the options of an interface's filters, by hook
DIRECTORY/entries/LIST/OWNER.json    what an owner has on a list: list files to read, and entries

Expiry is by the wall clock here, since the clock that the kernel compares with starts anew with every boot.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from typing import NamedTuple

from . import CONFIG_DIRECTORY, addresses, durations, hooks, schema
from .addresses import Wanted, Wishes
from .claims import direction
from .errors import PingKillerError

_HOST = "host"


class Broken(PingKillerError):
    """A file of ours that does not hold what it should. Whoever writes it may begin anew."""


class Store:
    """The directory of the wanted state. Looking makes nothing; what is root's alone is neither read nor written elsewhere."""

    def __init__(self, directory: str = CONFIG_DIRECTORY) -> None:
        if not os.path.isabs(directory):
            raise PingKillerError(f"config_dir={directory!r} is not an absolute path: give one like {CONFIG_DIRECTORY}")
        self.directory = os.path.normpath(directory)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name + ".json")

    def names(self, *inside: str) -> list[str]:
        """The files of a directory, without their suffix, sorted."""
        try:
            found = os.listdir(os.path.join(self.directory, *inside))
        except FileNotFoundError:
            return []
        return sorted(name[: -len(".json")] for name in found if name.endswith(".json"))

    def restores(self) -> bool:
        """Whether this host gets a filter back at boot, so that what is put on its lists should come back, too."""
        return bool(self.names("filters"))

    def read(self, name: str) -> dict:
        """What a file holds; empty if there is none. Raises PingKillerError for what is not a file of ours."""
        path = self.path(name)
        self._check_directories(os.path.dirname(path))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from None
        with open(fd, encoding="utf-8", errors="replace") as file:
            _check_own(path, os.fstat(fd), stat.S_ISREG)
            try:
                content = json.load(file)
            except ValueError as error:
                raise Broken(f"{path} is not JSON ({error}): {_REMEDY}") from None
        if not isinstance(content, dict):
            raise Broken(f"{path} holds no JSON object: {_REMEDY}")
        return content

    def write(self, name: str, content: dict) -> None:
        """All of it or nothing, also if the power fails meanwhile. Nothing to say is no file."""
        path = self.path(name)
        directory = os.path.dirname(path)
        self._check_directories(directory)
        if not content:
            self._remove(path)
            return
        self._make_directories(directory)
        temporary = f"{path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(fd)
        os.rename(temporary, path)
        _sync_directory(directory)

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
        for each in [self.directory, *reversed(self._inner_directories(directory))]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, 0o700)
            os.chmod(each, 0o700)


_REMEDY = "mend or remove it, and deploy again"


def _check_own(path: str, status: os.stat_result, kind) -> None:
    """Only root may have a say in what is restored, and a link could lead elsewhere. Raises PingKillerError."""
    if not kind(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
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
    before: dict  #: the same without what has expired
    after: dict

    def __bool__(self) -> bool:
        return self.found is None or self.before != self.after

    def write(self) -> None:
        if self.found != self.after:
            self.store.write(self.name, self.after)


def _found(read, *arguments) -> dict | None:
    try:
        return read(*arguments)
    except Broken:
        return None


# Filters


def host(store: Store) -> dict:
    """``base`` and ``max_entries``; empty where nothing is to be restored."""
    return store.read(_HOST)


def filters(store: Store, interface: str) -> dict:
    """The options of an interface's filters, by hook."""
    return store.read(f"filters/{interface}")


def plan_filters(store: Store, about_host: dict, options: dict) -> list[Edit]:
    """``options`` are those of each filter, by its name, or None for one that is to be forgotten. Pure but for reading."""
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
    left = any(edit.after for edit in edits) or set(store.names("filters")) - {
        edit.name.partition("/")[2] for edit in edits
    }
    found = _found(host, store)
    before = found or {}
    after = {**before, **about_host} if left else {}
    return [*edits, Edit(store, _HOST, found, before, after)]


def plan_forgetting(store: Store) -> list[Edit]:
    """Everything goes."""
    names = [_HOST, *(f"filters/{name}" for name in store.names("filters"))]
    names += [f"entries/{each}/{owner}" for each in schema.LISTS for owner in store.names("entries", each)]
    contents = {name: _found(store.read, name) for name in names}
    return [Edit(store, name, content, content or {}, {}) for name, content in contents.items() if content != {}]


def describe_filters(edits: list[Edit], when: str) -> dict:
    """What changes of what will be restored, for a diff."""
    return {edit.name: getattr(edit, when) for edit in edits if edit}


# Entries


def entries(store: Store, list_name: str, owner: str) -> dict:
    """``sources``: list files by path; ``entries``: by address. Each has ``direction``, with ``until`` and ``ttl`` if it expires."""
    name = f"entries/{list_name}/{owner}"
    content = store.read(name)
    try:
        for part, kept in content.items():
            for each, about in kept.items():
                _check_kept(part, each, about)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Broken(f"{store.path(name)} is not as PingKiller writes it ({error!r}): {_REMEDY}") from None
    return content


def _check_kept(part: str, name: str, about: dict) -> None:
    """Raises one of the exceptions that wrong data raises."""
    {"entries": addresses.parse, "sources": str}[part](name)
    schema.DIRECTIONS[about["direction"]]
    if "until" in about:
        durations.from_iso(about["until"])
        durations.parse(about["ttl"])


def plan_entries(store: Store, request, wishes: Wishes) -> list[Edit]:
    """What a request for a list changes of what will be restored."""
    keep = store.restores() if request.persist is None else request.persist
    edit = _begin(store, request, request.owner)
    if request.absent or request.persist is False:
        after = {} if request.exclusive else _without(edit.before, request, wishes)
    elif keep:
        after = _merged({} if request.exclusive else edit.before, _asked(request, wishes))
    else:
        after = edit.before
    edits = [edit._replace(after=after)]
    if request.from_owner is not None:
        other = _begin(store, request, request.from_owner)
        edits.append(other._replace(after=_without(other.before, request, wishes)))
    return edits


def _begin(store: Store, request, owner: str) -> Edit:
    """No change yet of what an owner has on the list."""
    found = _found(entries, store, request.name, owner)
    before = _unexpired(found or {})
    return Edit(store, f"entries/{request.name}/{owner}", found, before, before)


def _asked(request, wishes: Wishes) -> dict:
    """A request as it is kept. A list file is named, not copied; but its entries that expire are, with the time."""
    if request.src is None:
        return {"entries": {addresses.display(key): _kept(wanted) for key, wanted in wishes.by_key().items()}}
    about = _kept(wishes.wanted)
    others = wishes.by_key().items() if wishes.others else ()
    timed = {key: wanted for key, wanted in others if wanted != wishes.wanted and wanted.until != schema.FOREVER}
    kept = {addresses.display(key): _kept(wanted) for key, wanted in timed.items()}
    return {"sources": {os.path.abspath(request.src): about}, "entries": kept}


def _kept(wanted: Wanted) -> dict:
    kept = {"direction": direction(wanted.sides)}
    if wanted.until == schema.FOREVER:
        return kept
    return {**kept, "until": durations.iso(durations.from_boot(wanted.until)), "ttl": durations.left(wanted.until)}


def _merged(old: dict, new: dict) -> dict:
    return _nonempty({part: {**old.get(part, {}), **new.get(part, {})} for part in ("sources", "entries")})


def _without(old: dict, request, wishes: Wishes) -> dict:
    source = request.src and os.path.abspath(request.src)
    kept = {addresses.parse(address): address for address in old.get("entries", {})}
    gone = {kept[key] for key in kept.keys() & wishes.keys}
    return _nonempty(
        {
            "sources": {path: about for path, about in old.get("sources", {}).items() if path != source},
            "entries": {address: about for address, about in old.get("entries", {}).items() if address not in gone},
        }
    )


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
    if not edit:
        return ""
    owner = edit.name.rpartition("/")[2]
    mine, other = (getattr(edit, side) for side in ((when, "after") if when == "before" else (when, "before")))
    lines = []
    for part in ("sources", "entries"):
        for name, kept in mine.get(part, {}).items():
            if other.get(part, {}).get(name) != kept:
                expiry = f" until={kept['until'][:16]}Z" if "until" in kept else ""
                lines.append(f"at boot: {name} direction={kept['direction']} owner={owner}{expiry}\n")
    return "".join(lines[:MAX_SHOWN])


MAX_SHOWN = 1000  #: lines of a diff
