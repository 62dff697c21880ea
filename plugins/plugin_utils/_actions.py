# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bases of all action plugins: one runs the module of the same name on the host, one looks at what all hosts answered."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _answers, _last_words


class Judged(ActionBase):
    """Returns the module's answer, safe to show in a terminal, with only the facts that the module gathers."""

    _supports_async = True
    _supports_check_mode = True
    _requires_connection = True

    facts: tuple[str, ...] = ()  #: names of the facts that the module gathers

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        arguments = self.arguments()
        wrap_async = self._task.async_val and not self._connection.has_native_async
        answer = self._execute_module(
            module_name=self._task.action, module_args=arguments, task_vars=task_vars, wrap_async=wrap_async
        )
        result.update(answer if wrap_async else self.judged(answer, arguments, task_vars["inventory_hostname"]))
        if not wrap_async:  # with async, the module still has to run from that directory
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for the module."""
        return dict(self._task.args)

    def judged(self, answer: dict[str, Any], _arguments: dict[str, Any], host: str) -> dict[str, Any]:
        """Return the result of the task, given the module's answer and arguments."""
        return _answers.result(answer, host, self.facts)


class OfFleet(ActionBase):
    """Runs on the controller, once for all hosts of a play. Reads their registered answers, and connects to none."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    options: dict[str, dict[str, Any]] = {}  #: the argument spec

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _valid, options = self.validate_argument_spec(self.options)
        result.update(self.shown(options, task_vars))
        if "msg" in result:  # also with -v, the callback shows the lines in place of the task
            result["_ansible_verbose_override" if _last_words.heard else "_ansible_verbose_always"] = True
        return result

    def shown(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the task, with its lines in ``msg`` if it has any to show."""
        raise NotImplementedError
