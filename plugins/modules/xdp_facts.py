#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_facts
short_description: Report the counters and options of a host's filters and the entries of its lists
version_added: 0.1.0
description:
  - Reads counters, options and lists from the BPF maps of a host into C(ansible_facts.pingkiller).
  - The module changes nothing, compiles nothing and takes no lock. It also works on a host that has no filter.
  - A list can have a million entries. For each list the module returns counts, the busiest entries and O(list_limit) other entries. To get all entries,
    use O(dest).
options:
  list_limit:
    description:
      - How many entries of each list to return. The counts are always for the whole list.
      - A thousand entries are 130 KB of data per host. This data is transferred, parsed and shown.
    type: int
    default: 100
  top:
    description:
      - How many of the busiest entries to return for each list. The busiest entries are those that matched the most packets.
    type: int
    default: 10
  dest:
    description:
      - A directory on the managed host. The module writes both lists there with all their entries, as the files C(blocklist) and C(allowlist). A missing
        directory is created.
      - The files have the format of O(pingkiller.fleet.xdp_blocklist#module:src), so they can be read back. After a C(#), each line has the owners
        and the counters of its entry.
      - An existing file of that name is replaced when the new file is complete, but only if this module wrote it. Only root may read the files.
      - A directory is refused if users other than root can change or replace it, or if its path has a symbolic link of such a user.
      - In check mode nothing is written. Writing a file is not reported as a change, because the filter and its lists stay as they are.
    type: path
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.attributes.facts
seealso:
  - module: pingkiller.fleet.xdp_filter
  - module: pingkiller.fleet.xdp_blocklist
"""

EXAMPLES = r"""
- name: Gather the facts
  pingkiller.fleet.xdp_facts:

- name: Write both lists to files on the host, with the counters of each entry
  pingkiller.fleet.xdp_facts:
    list_limit: 0
    dest: /var/lib/pingkiller-lists

- name: Show how many packets each interface has dropped, and how many monitor mode would have dropped
  ansible.builtin.debug:
    msg: >-
      {{ item.key }} dropped {{ item.value.counters.dropped.packets }} packets,
      and would have dropped {{ item.value.counters.would_drop.packets }}
  loop: "{{ ansible_facts.pingkiller.filters | dict2items }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to the facts of the host.
  returned: success
  type: dict
  contains:
    pingkiller:
      description: The state of PingKiller on the host.
      returned: success
      type: dict
      contains:
        schema:
          description:
            - Version of the layout of the maps. The next run of M(pingkiller.fleet.xdp_filter) moves maps of an earlier version to
              new maps.
          type: int
          returned: success
          sample: 3
        version:
          description: Version of the collection that reports these facts.
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
            - The filters by name, which is the interface, followed by a slash and the hook if that is not V(xdp). Each has C(interface), C(hook),
              C(mode) (C(none) if its program or interface no longer exists), C(mode_reason) (why the mode is not native), C(program) (C(id), C(name),
              C(tag), C(loaded_at)), C(build_id), C(options), C(counters), C(processing_time), C(ratelimit) and C(events).
            - C(counters) has C(passed) and C(dropped), and C(reasons) with the counts by reason and family. Each count has C(packets) and C(bytes).
            - C(counters.would_drop) counts packets that passed only because of O(pingkiller.fleet.xdp_filter#module:monitor). It has C(packets), C(bytes)
              and its own C(reasons). These packets are also counted in C(passed). They are not counted in C(dropped) or in C(counters.reasons). The
              counts stay when monitor mode is turned off again.
            - C(processing_time) has C(sample) (the current O(pingkiller.fleet.xdp_filter#module:timing_sample)), and for C(passed) and for C(dropped) frames
              C(count) (the number of measured frames) and C(average), C(p50), C(p90) and C(p99) in nanoseconds, which are null if no frame was
              measured. It is null if the filter never measured times.
            - C(events) has the number of events since the filter first reported any. C(sent) events went to a listener, C(suppressed) events were more
              than O(pingkiller.fleet.xdp_filter#module:events_per_second), and C(lost) events found the buffer full. It is null if the filter never
              reported events.
            - C(ratelimit) has C(sources) (the number of counted sources), C(blocked_count) and C(blocked). C(blocked) has C(ip) and C(seconds_left) of
              each source, the longest remaining time first. In monitor mode no source is blocked. C(would_block_count) and C(would_block) then show
              the sources that would be blocked. It is null without a rate limit.
            - Packets that pass have the reason C(not_icmp), C(malformed), C(protected), C(allowlist), C(type), C(policy_pass) or C(unclassified) (see
              O(pingkiller.fleet.xdp_filter#module:strict)). Dropped packets have the reason C(blocklist), C(ratelimit), C(policy_drop) or C(too_many_tags).
          type: dict
          returned: success
          sample:
            eth0:
              interface: eth0
              hook: xdp
              mode: native
              counters:
                passed: {packets: 7, bytes: 686}
                would_drop: {packets: 0, bytes: 0}
                dropped: {packets: 42, bytes: 4116}
        notes:
          description:
            - Sentences about problems that the other facts do not show. For example, the interface of a filter was moved to another network namespace and
              the filter keeps running there, or a filter reads other lists than the lists in these facts. The sentences are also given as warnings.
          type: list
          elements: str
          returned: success
          sample: []
        lists:
          description:
            - The C(blocklist) and the C(allowlist), each with C(count), C(capacity), C(entries), C(truncated) (whether C(entries) leaves out entries)
              and C(top), the entries that matched the most packets. With O(dest) also C(file), the path of the file with the whole list.
            - An entry has C(ip), C(owners), C(direction), C(expires_in) (seconds), C(packets), C(bytes) and C(last_seen) (UTC).
            - An entry that has a comment also has C(comment). If its owners have different comments, these are joined with C(;).
          type: dict
          returned: success
          sample:
            blocklist:
              count: 1
              capacity: 65536
              truncated: false
              entries:
                - ip: 192.0.2.1
                  owners: [adhoc]
                  comment: scans every night
                  direction: src
                  expires_in: null
                  packets: 42
                  bytes: 4116
                  last_seen: "2026-01-31T12:00:00Z"
              top: []
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import BASE_OPTION, Module, finish
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import facts


def collect(base, **options):
    found = facts.collect(base, **options)
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
    finish(module, collect, given["base"], list_limit=given["list_limit"], top=given["top"], dest=dest)


if __name__ == "__main__":
    main()
