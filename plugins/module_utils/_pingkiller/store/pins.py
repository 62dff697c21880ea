# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the state lives: directories, pins and the BPF file system below them.

BASE/control, owners, claims           the host's maps
BASE/lists/blocklist/, .../allowlist/  records and the four indexes of each list
BASE/filters/INTERFACE/                counters and meta of one filter
BASE_next/, BASE_old/                  the same while all of it is replaced
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote

from ..errors import PingKillerError, listed, quoted, quoted_path
from ..files import own, reading
from ..kernel import bpf, schema

DEFAULT_BASE = "/sys/fs/bpf/pingkiller"
_DEFAULT_MOUNT = "/sys/fs/bpf"

#: Directories of the lists: in use, and being made or removed.
CURRENT, NEXT = "lists", "lists_next"

#: What the directories are called beside a base while all maps are replaced.
_NEXT, _OLD = "_next", "_old"

#: The pin of a map of a filter, see ``schema.CARRIED_MAP``.
CARRIED = "carried"

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")  #: a space, a tab, a line feed or a backslash

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8


def _component(filter_name: str) -> str:
    """A filter's name as a directory's: the BPF file system reserves the dot, which VLAN names contain."""
    return quote(filter_name, safe="", errors="surrogateescape").replace(".", "%2E")


def _bpffs_mounts() -> list[str]:
    try:
        table = reading.read("/proc/self/mountinfo")
    except ValueError as error:
        raise PingKillerError(f"/proc/self/mountinfo {error}: unmount what nobody needs, and run again") from None
    return _mounted(table, b"bpf")


def _mounted(table: bytes, kind: bytes) -> list[str]:
    """Where file systems of a kind are, in the kernel's words: names of any bytes, of which it writes four in octal digits."""
    found = []
    for line in table.split(b"\n"):
        before, _dash, after = line.partition(b" - ")
        if after.partition(b" ")[0] == kind:
            found.append(os.fsdecode(_OCTAL.sub(lambda digits: bytes([int(digits[1], 8)]), before.split(b" ")[4])))
    return found


class _Known(NamedTuple):
    """What may be pinned in a place."""

    name: str  #: in the kernel
    info: bpf.MapInfo
    any_size: bool = False

    def fits(self, pin: str, info: bpf.MapInfo) -> bool:
        return schema.is_declared(info, pin, declared=self.info, any_size=self.any_size)


_ANY = ""  #: in the place of a name: each


def _places() -> dict:
    """All that may be in a base: by name a map, or a directory with what may be in that."""
    host = {**schema.HOST_MAPS, "events": schema.EVENTS_MAP}
    lists = {
        list_name: {
            name: _Known(bpf.kernel_name(prefix + name), info, any_size=True)
            for name, info in schema.list_maps(1).items()
        }
        for list_name, prefix in schema.LIST_PREFIX.items()
    }
    maps = {
        **schema.FILTER_MAPS,
        "timing": schema.TIMING_MAP,
        "event_budget": schema.EVENT_BUDGET_MAP,
        "sources": schema.sources_map(1),
    }
    of_filter = {
        name: _Known(bpf.kernel_name(schema.FILTER_PREFIX + name), info, name in schema.SIZED_MAPS)
        for name, info in maps.items()
    }
    of_filter[CARRIED] = _Known(CARRIED, schema.CARRIED_MAP, any_size=True)
    return {
        **{name: _Known(name, info) for name, info in host.items()},
        **dict.fromkeys((CURRENT, NEXT), lists),
        "filters": {_ANY: of_filter},
    }


_PLACES = _places()


