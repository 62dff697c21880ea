#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_filter
short_description: Compile and attach the XDP program that filters ICMP
version_added: 0.1.0
description:
  - Compiles the filter on the managed host with BCC, loads it and attaches it to network interfaces. No kernel headers are needed.
  - A filter that runs as asked is left alone, without compiling. A changed option, a new version of the collection, of BCC or of the
    kernel replaces the program atomically; lists and counters stay.
  - If an earlier version of the collection laid out the maps on the host in another way, all filters of the host are moved to new
    maps, with every entry and all that was counted, without a moment in which they do not filter. A host that a later version
    has set up is refused.
  - Costs about 4 ns for a packet that is not ICMP, 10 to 15 ns for ICMP. O(policy), O(icmp_types), O(protect) and O(monitor) add nothing to that that
    could be measured. Figures are those of docs/performance.md.
  - Only ICMP and ICMPv6 can be dropped. By default that is ICMP from or to the addresses on the blocklist.
options:
  interface:
    description:
      - The interfaces, as a list or as one string with commas.
      - If omitted, with O(state=present) those of the default route, with O(state=absent) all that have a filter, on any O(hook).
      - A filter on a device sees the frames of the VLANs, bonds and bridges above it, too. Since Linux 5.15 the kernel neither takes nor replaces
        an XDP program on a device while one is on a device above it, so give such a device O(hook=tc_ingress), or no filter of its own.
    type: list
    elements: str
  state:
    description:
      - Whether the interfaces are to have the filter.
      - V(absent) with O(interface) removes these filters and keeps the lists. V(absent) without O(interface) removes everything, filters, lists and pins.
    type: str
    choices: [present, absent]
    default: present
  hook:
    description:
      - Where the program runs. V(xdp) sees arriving frames before the network stack does.
      - V(tc_ingress) sees arriving frames behind XDP, for an interface whose XDP hook is taken, V(tc_egress) those that leave. Both are
        classifiers of a clsact queueing discipline, which is made if need be.
      - An interface can have a filter on each hook; they share the lists.
    type: str
    choices: [xdp, tc_ingress, tc_egress]
    default: xdp
  mode:
    description:
      - V(native) runs in the driver, V(generic) behind it, which is slower and works with every driver.
      - V(auto) takes native mode, and generic mode with a warning that names the reason if the driver refuses.
      - The kernel allows no two modes at once, so while native is changed to generic, or back, a classifier of tc stands in. On a kernel
        without clsact there is a moment without a filter, and a warning. On an interface that has no clsact yet, what the host sends in
        the milliseconds in which the kernel makes it, or takes it away, is lost.
      - Only for O(hook=xdp).
    type: str
    choices: [auto, native, generic]
    default: auto
  policy:
    description:
      - What happens to ICMP of the types O(icmp_types) that no list decided.
    type: str
    choices: [pass, drop]
    default: pass
  icmp_types:
    description:
      - The types of ICMP that O(policy) and O(ratelimit_pps) apply to, by name (C(echo-request), C(timestamp-request) and so on), as C(icmp/NUMBER) or
        C(icmpv6/NUMBER), or V(all). Codes go behind a slash, C(destination-unreachable/port) or C(icmp/3/3).
      - A name stands for both families where both have such a type.
    type: list
    elements: str
    default: [echo-request]
  forwarded:
    description:
      - Whether O(policy) and O(ratelimit_pps) apply to what the host forwards for others, too.
      - V(false) leaves that alone, so that a router can keep its own answers to itself and not those of whoever is behind it. Later fragments,
        which tell no type, then pass, too.
      - V(false) is only for O(hook=tc_egress).
    type: bool
    default: true
  protect:
    description:
      - Always let pass what path-MTU discovery, IPv6 neighbour and router discovery and multicast need - fragmentation needed, packet
        too big, router and neighbour solicitation and advertisement, redirect of ICMPv6, and MLD.
      - Without it, a blocklist or policy can cut the host off its IPv6 network.
    type: bool
    default: true
  monitor:
    description:
      - Count everything as if, and drop nothing.
    type: bool
    default: false
  ratelimit_pps:
    description:
      - A source that sends more packets of the types O(icmp_types) than this within a second is blocked for O(ratelimit_block_time). V(0) sets no limit.
      - The seconds follow one another from a source's first packet on, so a burst across the border of two may be up to twice as long.
      - Sources on the allowlist are never limited.
      - Costs about 40 ns for a packet of these types, and nothing for others.
    type: int
    default: 0
  ratelimit_block_time:
    description:
      - How long such a source is blocked, as seconds or like C(90s), C(10m), C(1h). Only packets of the types O(icmp_types) are dropped.
    type: str
    default: 60s
  ratelimit_sources:
    description:
      - Of how many sources to keep count. With more than that, the ones not seen for longest are forgotten first.
      - A change starts a new count, and releases the sources that are blocked.
    type: int
    default: 65536
  ratelimit_ipv6_prefix:
    description:
      - IPv6 sources with the same first bits, so many of them, are counted as one, so that a subscriber cannot take a new address for each packet.
    type: int
    default: 64
  timing_sample:
    description:
      - Measure how long the filter takes for one frame in so many. V(0) measures none, and costs nothing; a frame that is measured
        costs about 85 ns, so V(100) costs each about 2 ns.
    type: int
    default: 0
  events:
    description:
      - What to report through a ring buffer while M(pingkiller.fleet.xdp_events) listens - nothing, dropped packets, all ICMP, or with V(trace)
        every IPv4 and IPv6 packet.
      - A packet that is reported costs about 95 ns, one above O(events_per_second) or with nobody listening 2 to 5 ns.
    type: str
    choices: [none, dropped, all_icmp, trace]
    default: none
  events_per_second:
    description:
      - At most so many events from each CPU in a second; those above are counted as suppressed.
    type: int
    default: 1000
  trace_exclude:
    description:
      - Addresses and networks whose packets O(events=trace) leaves out, as source and as destination. At most 64.
    type: list
    elements: str
    default: []
  max_entries:
    description:
      - How many entries each list of the host can hold.
      - If omitted, a host that has lists keeps their capacity, and a new host gets 65536.
      - A change moves the entries with their counters to new maps and replaces the programs of all the host's filters.
      - The kernel sets memory aside for all of them at once, 470 bytes for each in both lists together. That is 29 MiB for 65536, 445 MiB for
        1000000 and 1.7 GiB for 4000000, and during a change that of the old and of the new maps. Networks take theirs as they come.
    type: int
  force:
    description:
      - Replace an XDP program on the interface that is not PingKiller's. Without it, the module fails, and names that program.
    type: bool
    default: false
  persist:
    description:
      - Whether the filter is to come back when the host boots or the interface appears again, with these options.
      - V(true) notes it in O(config_dir), from where the boot service of the role restores it. V(false) takes that note away.
      - If omitted, what is noted stays as it is, so that what is tried by hand lasts until the next boot or deployment.
      - With O(state=absent) the note goes, whatever this option says.
    type: bool
  _sources:
    description:
      - The filter's C sources by path. Set by the action plugin of this module, never by a user.
    type: dict
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller.config
  - pingkiller.fleet.pingkiller.lock
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.attributes
requirements:
  - BCC 0.18 or newer with its Python 3 bindings on the managed host (package C(python3-bpfcc) on Debian and Ubuntu, C(python3-bcc) on the Red Hat
    family). The module finds them if they belong to another Python than the one Ansible uses.
