#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_status_info
short_description: Look at a host once, and report whether it filters as wanted
version_added: 0.1.0
description:
  - Reports in a few lines of data what a fleet's status shows of a host. That is which filters it has, whether they are what is wanted, what a deploy would
    change, how full the lists are, what was dropped in all and while the module measured, and which sources were busiest.
  - The answer has at most 4 KB, and at most 16 KB with O(details). What does not fit is left out, and counted where it matters.
  - The module changes nothing, compiles nothing and takes no lock. It also works on a host that has no filter.
  - The role calls it in its tasks C(status), with what the inventory wants of the host.
options:
  state:
    description: Whether the host is wanted to have filters at all.
    type: str
    choices: [present, absent]
    default: present
  wanted:
    description: What is wanted of the host.
    type: dict
    default: {}
    suboptions:
      filters:
        description:
          - The wanted filters. Each has the options of M(pingkiller.fleet.xdp_filter) by their names, but C(interfaces) in place of C(interface), where an
            empty list means those of the default routes. Options that are left out have their defaults.
        type: list
        elements: dict
        default: []
      refusal:
        description: Why a deploy to this host would be refused, in the words of the role's preflight. Nothing is compared then.
        type: str
        default: ""
  window:
    description: Measure for this many seconds, at most V(3600), what is dropped now. The module takes as long. V(0) measures nothing.
    type: float
    default: 1
  address:
    description: An address or network. The answer then says whether its pings pass on this host, and why.
    type: str
  details:
    description: Also report all reasons, processing times, the owners of entries, and comments.
    type: bool
    default: false
  max_entries:
    description: The wanted capacity of each list.
    type: int
  persist:
    description: Whether filters and lists are wanted to be restored at boot.
    type: bool
    default: true
  lists:
    description:
      - The hash (SHA-256) of the file that a deploy writes for each list, by V(allowlist) and V(blocklist). A list that is left out is not compared.
    type: dict
    default: {}
  marks:
    description: The marks of the files that restore filters at boot, as the role has them.
    type: dict
    default: {}
  _sources_digest:
    description: The hash of the C sources. The action plugin adds it; do not set it.
    type: str
  _script:
    description: What finds the marks on the host. The action plugin adds it; do not set it.
    type: str
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.pingkiller.config
  - pingkiller.fleet.attributes.events
seealso:
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Look at the host, and measure for five seconds
  pingkiller.fleet.xdp_status_info:
    wanted:
      filters:
        - interfaces: [eth0]
          policy: drop
    window: 5
  register: looked

- name: Fail if a filter is missing
  ansible.builtin.assert:
    that: looked.status.filters.values() | selectattr('wanted') | selectattr('mode', 'equalto', 'none') | length == 0

- name: Find out whether an address is blocked here
  pingkiller.fleet.xdp_status_info:
    address: 203.0.113.66
    window: 0
"""

RETURN = r"""
status:
  description: The state of the host.
  type: dict
  returned: success
"""

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pingkiller.fleet.plugins.module_utils._filter_requests import request_from
from ansible_collections.pingkiller.fleet.plugins.module_utils._interpreter import move_to_interpreter_with_bcc
from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    CONFIG_OPTION,
    STATE_OPTION,
    Module,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import argument_spec
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import status_json
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.status import Question, status
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.wanted import OWNER, Wanted

_WANTED = {
    "filters": {"type": "list", "elements": "dict", "default": []},
    "refusal": {"type": "str", "default": ""},
}
_FILTER = ArgumentSpecValidator(
    {
        "interfaces": {"type": "list", "elements": "str", "default": []},
        "force": {"type": "bool", "default": False},
        **argument_spec(),
    }
)


def look(given):
    wanted = Wanted(
        store=Store(given["config_dir"]),
        present=given["state"] == "present",
        requests=tuple(filter_request(given, each) for each in given["wanted"].get("filters", ())),
        refusal=given["wanted"].get("refusal", ""),
        persist=given["persist"],
        list_hashes=given["lists"],
        marks=given["marks"],
        script=given["_script"],
    )
    question = Question(window=given["window"], address=given["address"], details=given["details"])
    return {"status": status_json.as_dict(status(given["base"], wanted, question), details=question.details)}


def filter_request(given, wanted):
    """Return the request that the role makes for a filter."""
    checked = _FILTER.validate(wanted)
    if checked.error_messages:
        raise PingKillerError(f"in filters, {'; '.join(checked.error_messages)}")
    options = checked.validated_parameters
    about_host = {name: given[name] for name in ("max_entries", "persist", "config_dir")}
    mine = {"interface": options.pop("interfaces") or None, "owner": OWNER, "reset": True}
    return request_from({**options, **about_host, **mine}, {}, digest=given["_sources_digest"])


def main():
    module = Module(
        argument_spec={
            "wanted": {"type": "dict", "default": {}, "options": _WANTED},
            "window": {"type": "float", "default": 1},
            "address": {"type": "str"},
            "details": {"type": "bool", "default": False},
            "max_entries": {"type": "int"},
            "persist": {"type": "bool", "default": True},
            "lists": {"type": "dict", "default": {}},
            "marks": {"type": "dict", "default": {}},
            "_sources_digest": {"type": "str"},
            "_script": {"type": "str"},
            **STATE_OPTION,
            **CONFIG_OPTION,
            **BASE_OPTION,
        },
        supports_check_mode=True,
    )
    if module.params["_sources_digest"] is None or module.params["_script"] is None:
        module.fail_json(
            msg="what the controller adds did not come along: call the module by its full name, "
            "pingkiller.fleet.xdp_status_info, or let action_plugins in ansible.cfg name the collection's plugins/action"
        )
    move_to_interpreter_with_bcc()  # whose version is a part of what a program is built from
    given = dict(module.params)
    module.params.clear()  # or they would be sent back with the result
    finish(module, look, given)


if __name__ == "__main__":
    main()
