# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that modules share: private to the collection. It turns the library's errors into Ansible's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import CONFIG_DIRECTORY
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError, on_screen
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import access
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import paths

BASE_OPTION = {"base": {"type": "str", "default": paths.DEFAULT_BASE}}
LOCK_OPTION = {"lock_timeout": {"type": "float", "default": 30}}
CONFIG_OPTION = {"config_dir": {"type": "path", "default": CONFIG_DIRECTORY}}
PERSIST_OPTIONS = {"persist": {"type": "bool"}, **CONFIG_OPTION}
STATE_OPTION = {"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}}

_NOT_LOGGED = ("_sources", "_script", "content", "foreseen", "lists", "marks", "wanted")
_LOGGED_VALUE, _LOGGED_LINE = 60, 280  #: characters


class Module(AnsibleModule):
    """An AnsibleModule whose messages fit on a screen, also those of Ansible about wrong arguments.

    It logs one short line in the host's journal, with the options that are not default. Ansible would log all arguments
    whole: the C sources, and lists of any length. Its ``no_log`` would also remove the values from the results.
    """

    def fail_json(self, msg: object, **more: Any) -> None:
        super().fail_json(msg=on_screen(str(msg)), **more)

    def warn(self, warning: object, **more: Any) -> None:
        super().warn(on_screen(str(warning)), **more)

    def _log_invocation(self) -> None:
        if has_respawned():  # the interpreter before this one has logged it
            return
        options = [
            f"{name}={str(value)[:_LOGGED_VALUE]!r}"
            for name, value in self.params.items()
            if name not in _NOT_LOGGED and value != self.argument_spec[name].get("default")
        ]
        line = "Invoked with " + (" ".join(options) or "defaults only")
        self.log(line[:_LOGGED_LINE])


def finish(module: AnsibleModule, call: Callable[..., dict[str, Any]], *arguments: Any, **options: Any) -> None:
    """Call the library, and end the module with the result, or with the message of a PingKillerError."""
    try:
        access.require_root()
        result = call(*arguments, **options)
    except PingKillerError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"a system call failed ({error}): fix the cause and run this again")
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)
