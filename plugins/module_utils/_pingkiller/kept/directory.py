# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the files that say what a host has after a boot."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .. import CONFIG_DIRECTORY
from ..errors import PingKillerError, quoted_path
from ..files import own, reading
from . import copies

HOST = "host"  #: the name of the note of the host
REMEDY = "repair or remove it, and deploy again"
_RENEW = "run the task that takes the list file again"

#: The name of a copy, maybe of one that was not written to its end. It begins with the name of its note.
_COPY = re.compile(r"(.+)\.[0-9a-f]{64}\.keys(?:\.new)?")

#: Units name the directory without quoting, and everything in it is removed with PingKiller.
_OWN_NAME = re.compile(r"/(?:[A-Za-z0-9._-]+/)+pingkiller[A-Za-z0-9._-]*")


class Broken(PingKillerError):
    """A note that cannot be understood. A plan may replace it."""


class Store:
    """The directory of the wanted state, with the notes and copies in it.

    Reading creates nothing. Files and directories that others than root could change are refused. A note is a JSON file; its
    name is its path below the directory without the suffix.
    """

    def __init__(self, directory: str = CONFIG_DIRECTORY, *, user: int = 0) -> None:
        """``user`` is the number of the user that everything belongs to: root, except in tests. Raises PingKillerError."""
        self.directory = os.path.normpath(directory)
        self._user = user
        if not _OWN_NAME.fullmatch(self.directory):
            raise PingKillerError(
                f"config_dir={quoted_path(directory)} is not a valid name for a directory of PingKiller: give an absolute path of letters, digits, "
                f"dots, dashes and underscores below / whose last part begins with pingkiller, like {CONFIG_DIRECTORY}"
            )

    def require_own(self) -> None:
        """Check the directory before a plan. Raises PingKillerError if it is somebody else's, or could become so."""
        own.check_path(self.directory)
        own.check_directory(self.directory)

    def path(self, name: str) -> str:
        """Return the path of a note."""
        return os.path.join(self.directory, name + ".json")

    def names(self, *inside: str) -> list[str]:
        """Return the names of the notes in an inner directory, without the directory, sorted."""
        return sorted(name[: -len(".json")] for name in self._list(*inside) if name.endswith(".json"))

    def _list(self, *inside: str) -> list[str]:
        path = os.path.join(self.directory, *inside)
        try:
            return os.listdir(path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {REMEDY}") from None

    def copied(self, *inside: str) -> set[str]:
        """Return the names of the notes that the copies in an inner directory belong to. A note may be missing."""
        return {found[1] for found in self._copies(*inside)}

    def _copies(self, *inside: str) -> list[re.Match[str]]:
        return [found for found in map(_COPY.fullmatch, self._list(*inside)) if found]

    def is_empty(self) -> bool:
        """Tell whether nothing is there, not even the lists that the role writes, which stay when all else is removed."""
        return not self._list()

    def restores(self) -> bool:
        """Tell whether the host restores anything at boot. Then it also restores new entries."""
        return HOST in self.names()

    def read(self, name: str) -> dict[str, Any]:
        """Return the content of a note; empty if there is none.

        Raises Broken for a file that is no note, and PingKillerError for a file that is not root's alone or cannot be read.
        """
        path = self.path(name)
        try:
            content = json.loads(self._read(path).decode(errors="replace"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Broken(f"{path} is not JSON ({error}): {REMEDY}") from None
        except RecursionError:
            raise Broken(f"{path} is nested deeper than PingKiller writes anything: {REMEDY}") from None
        if not isinstance(content, dict):
            raise Broken(f"{path} holds no JSON object: {REMEDY}")
        return content

    def _read(self, path: str) -> bytes:
        """Return the content of a file. Raises FileNotFoundError, and PingKillerError if it is not root's alone."""
        self._check_directories(os.path.dirname(path))
        try:
            self._check_own(path, stat.S_ISREG)
            return reading.read(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {REMEDY}") from None
        except ValueError as error:
            raise PingKillerError(f"{path} {error}: {REMEDY}") from None

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a note, or remove it if the content is empty: completely or not at all, even if the power fails."""
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
        except OSError:  # a part of a long copy would keep a full disk full
            os.unlink(temporary)
            raise
        _sync_directory(directory)

    def copy_path(self, name: str, digest: str) -> str:
        """Return the path of a copy that belongs to a note."""
        return os.path.join(self.directory, f"{name}.{digest}.keys")

    def read_copy(self, name: str, digest: str) -> bytes:
        """Return a copy that belongs to a note, as ``copies.pack`` made it. Raises PingKillerError if it is damaged."""
        path = self.copy_path(name, digest)
        try:
            packed = copies.decompress(self._read(path))
        except FileNotFoundError:
            raise PingKillerError(f"{path} is not there, although {self.path(name)} names it: {_RENEW}") from None
        except ValueError as error:
            raise PingKillerError(f"{path} is damaged ({error}): {_RENEW}") from None
        if copies.digest(packed) != digest:
            raise PingKillerError(f"{path} does not hold what was put there: {_RENEW}")
        return packed

    def has_copy(self, name: str, digest: str, packed: bytes) -> bool:
        """Tell whether a copy is there and undamaged."""
        try:
            return copies.decompress(self._read(self.copy_path(name, digest))) == packed
        except (FileNotFoundError, ValueError, PingKillerError):
            return False

    def write_copy(self, name: str, digest: str, packed: bytes) -> None:
        """Write a copy, completely or not at all. Write the note that names it afterwards, so that it names no missing copy."""
        path = self.copy_path(name, digest)
        self._check_directories(os.path.dirname(path))
        self._write(path, copies.compress(packed))

    def drop_copies(self, name: str, *, keep: Collection[str]) -> None:
        """Remove the copies that belong to a note, except those with the digests in ``keep``."""
        directory, note = os.path.split(name)
        for found in self._copies(directory):
            if found[1] == note and found[0] not in {f"{note}.{digest}.keys" for digest in keep}:
                self._remove(os.path.join(self.directory, directory, found[0]))

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            _sync_directory(os.path.dirname(path))
        for directory in self._inner_directories(os.path.dirname(path)):
            with contextlib.suppress(OSError):  # not empty, or missing
                os.rmdir(directory)

    def _inner_directories(self, directory: str) -> list[str]:
        """Return a directory and those around it, the innermost first, up to the store's directory and without it."""
        found = []
        while directory != self.directory:
            found.append(directory)
            directory = os.path.dirname(directory)
        return found

    def _check_directories(self, directory: str) -> None:
        for path in [*self._inner_directories(directory), self.directory]:
            with contextlib.suppress(FileNotFoundError):
                self._check_own(path, stat.S_ISDIR)

    def _check_own(self, path: str, is_kind: Callable[[int], bool]) -> None:
        """Check that only root decides what is restored: a link could lead elsewhere. Raises PingKillerError, and OSError."""
        status = os.lstat(path)
        if not is_kind(status.st_mode) or status.st_uid != self._user or status.st_mode & 0o022:
            expected = "a directory" if is_kind is stat.S_ISDIR else "a file"
            raise PingKillerError(
                f"{path} is not {expected} that belongs to root and that only root can change: {REMEDY}"
            )

    def _make_directories(self, directory: str) -> None:
        own.make_directories(self.directory)
        for path in reversed(self._inner_directories(directory)):
            with contextlib.suppress(FileExistsError):
                own.make_directory(path)


def _sync_directory(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
