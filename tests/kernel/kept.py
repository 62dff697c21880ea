# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes long to find out is found out once in a run of the tests, by whichever of its processes needs it first."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable

_VARIABLE = "PINGKILLER_TESTS_KEPT"  #: by which the processes of pytest-xdist find it, and all that they start
if _VARIABLE not in os.environ:
    _OWN = tempfile.TemporaryDirectory(prefix="pingkiller-kept-")
    os.environ[_VARIABLE] = _OWN.name
DIRECTORY = os.environ[_VARIABLE]


def once(name: str, find_out: Callable[[], object]):
    """What ``find_out`` returns, as JSON has it. Who comes meanwhile waits; if it raises, the next one tries."""
    path = os.path.join(DIRECTORY, name)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            found = find_out()
            with open(f"{path}.new", "w") as file:
                json.dump(found, file)
            os.replace(f"{path}.new", path)  # os.rename is among what tests take away
    with open(path) as file:
        return json.load(file)
