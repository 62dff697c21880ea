# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces for the benchmarks. They start without networks, pins and locks, and leave nothing on the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
_SCRIPT = "mount -t sysfs sys /sys && mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs run /run && ip link set lo up"
_MARK = "PINGKILLER_BENCH"


def enter() -> None:
    """Restart this program in new mount and network namespaces, with the collection and the test helpers importable."""
    if os.environ.get(_MARK) == str(os.getpid()):  # exec keeps the process id
        return
    if os.geteuid():
        sys.exit("bench: takes root, because it loads programs into the kernel.")
    path = os.pathsep.join(str(CHECKOUT / each) for each in (".collections", "tests/kernel", "tests/modules"))
    os.environ.update({_MARK: str(os.getpid()), "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"})
    command = ["sh", "-c", f'{_SCRIPT} && exec "$@"', "sh", sys.executable, *sys.orig_argv[1:]]
    os.execvp("unshare", ["unshare", "--net", "--mount", *command])


enter()
