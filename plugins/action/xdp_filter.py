# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the C sources to the managed host: files beside module_utils that are not Python do not travel by themselves.

What comes back is looked at before the role makes use of it.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import filter_result
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_sources


class ActionModule(ActionBase):
    _supports_async = True
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        if "interface" in arguments and arguments["interface"] is None:
            arguments["interface"] = []  # or the module would take what came out blank for what was not given
        expected = ("removed",)
        if arguments.get("state", "present") == "present":
            arguments["_sources"] = read_sources()
            expected = ("filters", "max_entries", *(["owned"] if arguments.get("owner") else []))
        wrap_async = self._task.async_val and not self._connection.has_native_async
        answer = self._execute_module(
            module_name=self._task.action, module_args=arguments, task_vars=task_vars, wrap_async=wrap_async
        )
        result.update(answer if wrap_async else filter_result(answer, expected, task_vars["inventory_hostname"]))
        if not wrap_async:  # else the module is still to run from there
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
