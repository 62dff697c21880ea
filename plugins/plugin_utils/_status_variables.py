# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of the playbook status before any host is asked."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.totals import LONGEST_WINDOW
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import quoted


def fault(given: Mapping[str, object]) -> str:
    """Return a sentence about the first variable that is wrong, or nothing."""
    address = given.get("pingkiller_address")
    rows, window = (given.get(name, 0) for name in ("pingkiller_rows", "pingkiller_status_window"))
    if address is not None:
        try:
            addresses.parse(str(address))
        except ValueError as error:
            return f"pingkiller_address is {quoted(address)}, which {error}."
    if not str(rows).isdecimal():
        return f"pingkiller_rows is {quoted(rows)}, which is not a number of hosts: give one, 0 for all."
    if not _is_window(window):
        return f"pingkiller_status_window is {quoted(window)}, which is not a number of seconds from 0 to {LONGEST_WINDOW}."
    return ""


def _is_window(given: object) -> bool:
    try:
        return 0 <= float(str(given)) <= LONGEST_WINDOW
    except ValueError:
        return False
