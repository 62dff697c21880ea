# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the end of the playbooks status and report after Ansible's recap, which has a line for each host and would push it away.

Ansible loads the callbacks beside a playbook without any setting. Where another callback than one like Ansible's default
writes the output (json, minimal), this one is silent: these write the result of the task, which has the table.
"""

from __future__ import annotations

import os
import shutil

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.plugins.loader import callback_loader

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _last_words

_TASKS = ("pingkiller.fleet.fleet_report", "pingkiller.fleet.fleet_status")


class CallbackModule(CallbackBase):
    """Keeps the lines of the task until the run has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "last_words"

    def __init__(self):
        super().__init__()
        self._lines = []
        writes = callback_loader.get(constants.DEFAULT_STDOUT_CALLBACK, class_only=True)
        columns, height = shutil.get_terminal_size()
        _last_words.screen = os.terminal_size((columns - 1, height))  # some terminals break a line that is full
        _last_words.heard = writes is not None and issubclass(writes, Default)

    def v2_runner_on_ok(self, result):
        if _last_words.heard and result._task.action in _TASKS:
            self._lines = result._result.get("msg", [])

    def v2_playbook_on_stats(self, stats):
        for line in self._lines:
            self._display.display(line)
        self._lines = []
