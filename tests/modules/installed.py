# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``pingkiller`` as the role installs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGINS = "ansible_collections.pingkiller.fleet.plugins"
#: Goes before the command, to load programs that were built before instead of compiling them.
LOADING = ("/usr/bin/python3", "-I", str(Path(__file__).with_name("loading.py")))


def install(directory: Path) -> Path:
    """Install the command below a directory as the role does below /usr/local, and return its path."""
    archive = directory / "archive"
    archive.write_bytes(as_the_controller("sys.stdout.buffer.write(build())"))
    subprocess.run(["/usr/bin/python3", "-I", archive, "install", directory], check=True)
    return directory / "sbin" / "pingkiller"


def as_the_controller(statement: str) -> bytes:
    """Return the output of a statement that builds the runtime.

    It runs in a process of its own, since importing code of the controller changes how modules run.
    """
    program = f"import sys; from {PLUGINS}.plugin_utils._runtime import build; {statement}"
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", program], env=surroundings, stdout=subprocess.PIPE, check=True).stdout
