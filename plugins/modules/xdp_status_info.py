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
      manage_packages:
        description: Whether a deploy installs BCC where it is missing. Else it is refused there.
        type: bool
        default: true
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
  contains:
    version:
      description: The version of the installed command, or else of a filter. Null if there is neither.
      type: str
      returned: success
      sample: 0.1.0
    kernel:
      description: Release of the running kernel.
      type: str
      returned: success
      sample: 6.1.0-18-amd64
    wanted:
      description: Whether the host is wanted to have filters.
      type: bool
      returned: success
    filters:
      description:
        - The filters that are wanted or there, by name as in M(pingkiller.fleet.xdp_facts), those with problems first, at most 8. C(mode) is C(none) if a
          filter is not attached. C(policy) is null if it is not known. C(passed), C(dropped) and C(would_drop) are packets.
        - A wanted filter on the interfaces of the default routes of a host that has none is called C(default-routes).
      type: dict
      returned: success
      sample:
        eth0: {wanted: true, mode: native, policy: pass, monitor: false, passed: 7, dropped: 42, would_drop: 0}
    filters_left_out:
      description: How many more filters there are.
      type: int
      returned: success
    drift:
      description:
        - What a deploy would change, as sentences without a dot at the end, at most 5. It is empty if the check mode of a deploy would change nothing.
        - What a deploy would refuse is told in the words of that refusal.
      type: list
      elements: str
      returned: success
      sample: ["filter eth0: policy is pass, the inventory wants drop"]
    drift_left_out:
      description: How many more there are.
      type: int
      returned: success
    lists:
      description: The entries of each list, and how many it has room for.
      type: dict
      returned: success
      sample:
        blocklist: {count: 5, capacity: 65536}
        allowlist: {count: 1, capacity: 65536}
    counts:
      description: The packets of all filters, and the reasons of the dropped ones.
      type: dict
      returned: success
      sample: {passed: 7, dropped: 42, would_drop: 0, reasons: {blocklist: 42}}
    recent:
      description: The same for the time that the module measured, with C(seconds).
      type: dict
      returned: success
      sample: {seconds: 1.0, passed: 1, dropped: 3, would_drop: 0, reasons: {blocklist: 3}}
    sources:
      description:
        - The busiest entries of the blocklist, and sources that the rate limit blocks, at most 10, by C(recent) packets, then by all C(packets).
        - Packets of a source that the rate limit blocks are known only if it is the only one of its filter, and only those of the time that the module
          measured. Else they are 0.
      type: list
      elements: dict
      returned: success
      sample: [{ip: 203.0.113.66, packets: 42, recent: 3, reason: blocklist, owners: [inventory]}]
    notes:
      description: Sentences about problems, as in M(pingkiller.fleet.xdp_facts), at most 3.
      type: list
      elements: str
      returned: success
    address:
      description: What happens to pings of O(address), with the owners of the entry that decides. C(verdict) is as in M(pingkiller.fleet.xdp_facts).
      type: dict
      returned: with O(address)
      sample:
        ip: 203.0.113.9
        verdict: drop
        reason: pings from it are dropped on eth0, since the blocklist has 203.0.113.9 (owner inventory)
        owners: [inventory]
    reasons:
      description: The packets of all reasons, by family.
      type: dict
      returned: with O(details)
      sample: {blocklist: {ipv4: 40, ipv6: 2}, not_icmp: {ipv4: 7}}
    processing:
      description:
        - How long passed and dropped frames took in the filters, in nanoseconds. Of C(buckets), number i counts frames of 2^i to 2^(i+1)-1 ns. Null if no
          frame was measured.
      type: dict
      returned: with O(details)
      sample:
        passed: {count: 5, average: 90, p50: 80, p99: 120, buckets: [0, 0, 0, 0, 0, 0, 5]}
        dropped: null
    owners:
      description: The number of entries by owner, for each list, at most 10 owners.
      type: dict
      returned: with O(details)
      sample: {blocklist: {inventory: 4, local: 1}, allowlist: {inventory: 1}}
    comments:
      description: The comments of entries among C(sources).
      type: dict
      returned: with O(details)
      sample: {203.0.113.66: scans every night}
"""

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.pingkiller.fleet.plugins.module_utils._installed import prefer_installed
from ansible_collections.pingkiller.fleet.plugins.module_utils._interpreter import move_to_interpreter_with_bcc
from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    CONFIG_OPTION,
    STATE_OPTION,
    Module,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import marks

_WANTED = {
    "filters": {"type": "list", "elements": "dict", "default": []},
    "refusal": {"type": "str", "default": ""},
    "manage_packages": {"type": "bool", "default": True},
}


def run(given):
    found = marks.look(given["_script"], given["config_dir"])
    # Before most of the library is imported: its installed copy is read in half the time.
    if found["command"] and found["command"] == given["marks"].get("command"):
        prefer_installed()
    return look(given, found)


def look(given, found):
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import status_json
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.status import Question, status
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.wanted import Wanted

    wanted = Wanted(
        store=Store(given["config_dir"]),
        present=given["state"] == "present",
        requests=tuple(filter_requests(given)),
        refusal=given["wanted"].get("refusal", ""),
        manage_packages=given["wanted"].get("manage_packages", True),
        persist=given["persist"],
        list_hashes=given["lists"],
        marks=given["marks"],
        found=found,
    )
    question = Question(window=given["window"], address=given["address"], details=given["details"])
    return {"status": status_json.as_dict(status(given["base"], wanted, question), details=question.details)}


def filter_requests(given):
    """Yield the request that the role makes for each filter."""
    from ansible_collections.pingkiller.fleet.plugins.module_utils._filter_requests import request_from
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import argument_spec
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.wanted import OWNER

    options = {
        "interfaces": {"type": "list", "elements": "str", "default": []},
        "force": {"type": "bool", "default": False},
        **argument_spec(),
    }
    validator = ArgumentSpecValidator(options)
    about_host = {name: given[name] for name in ("max_entries", "persist", "config_dir")}
    for wanted in given["wanted"].get("filters", ()):
        checked = validator.validate(wanted)
        if checked.error_messages:
            raise PingKillerError(f"in filters, {'; '.join(checked.error_messages)}")
        options = checked.validated_parameters
        mine = {"interface": options.pop("interfaces") or None, "owner": OWNER, "reset": True}
        yield request_from({**options, **about_host, **mine}, {}, digest=given["_sources_digest"])


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
    finish(module, run, given)


if __name__ == "__main__":
    main()
