# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write one page about what the hosts of a play answered to the module xdp_status_info. Runs on the controller."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _report, _statuses
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import OfFleet


class ActionModule(OfFleet):
    """Writes the page, or only checks that it could be written."""

    options = {
        "path": {"type": "str", "default": "./pingkiller-report.html"},
        "only_check": {"type": "bool", "default": False},
    }

    def shown(self, options, task_vars):
        result = {"changed": False}  # no host is changed, and a report is as new as its time in any case
        try:
            if options["only_check"]:
                _report.places(options["path"])
                return result
            written = _report.write(_statuses.answers(task_vars), options["path"], check=self._task.check_mode)
        except PingKillerError as error:
            raise AnsibleActionFail(f"{error}.") from None
        return {
            **result,
            "path": written.path,
            "record": written.record,
            "size": written.size,
            "msg": [written.message],
        }
