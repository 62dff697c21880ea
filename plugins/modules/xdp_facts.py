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
  - With O(view=summary) it returns a few lines for people instead, and with O(explain) whether addresses are blocked on the host and why.
  - The module changes nothing, compiles nothing and takes no lock. It also works on a host that has no filter.
  - A list can have a million entries. For each list the module returns counts, the busiest entries and O(list_limit) other entries. To get all entries,
    use O(dest).
options:
  view:
    description:
      - V(full) returns all facts, or those of O(gather), as C(ansible_facts.pingkiller).
      - V(summary) returns RV(summary) in their place, at most ten lines. They say where the host filters, how much it dropped and why, and which entries of
        the blocklist matched most.
    type: str
    choices: [full, summary]
    default: full
  gather:
    description:
      - What to read and to return. Facts of which this names nothing are left out. Without this option, all facts are returned.
      - V(filters) gathers C(mode), C(mode_reason), C(program), C(build_id) and C(options) of each filter, and C(notes). About 0.7 KB a filter.
      - V(counters) gathers C(counters), C(processing_time) and C(events) of each filter. About 1.8 KB a filter.
      - V(ratelimit) gathers C(ratelimit) of each filter. Every source that a filter keeps count of is looked at, which takes 0.08 s a filter for 60,000.
      - V(lists) gathers C(lists), at 130 bytes an entry. To find the busiest of a million entries takes 0.03 s, and nothing with O(top=0). Nothing else
        opens a list.
      - C(schema), C(version) and C(kernel) are always returned, and C(interface) and C(hook) of each filter of which anything is gathered.
      - The facts replace those of an earlier task as a whole.
      - Only with O(view=full), so it is refused with O(view=summary) and O(explain).
    type: list
    elements: str
    choices: [filters, counters, ratelimit, lists]
  window:
    description:
      - With O(view=summary), measure for this many seconds, at most V(3600), and also tell what was dropped in that time. The task takes as long.
      - Check mode measures, too. It reads only.
      - Refused without O(view=summary). To measure for a playbook, gather the facts twice.
    type: float
  explain:
    description:
      - Addresses and networks. For each of them the module returns in RV(explained) whether its pings pass on this host, and why.
      - All facts are left out then. With O(view=summary) the summary is returned, too.
      - C(pingkiller explain --json) on the host tells the same as data.
    type: list
    elements: str
  config_dir:
    description:
      - For O(explain), the directory on the managed host that holds what is restored at boot. All modules and the role must use the same directory.
    type: path
    default: /etc/pingkiller
  list_limit:
    description:
      - How many entries of each list to return. The counts are always for the whole list.
      - A thousand entries are 130 KB of data per host. This data is transferred, parsed and shown.
      - Also how many blocked sources of each rate limit to return.
      - V(100) if not given. Refused where it has no effect, as are O(top) and O(dest).
    type: int
  top:
    description:
      - How many of the busiest entries to return for each list. The busiest entries are those that matched the most packets.
      - V(10) if not given.
    type: int
  dest:
    description:
      - A directory on the managed host. The module writes both lists there with all their entries, as the files C(blocklist) and C(allowlist). A missing
        directory is created.
      - The files have the format of O(pingkiller.fleet.xdp_blocklist#module:src), so they can be read back. After a C(#), each line has the owners
        and the counters of its entry.
      - An existing file of that name is replaced when the new file is complete, but only if this module wrote it. Only root may read the files.
      - A directory is refused if users other than root can change or replace it, or if its path has a symbolic link of such a user.
      - Only with O(view=full), so it is refused with O(view=summary) and O(explain).
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

- name: Gather only the state of the filters, which is small
  pingkiller.fleet.xdp_facts:
    gather: [filters]

- name: Gather what was dropped, and how full the lists are
  pingkiller.fleet.xdp_facts:
    gather: [counters, lists]
    list_limit: 0
    top: 0

- name: Write both lists to files on the host, with the counters of each entry
  pingkiller.fleet.xdp_facts:
    list_limit: 0
    dest: /var/lib/pingkiller-lists

- name: Tell in a few lines what each host dropped, also in the next five seconds
  pingkiller.fleet.xdp_facts:
    view: summary
    window: 5

- name: Find out on which hosts an address is blocked, and why
  pingkiller.fleet.xdp_facts:
    explain: [203.0.113.9, 2001:db8:bad::/48]
  register: looked

- name: Show the hosts that drop its pings
  ansible.builtin.debug:
    msg: "{{ looked.explained | selectattr('verdict', 'equalto', 'drop') | map(attribute='reason') }}"

- name: Show how many packets each interface has dropped, and how many monitor mode would have dropped
  ansible.builtin.debug:
    msg: >-
      {{ item.key }} dropped {{ item.value.counters.dropped.packets }} packets,
      and would have dropped {{ item.value.counters.would_drop.packets }}
  loop: "{{ ansible_facts.pingkiller.filters | dict2items }}"
"""

RETURN = r"""
summary:
  description: The lines of O(view=summary).
  type: list
  elements: str
  returned: with O(view=summary)
  sample:
    - "eth0: on (native), policy=pass"
    - "dropped 42 packets in all (blocklist 42); passed 1,307 of any protocol"
    - "dropped 3 packets in the last 5.0 s, 0.6 a second (blocklist 3); passed 12 of any protocol"
    - "busiest: 203.0.113.66, 42 packets (owner inventory)"
    - "blocklist 4 of 65,536, allowlist 1 of 65,536"
explained:
  description: What happens to pings of each address or network of O(explain), in their order.
  type: list
  elements: dict
  returned: with O(explain)
  contains:
    ip:
      description: The address or network.
      type: str
      returned: always
      sample: 203.0.113.9
    verdict:
      description:
        - V(drop) if a filter drops the pings, V(would_drop) if a filter only counts them because of O(pingkiller.fleet.xdp_filter#module:monitor), V(unknown)
          if a filter is of an interrupted run or another version, so that nothing is known about it, else V(pass). With several filters, the first of these
          that is true of one of them.
        - Filters on what arrives are asked about pings from the address, and C(tc_egress) about pings to it. The other address is taken to be one that is on no
          list.
      type: str
      returned: always
      sample: drop
    reason:
      description: The verdict and its reason in one sentence, with the filters that it is about.
      type: str
      returned: always
      sample: pings from it are dropped on eth0, since the blocklist has 203.0.113.0/24 (owner inventory)
    details:
      description:
        - Lines about each filter, about all entries that cover the address, about entries inside the network, and about what a boot restores of them.
      type: list
      elements: str
      returned: always
      sample:
        - "filter eth0 (native)"
        - "    pings from it: dropped, since the blocklist has 203.0.113.0/24 (owner inventory)"
ansible_facts:
  description: Facts to add to the facts of the host.
  returned: without O(view=summary) and O(explain)
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
          returned: unless O(gather) names nothing of filters
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
          returned: unless O(gather) leaves out V(filters)
          sample: []
        lists:
          description:
            - The C(blocklist) and the C(allowlist), each with C(count), C(capacity), C(entries), C(truncated) (whether C(entries) leaves out entries)
              and C(top), the entries that matched the most packets. With O(dest) also C(file), the path of the file with the whole list.
            - An entry has C(ip), C(owners), C(direction), C(expires_in) (seconds), C(packets), C(bytes) and C(last_seen) (UTC).
            - An entry that has a comment also has C(comment). If its owners have different comments, these are joined with C(;).
          type: dict
          returned: unless O(gather) leaves out V(lists)
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

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    CONFIG_OPTION,
    Module,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import explain_text, facts
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.explain import explain
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.summary import summarize

#: Options for view=full, and the parts of the facts without which an option has no effect.
NEEDED = {"gather": facts.PARTS, "list_limit": ("lists", "ratelimit"), "top": ("lists",), "dest": ("lists",)}


def collect(given, *, dest):
    """Return the result that the options ask for."""
    refuse_what_has_no_effect(given)
    if given["view"] == "full" and not given["explain"]:
        limits = {name: given[name] for name in ("list_limit", "top") if given[name] is not None}
        found = facts.collect(given["base"], gather=given["gather"] or facts.PARTS, dest=dest, **limits)
        return {"ansible_facts": {"pingkiller": found}, "warnings": found.get("notes", [])}
    result = explained(given) if given["explain"] else {}
    if given["view"] == "summary":
        found = summarize(given["base"], window=given["window"])
        result.update(summary=found.lines, warnings=found.notes)
    return result


def refuse_what_has_no_effect(given):
    """Raise PingKillerError for options that do not go together."""
    if given["window"] is not None and given["view"] == "full":
        raise PingKillerError(f"window={given['window']:g} is for view=summary: set that too, or leave window out")
    gather = given["gather"]
    if gather == []:
        raise PingKillerError(
            f"gather is empty: name some of {', '.join(facts.PARTS)}, or leave gather out to gather all"
        )
    for name, parts in NEEDED.items():
        if given[name] is None:
            continue
        if given["view"] == "summary" or given["explain"]:
            raise PingKillerError(f"{name} is for view=full: leave it out, or leave out view=summary and explain")
        if gather and not set(parts).intersection(gather):
            raise PingKillerError(
                f"{name} is for {' and '.join(parts)}, which gather leaves out: leave {name} out, or gather "
                f"{' or '.join(parts)} too"
            )


def explained(given):
    found = explain(given["base"], Store(given["config_dir"]), given["explain"])
    return {"explained": [explain_text.as_dict(each) for each in found]}


def main():
    module = Module(
        argument_spec={
            "view": {"type": "str", "choices": ["full", "summary"], "default": "full"},
            "gather": {"type": "list", "elements": "str", "choices": list(facts.PARTS)},
            "window": {"type": "float"},
            "explain": {"type": "list", "elements": "str"},
            "list_limit": {"type": "int"},
            "top": {"type": "int"},
            "dest": {"type": "path"},
            **CONFIG_OPTION,
            **BASE_OPTION,
        },
        supports_check_mode=True,
    )
    finish(module, collect, module.params, dest=None if module.check_mode else module.params["dest"])


if __name__ == "__main__":
    main()
