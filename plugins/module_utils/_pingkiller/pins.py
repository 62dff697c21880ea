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
import stat
from collections.abc import Iterator
from urllib.parse import quote, unquote

from . import bpf, schema
from .errors import PingKillerError

DEFAULT_BASE = "/sys/fs/bpf/pingkiller"
_DEFAULT_MOUNT = "/sys/fs/bpf"

#: Directories of the lists: in use, and being made or removed.
CURRENT, NEXT = "lists", "lists_next"

#: What the directories are called beside a base while all maps are replaced.
_NEXT, _OLD = "_next", "_old"

#: The pin of a map of a filter, see ``schema.CARRIED_MAP``.
CARRIED = "carried"

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8


def _component(filter_name: str) -> str:
    """A filter's name as a directory's: the BPF file system reserves the dot, which VLAN names contain."""
    return quote(filter_name, safe="").replace(".", "%2E")


def _bpffs_mounts() -> list[str]:
    with open("/proc/self/mountinfo") as file:
        fields = (line.split(" - ", 1) for line in file)
        return [left.split()[4] for left, right in fields if right.split()[0] == "bpf"]


class Pins:
    """The pin directory of a host. Looking creates nothing; ``prepare`` does."""

    def __init__(self, base: str = DEFAULT_BASE) -> None:
        normal = os.path.normpath(base)
        if not os.path.isabs(base) or "." in normal or normal == "/" or normal.endswith((_NEXT, _OLD)):
            raise PingKillerError(
                f"base={base!r} cannot hold pins: give an absolute path below a BPF file system whose names contain no dot and "
                f"end neither in {_NEXT} nor in {_OLD}, "
                f"for example {DEFAULT_BASE}"
            )
        self.base = normal

    def host(self, name: str) -> str:
        return os.path.join(self.base, name)

    def list(self, list_name: str, name: str = "", generation: str = CURRENT) -> str:
        return os.path.join(self.base, generation, list_name, name).rstrip("/")

    def filter(self, filter_name: str, name: str = "") -> str:
        return os.path.join(self.base, "filters", _component(filter_name), name).rstrip("/")

    def _refuse_links(self, path: str) -> None:
        """Raises PingKillerError if a link leads away from anywhere between the base and a path."""
        names = os.path.relpath(path, self.base).split(os.sep)
        for depth in range(len(names) + 1):
            part = os.path.normpath(os.path.join(self.base, *names[:depth]))
            if os.path.islink(part):
                raise PingKillerError(
                    f"{part} is a symbolic link to {os.readlink(part)!r}, which PingKiller never makes: nothing was changed "
                    f"through it; find out who made it, remove it, and run again"
                )

    def filters(self) -> list[str]:
        """The names of the filters that have pins, whether or not a program is attached, sorted."""
        self._refuse_links(self.host("filters"))
        try:
            return sorted(unquote(name) for name in os.listdir(os.path.join(self.base, "filters")))
        except FileNotFoundError:
            return []

    def rename_filter(self, old: str, new: str) -> None:
        self.remove_filter(new)
        os.rename(self.filter(old), self.filter(new))

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
            os.rename(self.base, self.next.base)
        os.rename(self.old.base, self.base)
        self.next.remove_all()

    def discard_old(self) -> None:
        """Remove the old maps; they are gone in one step, so that nobody comes upon half of them."""
        self.next.remove_all()
        os.rename(self.old.base, self.next.base)
        self.next.remove_all()

    def check_mount(self) -> bool:
        """Whether the base is on a mounted BPF file system. Raises PingKillerError if it never will be."""
        self._refuse_links(self.base)
        inside = [mount for mount in _bpffs_mounts() if (self.base + "/").startswith(mount.rstrip("/") + "/")]
        if any(mount == self.base for mount in inside):
            raise PingKillerError(f"base={self.base!r} is a mount point: give a directory below it")
        if inside:
            return True
        if self.base.startswith(_DEFAULT_MOUNT + "/"):
            return False
        raise PingKillerError(
            f"base={self.base!r} is not on a BPF file system: mount one there first (mount -t bpf bpf DIRECTORY) or "
            f"leave base at {DEFAULT_BASE}"
        )

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
            os.mkdir(path, mode=0o700)
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0:
            raise PingKillerError(f"{path} is not a directory that belongs to root: remove it and run again")
        if stat.S_IMODE(status.st_mode) != 0o700:
            os.chmod(path, 0o700)

    def ensure(self, path: str, info: bpf.MapInfo, prefix: str = "") -> bpf.Map:
        """The map pinned at ``path``, made and pinned if there is none. Raises PingKillerError if it is another map."""
        existing = self.open(path, info)
        if existing:
            return existing
        new = bpf.Map.create(prefix + os.path.basename(path), info)
        new.pin(path)
        return new

    def open(self, path: str, info: bpf.MapInfo | None = None) -> bpf.Map | None:
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
        if info and found.info != info:
            actual = found.info.describe()
            found.close()
            raise PingKillerError(
                f"{path} is a map of another shape ({actual} instead of {info.describe()}): it was left untouched; "
                f"remove the filter with state=absent and set it up again"
            )
        return found

    def remove_filter(self, filter_name: str) -> None:
        self._refuse_links(self.filter(filter_name))
        for name in (*schema.FILTER_PINS, CARRIED):
            _unlink(self.filter(filter_name, name))
        _rmdir(self.filter(filter_name))

    def remove_lists(self, generation: str) -> None:
        if not os.path.lexists(self.host(generation)):
            return
        for list_name in schema.LISTS:
            self._refuse_links(self.list(list_name, generation=generation))
            for name in schema.list_maps(0):
                _unlink(self.list(list_name, name, generation))
            _rmdir(self.list(list_name, generation=generation))
        _rmdir(os.path.join(self.base, generation))

    def enter_lists(self) -> None:
        """Make the next generation, which is whole by now, the present one, in one step."""
        os.rename(self.host(NEXT), self.host(CURRENT))

    def has_lists(self) -> bool:
        return os.path.isdir(self.host(CURRENT))

    def remove_all(self) -> None:
        """Every pin and directory of ours at this base; anything else found below it is left, and said."""
        if not self.exists():
            return
        for filter_name in self.filters():
            self.remove_filter(filter_name)
        if self.has_lists():  # in one step, so that nobody comes upon half a list
            for name in schema.LISTS:
                self._refuse_links(self.list(name))
            self.remove_lists(NEXT)
            os.rename(self.host(CURRENT), self.host(NEXT))
        self.remove_lists(NEXT)
        for name in schema.HOST_PINS:
            _unlink(self.host(name))
        _rmdir(self.host("filters"))
        _rmdir(self.base)


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
            f"{path} holds something that is not PingKiller's ({', '.join(os.listdir(path))}): remove it by hand"
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
            f"run 'mount -t bpf bpf {_DEFAULT_MOUNT}' and look at what it says"
        )


@contextlib.contextmanager
def closing_all(maps: dict[str, bpf.Map]) -> Iterator[dict[str, bpf.Map]]:
    """Close a set of maps at the end, whatever happens."""
    try:
        yield maps
    finally:
        for each in maps.values():
            each.close()
