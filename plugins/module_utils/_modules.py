# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: private to the collection.

The front of the two list modules, and the one place where the library's errors become Ansible's.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import pins, sync, wanted
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError

BASE_OPTION = {"base": {"type": "str", "default": pins.DEFAULT_BASE}}
LOCK_OPTION = {"lock_timeout": {"type": "float", "default": 30}}
PERSIST_OPTIONS = {
    "persist": {"type": "bool"},
    "config_dir": {"type": "path", "default": wanted.DEFAULT_DIRECTORY},
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


def run_list_module(list_name: str) -> None:
    """The whole of xdp_blocklist and xdp_allowlist, which differ in the list only."""
    module = AnsibleModule(
        argument_spec={
            "ip": {"type": "list", "elements": "str"},
            "src": {"type": "path"},
            "content": {"type": "str"},
            "exclusive": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": "adhoc"},
            "from_owner": {"type": "str"},
            "direction": {"type": "str", "choices": ["src", "dst", "both"], "default": "src"},
            "ttl": {"type": "str"},
            **STATE_OPTION,
            **LOCK_OPTION,
            **PERSIST_OPTIONS,
            **BASE_OPTION,
        },
        mutually_exclusive=[("ip", "src"), ("ip", "content")],
        required_one_of=[("ip", "src", "content")],
        supports_check_mode=True,
    )
    finish(module, _change_list, list_name, module.params, module.check_mode)


def _change_list(list_name: str, given: dict, check_mode: bool) -> dict:
    request = sync.ListRequest(
        name=list_name,
        ip=given["ip"],
        src=given["src"],
        content=given["content"],
        absent=given["state"] == "absent",
        exclusive=given["exclusive"],
        owner=given["owner"],
        from_owner=given["from_owner"],
        direction=given["direction"],
        ttl=given["ttl"],
        persist=given["persist"],
        store=wanted.Store(given["config_dir"]),
    )
    return sync.change(given["base"], request, check_mode, given["lock_timeout"])