class Pins:
    """The pin directory of a host. Looking creates nothing; ``prepare`` does."""

    def __init__(self, base: str = DEFAULT_BASE) -> None:
        normal = os.path.normpath(base)
        if (
            not os.path.isabs(base)
            or not base.isprintable()
            or "." in normal
            or normal == "/"
            or normal.endswith((_NEXT, _OLD))
        ):
            raise PingKillerError(
                f"base={quoted_path(base)} cannot hold pins: give an absolute path below a BPF file system whose names can be printed, "
                f"contain no dot and end neither in {_NEXT} nor in {_OLD}, for example {DEFAULT_BASE}"
            )
        self.base = normal

    def host_pin(self, name: str) -> str:
        return os.path.join(self.base, name)

    def list_pin(self, list_name: str, name: str = "", generation: str = CURRENT) -> str:
        return os.path.join(self.base, generation, list_name, name).rstrip("/")

    def filter_pin(self, filter_name: str, name: str = "") -> str:
        return os.path.join(self.base, "filters", _component(filter_name), name).rstrip("/")

    def _refuse_links(self, path: str) -> None:
        """Raises PingKillerError if a link leads away from anywhere between the base and a path."""
        names = os.path.relpath(path, self.base).split(os.sep)
        for depth in range(len(names) + 1):
            part = os.path.normpath(os.path.join(self.base, *names[:depth]))
            if os.path.islink(part):
                raise PingKillerError(
                    f"{part} is a symbolic link to {quoted_path(os.readlink(part))}, which PingKiller never makes: nothing was changed "
                    f"through it; find out who made it, remove it, and run again"
                )

    def filters(self) -> list[str]:
        """The names of the filters that have pins, whether or not a program is attached, sorted."""
        self._refuse_links(self.host_pin("filters"))
        try:
            return sorted(
                unquote(name, errors="surrogateescape") for name in os.listdir(os.path.join(self.base, "filters"))
            )
        except FileNotFoundError:
            return []

    def rename_filter(self, old: str, new: str) -> None:
        self.remove_filter(new)
        os.rename(self.filter_pin(old), self.filter_pin(new))

    def exists(self) -> bool:
        return os.path.isdir(self.base)

    # While all maps are replaced, there are others beside them

    @property
    def next(self) -> Pins:
        """The maps that are made to take the place of these."""
        return self._beside(_NEXT)

    @property
    def old(self) -> Pins:
        """The maps whose place these have taken."""
        return self._beside(_OLD)

    def _beside(self, suffix: str) -> Pins:
        pins = copy.copy(self)
        pins.base += suffix
        return pins

    def in_use(self) -> Pins:
        """For one who only looks: a run may have been killed that had got no further than taking the maps off their place."""
        return self.old if not self.exists() and self.old.exists() else self

    def swap(self) -> None:
        """Put the next maps in the place of these, which become the old ones."""
        os.rename(self.base, self.old.base)
        os.rename(self.next.base, self.base)

    def swap_back(self) -> None:
        """Put the old maps in their place again. What is there, if anything, is for nobody."""
        self.next.remove_all()
        if self.exists():
            self._take(self.next)
        self.old._take(self)
        self.next.remove_all()

    def discard_old(self) -> None:
        """Remove the old maps; they are gone in one step, so that nobody comes upon half of them."""
        self.next.remove_all()
        self.old._take(self.next)
        self.next.remove_all()

    def _take(self, place: Pins) -> None:
        """Give these the place of others. Somebody may have made them since it was looked whose they are."""
        own.check_directory(self.base)
        os.rename(self.base, place.base)

    def check_mount(self) -> bool:
        """Whether the base is on a mounted BPF file system. Raises PingKillerError if it never will be."""
        self._refuse_links(self.base)
        mount = self._mount()
        if mount == self.base:
            raise PingKillerError(f"base={quoted_path(self.base)} is a mount point: give a directory below it")
        if mount:
            self._check_own(mount)
            return True
        if self.base.startswith(_DEFAULT_MOUNT + "/"):
            return False
        raise PingKillerError(
            f"base={quoted_path(self.base)} is not on a BPF file system: mount one there first (mount -t bpf -o mode=0700 bpf DIRECTORY) or "
            f"leave base at {DEFAULT_BASE}"
        )

    def _mount(self) -> str | None:
        """Where the BPF file system that the base is on, or is itself, is mounted."""
        around = [mount for mount in _bpffs_mounts() if (self.base + "/").startswith(mount.rstrip("/") + "/")]
        return max(around, key=len, default=None)

    def _check_own(self, mount: str) -> None:
        """Where every user can make directories, some may be called as ours. Raises PingKillerError for those."""
        own.check_path(self.base, mount)
        for each in (self, self.next, self.old):
            own.check_directory(each.base)

    def require_ours(self) -> bool:
        """Before anything is changed, under the lock: ``check_mount``, and PingKillerError for anything below that is not ours.

        Pins may be missing, as after a run that was killed, and maps may be those of another schema. Directories that other
        programs make for root look like ours, so it takes what is in them to tell.
        """
        mounted = self.check_mount()
        for each in (self, self.next, self.old) if mounted else ():
            each._require_known(each.base, _PLACES)
        return mounted

    def _require_known(self, directory: str, places: dict) -> None:
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise _not_ours(directory, "is no directory") from None
        for name in names:
            path, known = os.path.join(directory, name), places.get(name, places.get(_ANY))
            if known is None:
                raise _not_ours(path, "has a name that no pin of PingKiller's has")
            if isinstance(known, dict):
                self._refuse_links(path)
                self._require_known(path, known)
            else:
                self._require_map(path, known)

    def _require_map(self, path: str, known: _Known) -> None:
        found = self.open(path)
        with found or contextlib.nullcontext():
            if found and not known.fits(os.path.basename(path), found.info):
                actual, declared = found.info.describe(), known.info.describe()
                raise _not_ours(path, f"is a map of another shape ({actual} instead of {declared})")
            if found and found.name != known.name:
                raise _not_ours(path, f"is a map called {quoted(found.name)} and not {known.name}")

    def warnings(self) -> list[str]:
        """What is not as it should be where the pins are, and yet keeps nothing from working."""
        mount = self._mount()
        if mount is None or not os.stat(mount).st_mode & stat.S_IWOTH:
            return []
        return [
            f"every user can make directories in {mount}, also such as are called like PingKiller's, which are then refused: chmod "
            f"0700 it, and mount it with mode=0700 (mount -t bpf -o mode=0700 bpf {mount})"
        ]

    def prepare(self) -> None:
        """Mount the BPF file system if need be and make the directory, for root only."""
        if not self.check_mount():
            _mount_bpffs()
        self.make_directory(self.base)

    def make_directory(self, path: str) -> None:
        """Root's own directory, or a refusal: a link or somebody else's directory could lead the pins elsewhere."""
        if not os.path.isdir(os.path.dirname(path)):
            self.make_directory(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            own.make_directory(path)
        own.check_directory(path)

    def ensure(self, path: str, info: bpf.MapInfo, prefix: str = "") -> bpf.Map:
        """The map pinned at ``path``, made and pinned if there is none. Raises PingKillerError if it is another map."""
        existing = self.open(path, info)
        if existing:
            return existing
        new = bpf.Map.create(prefix + os.path.basename(path), info)
        new.pin(path)
        return new

    def open(self, path: str, info: bpf.MapInfo | None = None, any_size: bool = False) -> bpf.Map | None:
        """The map pinned at ``path``, or None. The kernel does not compare declarations, so this does."""
        self._refuse_links(path)
        try:
            found = bpf.Map.open(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PingKillerError(
                f"{path} cannot be opened as a BPF map ({error.strerror}): remove what is there and run again"
            ) from None
        if not found.is_map():
            found.close()
            raise PingKillerError(
                f"{path} is the pin of a BPF object that is no map, and so not PingKiller's: it was left untouched; remove it "
                f"and run again"
            )
        like = info._replace(max_entries=found.info.max_entries) if info and any_size else info
        if like and found.info != like:
            actual = found.info.describe()
            found.close()
            raise PingKillerError(
                f"{path} is a map of another shape ({actual} instead of {info.describe()}): it was left untouched; "
                f"remove the filter with state=absent and set it up again"
            )
        return found

    def remove_filter(self, filter_name: str) -> None:
        self._refuse_links(self.filter_pin(filter_name))
        for name in (*schema.FILTER_PINS, CARRIED):
            _unlink(self.filter_pin(filter_name, name))
        _rmdir(self.filter_pin(filter_name))

    def remove_lists(self, generation: str) -> None:
        if not os.path.lexists(self.host_pin(generation)):
            return
        for list_name in schema.LISTS:
            self._refuse_links(self.list_pin(list_name, generation=generation))
            for name in schema.list_maps(0):
                _unlink(self.list_pin(list_name, name, generation))
            _rmdir(self.list_pin(list_name, generation=generation))
        _rmdir(os.path.join(self.base, generation))

    def enter_lists(self) -> None:
        """Make the next generation, which is whole by now, the present one, in one step."""
        os.rename(self.host_pin(NEXT), self.host_pin(CURRENT))

    def discard_lists(self) -> None:
        """Remove all lists, in one step, so that nobody comes upon half of one."""
        if self.has_lists():
            for name in schema.LISTS:
                self._refuse_links(self.list_pin(name))
            self.remove_lists(NEXT)
            os.rename(self.host_pin(CURRENT), self.host_pin(NEXT))
        self.remove_lists(NEXT)

    def has_lists(self) -> bool:
        return os.path.isdir(self.host_pin(CURRENT))

    def remove_all(self) -> None:
        """Every pin and directory of ours at this base; anything else found below it is left, and said."""
        if not self.exists():
            return
        own.check_directory(self.base)  # somebody may have made it since it was looked whose it is
        for filter_name in self.filters():
            self.remove_filter(filter_name)
        self.discard_lists()
        for name in schema.HOST_PINS:
            _unlink(self.host_pin(name))
        _rmdir(self.host_pin("filters"))
        _rmdir(self.base)


def _not_ours(path: str, reason: str) -> PingKillerError:
    return PingKillerError(
        f"{path} {reason}, so that it is not PingKiller's: it was left untouched, as was everything else; find out whose it is, and "
        f"give another base, or remove it by hand and run again"
    )


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise PingKillerError(
            f"{path} holds something that is not PingKiller's ({listed(sorted(os.listdir(path)))}): remove it by hand"
        ) from error


def _mount_bpffs() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError):
        os.mkdir(_DEFAULT_MOUNT, 0o700)
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if libc.mount(b"bpf", _DEFAULT_MOUNT.encode(), b"bpf", flags, b"mode=700") != 0:
        reason = os.strerror(ctypes.get_errno())
        raise PingKillerError(
            f"no BPF file system is mounted on {_DEFAULT_MOUNT} and mounting one failed ({reason}): "
            f"run 'mount -t bpf -o mode=0700 bpf {_DEFAULT_MOUNT}' and look at what it says"
        )


@contextlib.contextmanager
def closing_all(maps: dict[str, bpf.Map]) -> Iterator[dict[str, bpf.Map]]:
    """Close a set of maps at the end, whatever happens."""
    try:
        yield maps
    finally:
        for each in maps.values():
            each.close()
