# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, open, replace and remove the pins of a host, and the BPF file system they are on. ``paths`` says where they are."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from ..errors import PingKillerError, listed, quoted, quoted_path
from ..files import own
from ..kernel import bpf, schema
from . import known_pins, mounts
from .paths import CURRENT, DEFAULT_BASE, NEXT, Paths


class Pins(Paths):
    """The pins of a host. Only ``prepare``, ``make_directory`` and ``ensure`` create anything."""

    # Whether this is a place for pins, and whose

    def check_mount(self) -> bool:
        """Return whether the base is on a mounted BPF file system. Raises PingKillerError if it can never be on one."""
        self.refuse_links(self.base)
        mount = mounts.mount_of(self.base)
        if mount == self.base:
            raise PingKillerError(f"base={quoted_path(self.base)} is a mount point: give a directory below it")
        if mount:
            own.check_path(self.base, mount)
            for pins in (self, self.new, self.old):  # other users may have made them, if they can write there
                own.check_directory(pins.base)
            return True
        if self.base.startswith(mounts.DEFAULT_MOUNT + "/"):
            return False
        raise PingKillerError(
            f"base={quoted_path(self.base)} is not on a BPF file system: mount one there first (mount -t bpf -o mode=0700 bpf DIRECTORY) or "
            f"leave base at {DEFAULT_BASE}"
        )

    def require_ours(self) -> bool:
        """Check the base and all that is below it before a change, under the lock. Returns what ``check_mount`` returns.

        Raises PingKillerError for anything that is not PingKiller's. A directory that another program made for root looks
        like ours, so its content has to tell. Pins may be missing after a killed run, and maps may have another schema.
        """
        mounted = self.check_mount()
        for pins in (self, self.new, self.old) if mounted else ():
            pins._require_known(pins.base, known_pins.BASE)
        return mounted

    def _require_known(self, directory: str, known: known_pins.Directory) -> None:
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise _not_ours(directory, "is no directory") from None
        for name in names:
            path, below = os.path.join(directory, name), known.directory(name)
            if name in known.maps:
                self._require_map(path, known.maps[name])
            elif below:
                self.refuse_links(path)
                self._require_known(path, below)
            else:
                raise _not_ours(path, "has a name that no pin of PingKiller's has")

    def _require_map(self, path: str, known: known_pins.KnownMap) -> None:
        found = self.open_map(path)
        if found is None:
            return
        with found:
            if not known.fits(os.path.basename(path), found.info):
                actual, declared = found.info.describe(), known.info.describe()
                raise _not_ours(path, f"has an unexpected layout ({actual} instead of {declared})")
            if found.name != known.name:
                raise _not_ours(path, f"is a map called {quoted(found.name)} and not {known.name}")

    def warnings(self) -> list[str]:
        """Return what is wrong with the place of the pins, though it does not stop anything from working."""
        mount = mounts.mount_of(self.base)
        if mount is None or not os.stat(mount).st_mode & stat.S_IWOTH:
            return []
        return [
            f"every user can make directories in {mount}, and PingKiller refuses directories of its names that others made: set the "
            f"mode of {mount} to 0700, and mount it with mode=0700 (mount -t bpf -o mode=0700 bpf {mount})"
        ]

    # Making and opening

    def prepare(self) -> None:
        """Mount the BPF file system if it is missing, and make the base, for root only."""
        if not self.check_mount():
            mounts.mount_default()
        self.make_directory(self.base)

    def make_directory(self, path: str) -> None:
        """Make a directory of root's own, and those above it. Raises PingKillerError if somebody else's is there."""
        if not os.path.isdir(os.path.dirname(path)):
            self.make_directory(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            own.make_directory(path)
        own.check_directory(path)

    def ensure(self, path: str, info: bpf.MapInfo, prefix: str = "") -> bpf.Map:
        """Open the map pinned at ``path``; without one, make and pin it. Raises PingKillerError for any other map."""
        existing = self.open_map(path, info)
        if existing:
            return existing
        new = bpf.Map.create(prefix + os.path.basename(path), info)
        new.pin(path)
        return new

    def open_map(self, path: str, info: bpf.MapInfo | None = None, *, any_size: bool = False) -> bpf.Map | None:
        """Open the map pinned at ``path``; None without a pin.

        Raises PingKillerError if the map does not have the declaration ``info``, if given; with ``any_size``, apart from
        its size. The kernel does not compare declarations.
        """
        self.refuse_links(path)
        found = _opened(path)
        if found is None or info is None:
            return found
        expected = info._replace(max_entries=found.info.max_entries) if any_size else info
        if found.info != expected:
            actual = found.info.describe()
            found.close()
            raise PingKillerError(
                f"{path} has an unexpected layout ({actual} instead of {info.describe()}): it was left untouched; "
                f"remove the filter with state=absent and set it up again"
            )
        return found

    # Replacing all maps

    def swap(self) -> None:
        """Put the new maps in the place of these, which become the old ones."""
        os.rename(self.base, self.old.base)
        os.rename(self.new.base, self.base)

    def swap_back(self) -> None:
        """Put the old maps in their place again. Nobody uses the maps that may be there."""
        self.new.remove_all()
        if self.exists():
            self._take(self.new)
        self.old._take(self)
        self.new.remove_all()

    def discard_old(self) -> None:
        """Remove the old maps. One rename takes them away, so that nobody sees a part of them."""
        self.new.remove_all()
        self.old._take(self.new)
        self.new.remove_all()

    def _take(self, place: Pins) -> None:
        """Rename the base to another one. Somebody else may have made it since the last check."""
        own.check_directory(self.base)
        os.rename(self.base, place.base)

    # Replacing the lists

    def enter_lists(self) -> None:
        """Use the next generation of the lists, which is complete by now. One rename does it."""
        os.rename(self.host_pin(NEXT), self.host_pin(CURRENT))

    def discard_lists(self) -> None:
        """Remove all lists. One rename takes them away, so that nobody sees a part of a list."""
        if self.has_lists():
            for name in schema.LISTS:
                self.refuse_links(self.list_pin(name))
            self.remove_lists(NEXT)
            os.rename(self.host_pin(CURRENT), self.host_pin(NEXT))
        self.remove_lists(NEXT)

    def remove_lists(self, generation: str) -> None:
        if not os.path.lexists(self.host_pin(generation)):
            return
        for list_name in schema.LISTS:
            self.refuse_links(self.list_pin(list_name, generation=generation))
            for name in schema.list_maps(0):
                _unlink(self.list_pin(list_name, name, generation))
            _rmdir(self.list_pin(list_name, generation=generation))
        _rmdir(self.host_pin(generation))

    # Renaming and removing

    def rename_filter(self, old: str, new: str) -> None:
        self.remove_filter(new)
        os.rename(self.filter_pin(old), self.filter_pin(new))

    def remove_filter(self, filter_name: str) -> None:
        self.refuse_links(self.filter_pin(filter_name))
        for name in (*schema.FILTER_PINS, known_pins.CARRIED):
            _unlink(self.filter_pin(filter_name, name))
        _rmdir(self.filter_pin(filter_name))

    def remove_all(self) -> None:
        """Remove every pin and directory of ours at this base. Raises PingKillerError if anything else is left there."""
        if not self.exists():
            return
        own.check_directory(self.base)  # somebody else may have made it since the last check
        for filter_name in self.filters():
            self.remove_filter(filter_name)
        self.discard_lists()
        for name in schema.HOST_PINS:
            _unlink(self.host_pin(name))
        _rmdir(self.host_pin("filters"))
        _rmdir(self.base)


def _opened(path: str) -> bpf.Map | None:
    """Open the map pinned at a path; None without a pin. Raises PingKillerError for anything else."""
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
    return found


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


@contextlib.contextmanager
def closing_all(maps: dict[str, bpf.Map]) -> Iterator[dict[str, bpf.Map]]:
    """Close a set of maps at the end, whatever happens."""
    try:
        yield maps
    finally:
        for opened in maps.values():
            opened.close()
