# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: private to the collection. The one place where the library's errors become Ansible's."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import CONFIG_DIRECTORY, pins
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError

BASE_OPTION = {"base": {"type": "str", "default": pins.DEFAULT_BASE}}
LOCK_OPTION = {"lock_timeout": {"type": "float", "default": 30}}
PERSIST_OPTIONS = {
    "persist": {"type": "bool"},
    "config_dir": {"type": "path", "default": CONFIG_DIRECTORY},
}
STATE_OPTION = {"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}}


def finish(module: AnsibleModule, call, *arguments, **options) -> None:
    """Make the call into the library and end the module with its result, or with its one sentence."""
    try:
        result = call(*arguments, **options)
    except PingKillerError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"the host refused what PingKiller asked of it ({error}): mend that and run again")
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)
