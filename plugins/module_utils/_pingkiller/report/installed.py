# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which version of PingKiller a host has."""

from __future__ import annotations

import re

from ..files import reading
from ..store import filter_meta
from ..store.pins import Pins

_PROGRAM = "/usr/local/sbin/pingkiller"
_DIRECTORY = re.compile(rb"\.\./(lib/pingkiller/[0-9a-f]{16})")
_VERSION = re.compile(rb'^VERSION = "([^"]{1,40})"', re.MULTILINE)


def version(pins: Pins) -> str | None:
    """Return the version of the installed command, or else of a filter; None if there is neither."""
    noted = (filter_meta.read(pins, name).version for name in pins.filters())
    return _of_command() or next(filter(None, noted), None)


def _of_command() -> str | None:
    """Return the version of the library whose directory the command names."""
    directory = _found(_PROGRAM, _DIRECTORY)
    return _found(f"/usr/local/{directory}/pingkiller/__init__.py", _VERSION) if directory else None


def _found(path: str, pattern: re.Pattern[bytes]) -> str | None:
    """Return what a pattern finds in a file; None if it is not there or holds no such thing."""
    try:
        found = pattern.search(reading.read(path))
    except (OSError, ValueError):
        return None
    return found[1].decode(errors="replace") if found else None
