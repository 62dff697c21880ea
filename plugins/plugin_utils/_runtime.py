# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller carries to hosts: the C sources, and the runtime, which is the library and them in one file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from ansible.errors import AnsibleError

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime

PLUGINS = Path(__file__).resolve().parents[1]
LIBRARY = PLUGINS / "module_utils" / "_pingkiller"
SOURCES = PLUGINS.parent / "bpf"

#: The distribution's, to which BCC belongs. Root is run nobody else's Python, wherever it is and whatever its environment says.
_INTERPRETER = b"#!/usr/bin/python3 -I\n"
_MAIN = """\
import signal
import sys

on_interrupt = signal.getsignal(signal.SIGINT)
if on_interrupt is signal.default_int_handler:  # or Ctrl-C makes a traceback of what is being imported
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pingkiller.command.cli import main

signal.signal(signal.SIGINT, on_interrupt)
sys.exit(main())
"""


def read_sources() -> dict[str, str]:
    """The C of the filter: the files below bpf/ by their path there, without the tracers'."""
    return runtime.without_tracers(_read(SOURCES, ".c", ".h"))


def read_trace_sources() -> dict[str, str]:
    """The C of the tracers, in the same way."""
    return runtime.of_tracers(_read(SOURCES, ".c", ".h"))


def _read(top: Path, *suffixes: str) -> dict[str, str]:
    before = _versions(top, suffixes)
    texts = {path.relative_to(top).as_posix(): path.read_text(encoding="utf-8") for path in before}
    if _versions(top, suffixes) != before:  # a collection that is being upgraded: half of the one and half of the other
        raise AnsibleError(f"the files in {top} were changed while they were read: nothing was sent; run again")
    return texts


def _versions(top: Path, suffixes: tuple[str, ...]) -> dict[Path, tuple]:
    """The files, in order, each with what changes when it is written to or replaced."""
    files = sorted(path for path in top.rglob("*") if path.suffix in suffixes)
    statuses = ((path, path.stat()) for path in files)
    return {path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in statuses}


def build() -> bytes:
    """The runtime, a Python zip application. The same files make the same bytes, wherever and whenever.

    Stored and not deflated, because what deflating makes of a text depends on the version of zlib.
    """
    files = {f"pingkiller/{name}": text for name, text in _read(LIBRARY, ".py").items()}
    files.update({f"pingkiller/bpf/{name}": text for name, text in _read(SOURCES, ".c", ".h").items()})
    files["__main__.py"] = _MAIN
    buffer = io.BytesIO()
    buffer.write(_INTERPRETER)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # of 1 January 1980
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()
