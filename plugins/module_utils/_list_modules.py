# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules xdp_blocklist and xdp_allowlist, which differ only in the list: private to the collection.

This is not in ``_modules``, because Ansible sends every file that a module imports to the host with each run.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    LOCK_OPTION,
    PERSIST_OPTIONS,
    STATE_OPTION,
    Module,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.list_lines import Reading
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import deployments
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.change import change_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import Foreseen, ListRequest

_FORESEEN = {
    "filters": {"type": "dict"},
    "removed": {"type": "list", "elements": "str", "default": []},
    "max_entries": {"type": "int"},
    "allowlist": {
        "type": "dict",
        "options": {"src": {"type": "path"}, "content": {"type": "str"}},
        "required_one_of": [("src", "content")],
    },
}


def run_list_module(list_name: str) -> None:
    """Run the module of a list."""
    module = Module(
        argument_spec={
            "ip": {"type": "list", "elements": "str"},
            "src": {"type": "path"},
            "content": {"type": "str"},
            "exclusive": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": "adhoc"},
            "from_owner": {"type": "str"},
            "any_owner": {"type": "bool", "default": False},
            "direction": {"type": "str", "choices": ["src", "dst", "both"]},
            "ttl": {"type": "str"},
            "comment": {"type": "str"},
            "format": {"type": "str", "choices": ["plain", "first_column"], "default": "plain"},
            "on_invalid": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
            "host_bits": {"type": "str", "choices": ["refuse", "mask"], "default": "refuse"},
            "foreseen": {"type": "dict", "options": _FORESEEN},
            "deployed": {"type": "bool", "default": False},
            **STATE_OPTION,
            **LOCK_OPTION,
            **PERSIST_OPTIONS,
            **BASE_OPTION,
        },
        mutually_exclusive=[("ip", "src"), ("ip", "content")],
        required_one_of=[("ip", "src", "content")],
        supports_check_mode=True,
    )
    # Ansible sends all parameters back with the result, and these are large.
    large = {name: module.params.pop(name) for name in ("content", "foreseen")}
    finish(module, _change_list, list_name, {**module.params, **large}, check_mode=module.check_mode)


def _change_list(list_name: str, given: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    request = ListRequest(
        name=list_name,
        ip=given["ip"],
        src=given["src"],
        content=given["content"],
        absent=given["state"] == "absent",
        exclusive=given["exclusive"],
        owner=given["owner"],
        from_owner=given["from_owner"],
        any_owner=given["any_owner"],
        direction=given["direction"],
        ttl=given["ttl"],
        comment=given["comment"],
        persist=given["persist"],
        reading=Reading(format=given["format"], on_invalid=given["on_invalid"], host_bits=given["host_bits"]),
        store=Store(given["config_dir"]),
        foreseen=_foreseen(given["foreseen"] or {}, given["owner"]),
    )
    result = change_list(given["base"], request, check=check_mode, lock_timeout=given["lock_timeout"])
    if given["deployed"] and not check_mode:
        deployments.note(request.store)
    return result


def _foreseen(given: dict[str, Any], owner: str) -> Foreseen:
    allowlist = given.get("allowlist")
    request = allowlist and ListRequest(schema.ALLOWLIST, **allowlist, exclusive=True, owner=owner)
    return Foreseen(
        filters=given.get("filters"),
        removed=tuple(given.get("removed") or ()),
        capacity=given.get("max_entries"),
        allowlist=request,
    ).checked()
