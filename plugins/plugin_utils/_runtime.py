# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make what the controller sends to hosts: the C sources, and the runtime, a file with the library and the sources."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from ansible.errors import AnsibleError

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime

PLUGINS = Path(__file__).resolve().parents[1]
LIBRARY = PLUGINS / "module_utils" / "_pingkiller"
SOURCES = PLUGINS.parent / "bpf"

#: The distribution's Python, to which BCC belongs. With ``-I``, root runs no Python of the working directory or
#: environment.
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


def build() -> bytes:
    """Return the runtime, a Python zip application. The same files give the same bytes on every controller.

    The files are not compressed, because compressed data depends on the version of zlib.
    """
    files = {f"pingkiller/{name}": text for name, text in _read(LIBRARY, ".py").items()}
    files.update({f"pingkiller/bpf/{name}": text for name, text in _read(SOURCES, ".c", ".h").items()})
    files["__main__.py"] = _MAIN
    buffer = io.BytesIO()
    buffer.write(_INTERPRETER)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # its date is always 1 January 1980
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()
