# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the command ``pingkiller`` on this host, or remove it: ARCHIVE install|remove [TOP].

The role runs this with the host's own Python. It is the main program of an archive with all files of the command, by their
paths below TOP, which is /usr/local. The library is in a directory that is named after its content, and the program in
sbin/ names that directory. So an earlier version works until the new program is in place, which is written last. Whatever
was interrupted, another run completes it.
"""

from __future__ import annotations

import compileall
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from typing import TextIO

LIBRARY = "lib/pingkiller"  #: holds nothing but the library, in a directory for each version, and the note
NOTE = "lib/pingkiller/made"  #: names the directories outside that were missing, so that a removal removes them
PROGRAM = "sbin/pingkiller"
BYTECODE = "__pycache__"


def install(archive: zipfile.ZipFile, names: list[str]) -> None:
    """Bring all files of the archive into the working directory, and what Python makes of them."""
    _make_directory(LIBRARY)
    with open(NOTE, "a+", encoding="utf-8") as note:
        fcntl.flock(note, fcntl.LOCK_EX)  # another run of the role
        _note_missing(note, names)
        for name in names:
            if name == PROGRAM:
                continue
            _write(name, archive.read(name), 0o644)
            if name.endswith(".py"):  # not only where the bytecode looks old: Python tells by the second
                compileall.compile_file(name, quiet=2, force=True)
        subprocess.run(["sync", "--file-system", LIBRARY], check=True)  # or a power failure could leave empty files
        _write(PROGRAM, archive.read(PROGRAM), 0o755)
        _remove_others(names)


def _note_missing(note: TextIO, names: list[str]) -> None:
    """Note the directories that are about to be made, besides those that were noted by a run before this one."""
    note.seek(0)
    noted = note.read().splitlines()
    for directory in _directories(names):
        if not directory.startswith(LIBRARY) and directory not in noted and not os.path.exists(directory):
            note.write(directory + "\n")
    note.flush()


def _directories(names: list[str]) -> list[str]:
    """Return the directories on the way to files, outer ones first."""
    found = set()
    for name in names:
        while name := os.path.dirname(name):
            found.add(name)
    return sorted(found)


def _make_directory(path: str) -> None:
    """Make a directory with the ones around it. Of our own ones, also set owner and mode, and replace anything else there."""
    if not path.startswith(LIBRARY):
        os.makedirs(path, exist_ok=True)
        return
    _make_directory(os.path.dirname(path))
    if os.path.islink(path) or not os.path.isdir(path):
        _remove(path)
        os.mkdir(path)
    _own(path, 0o755)


def _write(path: str, content: bytes, mode: int) -> None:
    """Write a file, completely or not at all."""
    _make_directory(os.path.dirname(path))
    with open(_unfinished(path), "wb") as file:
        file.write(content)
    _own(_unfinished(path), mode)
    if os.path.isdir(path) and not os.path.islink(path):
        _remove(path)
    os.rename(_unfinished(path), path)


def _unfinished(path: str) -> str:
    return f"{path}.new"


def _own(path: str, mode: int) -> None:
    """Give a path to root, who runs this. Some distributions let another group own what is made below /usr/local."""
    os.chown(path, os.geteuid(), os.getegid())
    os.chmod(path, mode)


def _remove_others(names: list[str]) -> None:
    """Remove what is in our directory and belongs to another version or to nobody."""
    kept = {NOTE, *names, *_directories(names)}
    for place, directories, files in os.walk(LIBRARY):
        for path in (os.path.join(place, name) for name in [*directories, *files]):
            compiled = os.path.basename(path) == BYTECODE and place in kept
            if path not in kept and not compiled:
                _remove(path)
        directories[:] = [name for name in directories if os.path.join(place, name) in kept]


def _remove(path: str) -> None:
    """Remove a file, or a directory with what is in it, unless nothing is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def remove(names: list[str]) -> None:
    """Remove the files, and the directories that installing them has made. The note goes last: another run needs it."""
    _remove(PROGRAM)
    for name in names:
        if not name.startswith(LIBRARY):
            _remove(name)
            _remove(_unfinished(name))
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with open(NOTE, encoding="utf-8") as note:
            for directory in sorted(note.read().splitlines(), reverse=True):
                with contextlib.suppress(OSError):  # somebody else has put something there
                    os.rmdir(directory)
    _remove(LIBRARY)


def main(verb: str, top: str = "/usr/local") -> None:
    """Do it, with the archive that Python has been given as program."""
    with zipfile.ZipFile(os.path.abspath(sys.path[0])) as archive:
        names = [name for name in archive.namelist() if name != "__main__.py"]
        os.chdir(top)
        os.umask(0o022)
        if verb == "install":
            install(archive, names)
        else:
            remove(names)


if __name__ == "__main__":
    main(*sys.argv[1:])
