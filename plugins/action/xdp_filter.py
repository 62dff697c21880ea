# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the C sources to the managed host: files beside module_utils that are not Python do not travel by themselves."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_sources


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        if arguments.get("state", "present") == "present":
            arguments["_sources"] = read_sources()
        result.update(self._execute_module(module_name=self._task.action, module_args=arguments, task_vars=task_vars))
        return result
