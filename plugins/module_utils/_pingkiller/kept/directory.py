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
from collections.abc import Collection

from .. import CONFIG_DIRECTORY
from ..errors import PingKillerError, quoted_path
from ..files import own, reading
from . import copies

HOST = "host"

#: What is behind the name of a note in that of a copy, or of one that was not written to its end.
_COPY = re.compile(r"(.+)\.[0-9a-f]{64}\.keys(?:\.new)?")

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
        own.check_path(self.directory)
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
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {REMEDY}") from None

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
        return HOST in self.names()

    def read(self, name: str) -> dict:
        """What a file holds; empty if there is none. Raises PingKillerError for what is not a file of ours."""
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
        """Raises FileNotFoundError, and PingKillerError for what is not a file of ours."""
        self._check_directories(os.path.dirname(path))
        try:
            _check_own(path, os.lstat(path), stat.S_ISREG)
            return reading.read(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PingKillerError(f"{path} cannot be read ({error.strerror}): {REMEDY}") from None
        except ValueError as error:
            raise PingKillerError(f"{path} {error}: {REMEDY}") from None

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
        own.make_directories(self.directory)
        for each in reversed(self._inner_directories(directory)):
            with contextlib.suppress(FileExistsError):
                own.make_directory(each)


_ROOT = 0
REMEDY = "mend or remove it, and deploy again"
_RENEW = "have the list file taken again"


def _check_own(path: str, status: os.stat_result, kind) -> None:
    """Only root may have a say in what is restored, and a link could lead elsewhere. Raises PingKillerError."""
    if not kind(status.st_mode) or status.st_uid != _ROOT or status.st_mode & 0o022:
        expected = "a directory" if kind is stat.S_ISDIR else "a file"
        raise PingKillerError(f"{path} is not {expected} that belongs to root and that only root can change: {REMEDY}")


def _sync_directory(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
