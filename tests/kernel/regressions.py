# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that once had a wrong result, and packets that once were the only ones to find a mistake.

A failing property test prints a row to paste here. Give it a name that says what went wrong. Like every row of the
table, it runs on all hooks and is compared with the model.
"""

from __future__ import annotations

from model import ECHO_REQUEST, EVERY_TYPE, Entry, Options  # noqa: F401 - names that pasted rows use
from rows import Known, Row  # noqa: F401
from scapy.all import *  # noqa: F403 - names that pasted rows use


def regressions():
    yield from ()
