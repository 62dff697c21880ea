# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the C sources to the managed host: files beside module_utils that are not Python do not travel by themselves.

What comes back is looked at before the role makes use of it.
"""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import Judged
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import filter_result
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_sources


class ActionModule(Judged):
    def arguments(self) -> dict:
        given = super().arguments()
        if "interface" in given and given["interface"] is None:
            given["interface"] = []  # or the module would take what came out blank for what was not given
        return {**given, "_sources": read_sources()} if _is_present(given) else given

    def judged(self, answer: dict, arguments: dict, host: str) -> dict:
        expected = ["removed"]
        if _is_present(arguments):
            expected = ["filters", "max_entries", *(["owned"] if arguments.get("owner") else [])]
        return filter_result(answer, expected, host)


def _is_present(arguments: dict) -> bool:
    return arguments.get("state", "present") == "present"
