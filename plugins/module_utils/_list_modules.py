# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of xdp_blocklist and xdp_allowlist, which differ in the list only: private to the collection.

Apart from what all modules share, because every file that a module imports travels to the host with each of its runs.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    LOCK_OPTION,
    PERSIST_OPTIONS,
    STATE_OPTION,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import sync, wanted


def run_list_module(list_name: str) -> None:
    """Arguments in, one call, one result out."""
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
