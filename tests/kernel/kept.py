# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow results that are computed once per test run, by the first process that needs them."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable

_VARIABLE = "PINGKILLER_TESTS_KEPT"  #: tells the workers of pytest-xdist and their children the directory
if _VARIABLE not in os.environ:
    _OWN = tempfile.TemporaryDirectory(prefix="pingkiller-kept-")
    os.environ[_VARIABLE] = _OWN.name
DIRECTORY = os.environ[_VARIABLE]


def once(name: str, find_out: Callable[[], object]):
    """Return the result of ``find_out``, as JSON has it. Other callers wait. If it raises, the next caller tries."""
    path = os.path.join(DIRECTORY, name)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            found = find_out()
            with open(f"{path}.new", "w") as file:
                json.dump(found, file)
            os.replace(f"{path}.new", path)  # not os.rename, which tests replace
    with open(path) as file:
        return json.load(file)
