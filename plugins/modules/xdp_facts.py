#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_facts
short_description: Report what the filters of a host do and what its lists hold
version_added: 0.1.0
description:
  - Reads counters, options and lists from the BPF maps of a host into C(ansible_facts.pingkiller).
  - Changes nothing, compiles nothing, takes no lock, and works on a host that has no filter.
  - Of a list with a million entries it returns counts, the busiest entries and as many of the others as O(list_limit) says. O(dest) is the
    way to all of them.
options:
  list_limit:
    description:
      - How many entries of each list to return. The counts are always those of the whole list.
      - A thousand entries are 130 KB that travel, are parsed and are shown for each host.
    type: int
    default: 100
  top:
    description:
      - How many of the entries that met the most packets to return for each list.
    type: int
    default: 10
  dest:
    description:
      - A directory on the managed host to write the lists to, whole, as the files C(blocklist) and C(allowlist). It is made if it is missing.
      - They have the format of O(pingkiller.fleet.xdp_blocklist#module:src), so they can be read back. Behind a C(#) each line says the owners
        of its entry and what it has counted.
      - A file of that name is replaced when the new one is complete, if it was written by this module. Only root may read it.
      - A directory that others than root can change or replace is refused, as is one that is reached through a link of theirs.
      - Nothing is written in check mode. As the filter and its lists stay as they are, a file is not reported as a change.
    type: path
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.attributes.facts
seealso:
  - module: pingkiller.fleet.xdp_filter
  - module: pingkiller.fleet.xdp_blocklist
"""

EXAMPLES = r"""
- name: Look
  pingkiller.fleet.xdp_facts:

- name: Keep the whole of both lists on the host, with what each entry has counted
  pingkiller.fleet.xdp_facts:
    list_limit: 0
    dest: /var/lib/pingkiller-lists

- name: Say what was dropped on each interface, and what monitor mode would have dropped
  ansible.builtin.debug:
    msg: >-
      {{ item.key }} dropped {{ item.value.counters.dropped.packets }} packets,
      and would have dropped {{ item.value.counters.would_drop.packets }}
  loop: "{{ ansible_facts.pingkiller.filters | dict2items }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to the host's.
  returned: success
  type: dict
  contains:
    pingkiller:
      description: What there is of PingKiller on the host.
      returned: success
      type: dict
      contains:
        schema:
          description:
            - Version of the layout of the maps. Maps of an earlier version are moved to new ones by the next run of
              M(pingkiller.fleet.xdp_filter).
          type: int
          returned: success
          sample: 3
        version:
          description: Version of the collection that looked.
          type: str
          returned: success
          sample: 0.1.0
        kernel:
          description: Release of the running kernel.
          type: str
          returned: success
          sample: 6.1.0-18-amd64
        filters:
          description:
            - The filters by interface. Each has C(mode) (C(none) when its program or interface has gone), C(mode_reason) (why
              it is not native), C(hook), C(program) (C(id), C(name), C(tag), C(loaded_at)), C(build_id), C(options), C(counters) and C(ratelimit).
            - The counters have C(passed) and C(dropped), and C(reasons), by reason and family, each with C(packets) and C(bytes).
            - C(counters.would_drop), with C(packets), C(bytes) and C(reasons) of its own, is what would have been dropped but for
              O(pingkiller.fleet.xdp_filter#module:monitor). It has passed, so it is in C(passed) and neither in C(dropped) nor in the filter's
              C(reasons). It stays when monitor mode is off again.
            - With a rate limit, C(ratelimit) has C(sources) (how many are counted), C(blocked_count) and C(blocked) (C(ip) and C(seconds_left), the
              longest to come first). In monitor mode no source is blocked, and C(would_block_count) and C(would_block) have those that would be.
            - What passes has the reason C(not_icmp), C(malformed), C(protected), C(allowlist), C(type), C(policy_pass) or C(unclassified) (see
              O(pingkiller.fleet.xdp_filter#module:strict)), what is dropped C(blocklist), C(ratelimit), C(policy_drop) or C(too_many_tags).
          type: dict
          returned: success
          sample:
            eth0:
              mode: native
              counters:
                passed: {packets: 7, bytes: 686}
                would_drop: {packets: 0, bytes: 0}
                dropped: {packets: 42, bytes: 4116}
        notes:
          description:
            - What the rest does not show, as sentences - a filter whose interface was moved to another network namespace and that goes on there,
              or that reads other lists than those told of here. They are also given as warnings.
          type: list
          elements: str
          returned: success
          sample: []
        lists:
          description:
            - The C(blocklist) and the C(allowlist), each with C(count), C(capacity), C(entries), C(truncated) (not all entries are
              named) and C(top), the entries that met the most packets. With O(dest) also C(file), where the whole list is.
            - An entry has C(ip), C(owners), C(direction), C(expires_in) (seconds), C(packets), C(bytes) and C(last_seen) (UTC).
          type: dict
          returned: success
          sample:
            blocklist:
              count: 1
              capacity: 65536
              truncated: false
              entries:
                - {ip: 192.0.2.1, owners: [adhoc], direction: src, packets: 42, bytes: 4116, last_seen: "2026-01-31T12:00:00Z"}
              top: []
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import BASE_OPTION, Module, finish
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import facts


def collect(*arguments):
    found = facts.collect(*arguments)
    return {"ansible_facts": {"pingkiller": found}, "warnings": found["notes"]}


def main():
    module = Module(
        argument_spec={
            "list_limit": {"type": "int", "default": 100},
            "top": {"type": "int", "default": 10},
            "dest": {"type": "path"},
            **BASE_OPTION,
        },
        supports_check_mode=True,
    )
    given = module.params
    dest = None if module.check_mode else given["dest"]
    finish(module, collect, given["base"], given["list_limit"], given["top"], dest)


if __name__ == "__main__":
    main()