seealso:
  - module: pingkiller.fleet.xdp_blocklist
  - module: pingkiller.fleet.xdp_allowlist
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Filter on the interface of the default route
  pingkiller.fleet.xdp_filter:

- name: Answer no ping on two interfaces, but to those on the allowlist
  pingkiller.fleet.xdp_filter:
    interface: eth0,eth1
    policy: drop

- name: See what dropping all ICMP would do
  pingkiller.fleet.xdp_filter:
    policy: drop
    icmp_types: all
    monitor: true

- name: Block whoever pings more than 50 times a second for ten minutes
  pingkiller.fleet.xdp_filter:
    ratelimit_pps: 50
    ratelimit_block_time: 10m

- name: Do not show up in traceroutes
  pingkiller.fleet.xdp_filter:
    hook: tc_egress
    policy: drop
    icmp_types:
      - time-exceeded
      - destination-unreachable/port
    forwarded: false

- name: Remove everything from the host
  pingkiller.fleet.xdp_filter:
    state: absent
"""

RETURN = r"""
filters:
  description:
    - The filters asked for, by interface. Each has C(build_id) and C(options), and where it runs C(mode) and C(program) (C(id), C(name), C(tag)).
  returned: success
  type: dict
  sample:
    eth0:
      build_id: 5f1d8a3b0c2e4d67
      mode: native
      program: {id: 42, name: pingkiller, tag: d193e11aee48eba4}
      options: {mode: auto, policy: pass, icmp_types: [echo-request], protect: true, monitor: false}
