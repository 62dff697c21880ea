# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the C sources to the managed host: files beside module_utils that are not Python do not travel by themselves."""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

SOURCES = Path(__file__).resolve().parents[2] / "bpf"


def read_sources() -> dict[str, str]:
    """The files below bpf/ by their path there."""
    before = versions()
    sources = {path.relative_to(SOURCES).as_posix(): path.read_text(encoding="utf-8") for path in before}
    if versions() != before:  # a collection that is being upgraded: half of the one and half of the other
        raise AnsibleActionFail(f"the C sources in {SOURCES} were changed while they were read: run again")
    return sources


def versions() -> dict[Path, tuple]:
    """The files below bpf/, in order, each with what changes when it is written to or replaced."""
    files = sorted(path for path in SOURCES.rglob("*") if path.suffix in (".c", ".h"))
    statuses = ((path, path.stat()) for path in files)
    return {path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in statuses}


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
