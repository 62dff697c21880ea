# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the tracers' C sources to the managed host, and looks at what comes back before a playbook sums it up."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import trace_result
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_trace_sources


class ActionModule(ActionBase):
    _supports_async = True
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        arguments = {**self._task.args, "_sources": read_trace_sources()}
        wrap_async = self._task.async_val and not self._connection.has_native_async
        answer = self._execute_module(
            module_name=self._task.action, module_args=arguments, task_vars=task_vars, wrap_async=wrap_async
        )
        result.update(answer if wrap_async else trace_result(answer, task_vars["inventory_hostname"]))
        if not wrap_async:  # else the module is still to run from there
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