max_entries:
  description: The capacity of each list.
  returned: when O(state=present)
  type: int
  sample: 65536
removed:
  description: The interfaces whose filters were removed.
  returned: when O(state=absent)
  type: list
  elements: str
  sample: [eth0]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    LOCK_OPTION,
    PERSIST_OPTIONS,
    STATE_OPTION,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import compiler, filters, hooks, wanted
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.options import FilterOptions

SYSTEM_INTERPRETERS = ["/usr/bin/python3", "/usr/libexec/platform-python"]


def move_to_interpreter_with_bcc():
    """BCC comes with the distribution and belongs to its Python, which need not be the one that Ansible found."""
    if compiler.bcc_directory() or has_respawned():
        return
    interpreter = probe_interpreters_for_module(SYSTEM_INTERPRETERS, "bcc.libbcc")
    if interpreter:
        respawn_module(interpreter)


def request_from(given):
    options = FilterOptions.checked(
        icmp_types=tuple(given["icmp_types"]),
        trace_exclude=tuple(given["trace_exclude"]),
        **{name: given[name] for name in FilterOptions._fields if name not in ("icmp_types", "trace_exclude")},
    )
    return filters.FilterRequest(
        interfaces=tuple(given["interface"] or ()),
        options=options,
        sources=given["_sources"],
        capacity=given["max_entries"],
        force=given["force"],
        persist=given["persist"],
        store=wanted.Store(given["config_dir"]),
    )


def run(given, check_mode):
    if given["state"] == "absent":
        names = tuple(hooks.filter_name(interface, given["hook"]) for interface in given["interface"] or ())
        store = wanted.Store(given["config_dir"])
        return filters.absent(given["base"], names, check_mode, given["lock_timeout"], store)
    return filters.present(given["base"], request_from(given), check_mode, given["lock_timeout"])


def main():
    module = AnsibleModule(
        argument_spec={
            "interface": {"type": "list", "elements": "str"},
            "hook": {"type": "str", "choices": ["xdp", "tc_ingress", "tc_egress"], "default": "xdp"},
            "mode": {"type": "str", "choices": ["auto", "native", "generic"], "default": "auto"},
            "policy": {"type": "str", "choices": ["pass", "drop"], "default": "pass"},
            "icmp_types": {"type": "list", "elements": "str", "default": ["echo-request"]},
            "forwarded": {"type": "bool", "default": True},
            "protect": {"type": "bool", "default": True},
            "monitor": {"type": "bool", "default": False},
            "ratelimit_pps": {"type": "int", "default": 0},
            "ratelimit_block_time": {"type": "str", "default": "60s"},
            "ratelimit_sources": {"type": "int", "default": 65536},
            "ratelimit_ipv6_prefix": {"type": "int", "default": 64},
            "timing_sample": {"type": "int", "default": 0},
            "events": {"type": "str", "choices": ["none", "dropped", "all_icmp", "trace"], "default": "none"},
            "events_per_second": {"type": "int", "default": 1000},
            "trace_exclude": {"type": "list", "elements": "str", "default": []},
            "max_entries": {"type": "int"},
            "force": {"type": "bool", "default": False},
            "_sources": {"type": "dict"},
            **STATE_OPTION,
            **LOCK_OPTION,
            **PERSIST_OPTIONS,
            **BASE_OPTION,
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "present":
        if not module.params["_sources"]:
            module.fail_json(
                msg="the filter's C sources did not come along: call the module by its full name, pingkiller.fleet.xdp_filter, "
                "or let action_plugins in ansible.cfg name the collection's plugins/action"
            )
        move_to_interpreter_with_bcc()
    finish(module, run, module.params, module.check_mode)


if __name__ == "__main__":
    main()
