# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the C sources of the tracers to the managed host, and check its answer before a playbook adds it up."""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import Judged
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_trace_sources
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace import trace_result


class ActionModule(Judged):
    """Adds the C sources to the arguments of the module."""

    def arguments(self) -> dict:
        return {**super().arguments(), "_sources": read_trace_sources()}

    def judged(self, answer: dict, _arguments: dict, host: str) -> dict:
        return trace_result(answer, host, check_mode=self._task.check_mode)
