# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the C sources to the managed host, and check its answer before the role uses it.

Ansible sends module_utils automatically, but only Python files.
"""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import Judged
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import filter_result
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_sources


class ActionModule(Judged):
    """Adds the C sources to the arguments of the module, and checks the results that the role uses."""

    def arguments(self) -> dict:
        given = super().arguments()
        if "interface" in given and given["interface"] is None:
            given["interface"] = []  # from a template; the module would treat None as not given
        return {**given, "_sources": read_sources()} if _is_present(given) else given

    def judged(self, answer: dict, arguments: dict, host: str) -> dict:
        expected = ["removed"]
        if _is_present(arguments):
            expected = ["filters", "max_entries", *(["owned"] if arguments.get("owner") else [])]
        return filter_result(answer, expected, host)


def _is_present(arguments: dict) -> bool:
    return arguments.get("state", "present") == "present"
