# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one table of what the hosts of a play answered to the module xdp_status_info. Runs on the controller."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _last_words
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_screen import Screen
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_words import lacking
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import answers, read

_OPTIONS = {"rows": {"type": "int"}, "address": {"type": "str", "default": ""}}


class ActionModule(ActionBase):
    """Reads the registered answers of all hosts, and connects to none."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _valid, options = self.validate_argument_spec(_OPTIONS)
        statuses = read(answers(task_vars))
        result["lacking"] = lacking(statuses)
        result["msg"] = Screen(statuses, *_last_words.screen).lines(options["rows"], options["address"])
        # Also with -v, the callback shows it in place of the task.
        result["_ansible_verbose_override" if _last_words.heard else "_ansible_verbose_always"] = True
        return result
