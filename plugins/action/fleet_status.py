# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one table of what the hosts of a play answered to the module xdp_status_info. Runs on the controller."""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _last_words
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import OfFleet
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_screen import Screen
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_words import lacking
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import answers, read


class ActionModule(OfFleet):
    """Writes the table for the terminal that the callback knows."""

    options = {"rows": {"type": "int"}, "address": {"type": "str", "default": ""}}

    def shown(self, options, task_vars):
        statuses = read(answers(task_vars))
        lines = Screen(statuses, *_last_words.screen).lines(options["rows"], options["address"])
        return {"lacking": lacking(statuses), "msg": lines}
