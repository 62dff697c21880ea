# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make what the controller sends to hosts: the C sources, and the runtime, which is all files of the command ``pingkiller``."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from pathlib import Path

from ansible.errors import AnsibleError

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime

PLUGINS = Path(__file__).resolve().parents[1]
LIBRARY = PLUGINS / "module_utils" / "_pingkiller"
SOURCES = PLUGINS.parent / "bpf"
ROLE_FILES = PLUGINS.parent / "roles" / "pingkiller" / "files"

#: The files of the command besides its library, by their paths below /usr/local. roles/pingkiller/files/install.py knows the
#: first, and files/marks.sh all.
PROGRAM = "sbin/pingkiller"
MANUAL = "share/man/man8/pingkiller.8"
COMPLETION = "share/bash-completion/completions/pingkiller"

#: /usr/bin/python3 is the distribution's Python, to which BCC belongs. With ``-I``, root runs no Python of the working
#: directory or environment.
_PROGRAM = """\
#!/usr/bin/python3 -I
# Written by Ansible, role pingkiller.fleet.pingkiller. Changes here are overwritten.
import gc
import os
import signal
import sys

on_interrupt = signal.getsignal(signal.SIGINT)
if on_interrupt is signal.default_int_handler:  # or Ctrl-C makes a traceback of what is being imported
    signal.signal(signal.SIGINT, signal.SIG_DFL)

gc.set_threshold(100_000)  # what is imported stays: looking for garbage in it takes a tenth of a short command's time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../{directory}"))
try:
    from pingkiller.command.cli import run

    signal.signal(signal.SIGINT, on_interrupt)
    run()
except ImportError as error:
    sys.exit(f"pingkiller: a file of the command is missing ({{error}}): deploy again; if a deployment runs now, call this again")
"""


def read_sources() -> dict[str, str]:
    """Return the C sources of the filter, by their path below bpf/. Raises AnsibleError."""
    return runtime.without_tracers(_read(SOURCES, ".c", ".h"))


def read_trace_sources() -> dict[str, str]:
    """Return the C sources of the tracers, by their path below bpf/. Raises AnsibleError."""
    return runtime.of_tracers(_read(SOURCES, ".c", ".h"))


def _read(top: Path, *suffixes: str) -> dict[str, str]:
    before = _versions(top, suffixes)
    texts = {path.relative_to(top).as_posix(): path.read_text(encoding="utf-8") for path in before}
    if _versions(top, suffixes) != before:  # the collection is being upgraded
        raise AnsibleError(f"the files in {top} were changed while they were read: nothing was sent; run again")
    return texts


def _versions(top: Path, suffixes: tuple[str, ...]) -> dict[Path, tuple[int, ...]]:
    """Return the files, sorted, with numbers that change when a file is written or replaced."""
    files = sorted(path for path in top.rglob("*") if path.suffix in suffixes)
    statuses = ((path, path.stat()) for path in files)
    return {path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in statuses}


@functools.lru_cache(maxsize=1)
def files() -> dict[str, str]:
    """Return all files of the command, by their paths below /usr/local.

    The library is in a directory that is named after its content, and the program names that directory: so a host changes from
    one version to another with one file.
    """
    library = {f"pingkiller/{name}": text for name, text in _read(LIBRARY, ".py").items()}
    library.update({f"pingkiller/bpf/{name}": text for name, text in _read(SOURCES, ".c", ".h").items()})
    content = "".join(f"{name}\0{text}\0" for name, text in sorted(library.items()))
    directory = f"lib/pingkiller/{_digest(content)[:16]}"
    return {
        **{f"{directory}/{name}": text for name, text in library.items()},
        PROGRAM: _PROGRAM.format(directory=directory),
        MANUAL: (ROLE_FILES / "pingkiller.8").read_text(encoding="utf-8"),
        COMPLETION: (ROLE_FILES / "pingkiller.bash").read_text(encoding="utf-8"),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def build() -> bytes:
    """Return the runtime: an archive that Python runs to install the files. They give the same bytes on every controller.

    The files are not compressed, because compressed data depends on the version of zlib.
    """
    installer = (ROLE_FILES / "install.py").read_text(encoding="utf-8")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in sorted({**files(), "__main__.py": installer}.items()):
            entry = zipfile.ZipInfo(name)  # its date is always 1 January 1980
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def mark() -> str:
    """Return what files/marks.sh prints of a host on which all of these files, and no others, are installed."""
    lines = {f"{_digest(text)}  {name}" for name, text in files().items()}
    lines |= {f"0:0 {755 if name == PROGRAM else 644} {name}" for name in files()}
    own = {str(path) for name in files() for path in Path(name).parents if path.parts[:2] == ("lib", "pingkiller")}
    lines |= {f"0:0 755 {directory}" for directory in own}
    return _digest("".join(f"{line}\n" for line in sorted(lines))) + "  -"
