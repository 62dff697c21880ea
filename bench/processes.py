# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a process from its start to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple


class Measured(NamedTuple):
    said: str  #: standard output and standard error
    seconds: float
    cpu: float  #: CPU seconds
    peak_mb: int


def measured(*command: object, given: str | None = None) -> Measured:
    """Run a command, which reads the file ``given``. If it fails, exit with its output."""
    with tempfile.TemporaryFile("w+") as file, open(given or os.devnull) as stdin:
        began = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdin=stdin, stdout=file, stderr=file)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        said = file.read()
    if process.returncode:
        sys.exit(f"bench: {' '.join(map(str, command))[:200]} ended with {process.returncode}:\n{said[-500:]}")
    return Measured(said, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)
