# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write one page about what the hosts of a play answered to the module xdp_status_info. Runs on the controller."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _last_words, _report, _statuses

_OPTIONS = {
    "path": {"type": "str", "default": "./pingkiller-report.html"},
    "only_check": {"type": "bool", "default": False},
}


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
        result["changed"] = False  # no host is changed, and a report is as new as its time in any case
        try:
            if options["only_check"]:
                _report.places(options["path"])
                return result
            written = _report.write(_statuses.answers(task_vars), options["path"], check=self._task.check_mode)
        except PingKillerError as error:
            raise AnsibleActionFail(f"{error}.") from None
        result.update(path=written.path, record=written.record, size=written.size, msg=[written.message])
        # Also with -v, the callback shows it in place of the task.
        result["_ansible_verbose_override" if _last_words.heard else "_ansible_verbose_always"] = True
        return result
