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
  - Options that are not named stay as they are on a filter that runs already; a new one has the defaults. O(reset) puts all of them back.
  - A filter that runs as asked is left alone, without compiling. A changed option, a new version of the collection, of BCC or of the
    kernel replaces the program atomically; lists and counters stay.
  - If an earlier version of the collection laid out the maps on the host in another way, all filters of the host are moved to new
    maps, with every entry and all that was counted, without a moment in which they do not filter. A host that a later version
    has set up is refused.
  - Warnings say, in check mode too, which of the options that were given have no effect because of others, such as O(ratelimit_block_time) without
    O(ratelimit_pps), and that a filter on the loopback interface sees nothing that arrives.
  - Costs about 4 ns for a packet that is not ICMP, 10 to 15 ns for ICMP. O(policy), O(icmp_types), O(protect) and O(monitor) add nothing to that that
    could be measured. Figures are those of docs/performance.md.
  - Only ICMP and ICMPv6 are dropped, and frames that may be that for all that can be read of them, see O(strict). A later IPv6 fragment
    that says it is ICMPv6 is taken for that. By default that is ICMP from or to the addresses on the blocklist, and frames with more VLAN
    tags than are read.
options:
  interface:
    description:
      - The interfaces, as a list or as one string with commas. An alternative name (C(ip link property add dev eth0 altname enp1s0)) stands for
        the interface itself, so an interface has one filter on each O(hook) by whatever name it is called.
      - If omitted, with O(state=present) the interfaces of the default routes - IPv4 and IPv6, of each the routes with the lowest metric, with all next
        hops. Only the main routing table is looked at, so name the interfaces that policy routing or a VRF leads to.
      - A list that is given and names nothing is refused.
      - An interface without Ethernet frames, such as one of WireGuard, cannot have a filter. What comes through a tunnel is seen on the Ethernet
        interface below it as packets of the tunnel, and not as ICMP.
      - A filter on a device sees the frames of the VLANs, bonds and bridges above it, too. Since Linux 5.15 the kernel neither takes nor replaces
        an XDP program on a device while one is on a device above it, so give such a device O(hook=tc_ingress), or no filter of its own.
    type: list
    elements: str
  state:
    description:
      - Whether the interfaces are to have the filter.
      - V(absent) with O(interface) removes these filters and keeps the lists. V(absent) with O(all=true) removes everything.
      - V(absent) with neither removes everything, too. That is deprecated and will be refused from 2.0.0 on.
      - A filter whose interface was moved to another network namespace goes on there. It is not removed, and a warning says so with every run
        until it is taken off there. V(absent) with O(all=true) removes all the same what is here, the lists and all pins.
    type: str
    choices: [present, absent]
    default: present
  all:
    description:
      - With O(state=absent), remove everything from the host - the filters of all interfaces on any O(hook), both lists, all pins, and what is
        restored at boot.
    type: bool
  hook:
    description:
      - Where the program runs. V(xdp) sees arriving frames before the network stack does.
      - V(tc_ingress) sees arriving frames behind XDP, for an interface whose XDP hook is taken, V(tc_egress) those that leave. Both are
        classifiers of a clsact queueing discipline, which is made if need be.
      - An interface can have a filter on each hook; they share the lists.
      - If omitted, V(xdp).
    type: str
    choices: [xdp, tc_ingress, tc_egress]
  mode:
    description:
      - V(native) runs in the driver, V(generic) behind it, which is slower and works with every driver.
      - V(auto) takes native mode, and generic mode with a warning that names the reason if the driver refuses. It tries native mode again once the
        interface has a smaller MTU; to have it tried at any other time, run once with V(native).
      - The kernel allows no two modes at once, so while native is changed to generic, or back, a classifier of tc stands in. On a kernel
        without clsact there is a moment without a filter, and a warning. On an interface that has no clsact yet, what the host sends in
        the milliseconds in which the kernel makes it, or takes it away, is lost.
      - Only for O(hook=xdp).
      - By default, of a new filter, V(auto).
    type: str
    choices: [auto, native, generic]
  policy:
    description:
      - What happens to ICMP of the types O(icmp_types) that no list decided.
      - By default, of a new filter, V(pass).
    type: str
    choices: [pass, drop]
  icmp_types:
    description:
      - The types of ICMP that O(policy) and O(ratelimit_pps) apply to, by name (C(echo-request), C(timestamp-request) and so on), as C(icmp/NUMBER) or
        C(icmpv6/NUMBER), or V(all). Codes go behind a slash, C(destination-unreachable/port) or C(icmp/3/3).
      - A name stands for both families where both have such a type.
      - By default, of a new filter, V(echo-request).
    type: list
    elements: str
  forwarded:
    description:
      - Whether O(policy) and O(ratelimit_pps) apply to what the host forwards for others, too.
      - V(false) leaves that alone, so that a router can keep its own answers to itself and not those of whoever is behind it. Later fragments,
        which tell no type, then pass, too.
      - V(false) is only for O(hook=tc_egress).
      - By default, of a new filter, V(true).
    type: bool
  strict:
    description:
      - Judge what cannot be classified as ICMP of the filtered types - lists, O(ratelimit_pps) and O(policy) apply to it. That is IPv6 with more than 24
        extension headers, and a first IPv6 fragment without all headers of its datagram, since a kernel may find ICMP there. Where policy lets it pass, its
        reason is C(unclassified).
      - A frame with more than 16 VLAN tags, of which not even the addresses can be read, is dropped as C(too_many_tags).
      - No standard network stack sends such frames, whatever they carry. With V(false), all of them pass.
      - By default, of a new filter, V(true).
    type: bool
  protect:
    description:
      - Always let pass what path-MTU discovery, IPv6 neighbour and router discovery and multicast need - fragmentation needed, packet
        too big, router and neighbour solicitation and advertisement with a hop limit of 255 and code 0, and MLD with a hop limit of
        1 from a link-local address or C(::). Of these, what comes with another hop limit comes from elsewhere than the link, and no host takes it.
      - Without it, a blocklist or policy can cut the host off its IPv6 network.
      - By default, of a new filter, V(true).
    type: bool
  protect_redirects:
    description:
      - Whether O(protect) is also for redirects of ICMPv6 with a hop limit of 255. A host works without them; who can send them can
        make its packets take another way.
      - By default, of a new filter, V(false).
    type: bool
  monitor:
    description:
      - A dry run. What would be dropped passes, and is counted as C(would_drop), apart from what was dropped; the counts of both times stay when
        this is changed. M(pingkiller.fleet.xdp_facts) tells them. The counters of the entries of the lists, and the rate limit, go on as ever.
      - By default, of a new filter, V(false).
    type: bool
  ratelimit_pps:
    description:
      - A source that sends more packets of the types O(icmp_types) than this within a second is blocked for O(ratelimit_block_time). V(0) sets no limit.
      - The seconds follow one another from a source's first packet on, so a burst across the border of two may be up to twice as long.
      - A source is what the sender says it is. Who forges the address of your monitoring can have it blocked by a few packets. Sources on the allowlist
        are never limited, so put on it whoever must not be blocked.
      - Costs about 40 ns for a packet of these types, and nothing for others.
      - By default, of a new filter, V(0).
    type: int
  ratelimit_block_time:
    description:
      - How long such a source is blocked, as seconds or like C(90s), C(10m), C(1h). Only packets of the types O(icmp_types) are dropped.
      - By default, of a new filter, V(60s).
    type: str
  ratelimit_sources:
    description:
      - Of how many sources to keep count. With more than that, the ones not seen for longest are forgotten first.
      - A change starts a new count, and releases the sources that are blocked.
      - By default, of a new filter, V(65536).
    type: int
  ratelimit_ipv6_prefix:
    description:
      - IPv6 sources with the same first bits, so many of them, are counted as one, so that a subscriber cannot take a new address for each packet.
      - By default, of a new filter, V(64).
    type: int
  timing_sample:
    description:
      - Measure how long the filter takes for one frame in so many. V(0) measures none, and costs nothing; a frame that is measured
        costs about 85 ns, so V(100) costs each about 2 ns.
      - By default, of a new filter, V(0).
    type: int
  events:
    description:
      - What to report through a ring buffer while M(pingkiller.fleet.xdp_events) listens - nothing, dropped packets (with O(monitor) those that
        would be), all ICMP, or with V(trace) every IPv4 and IPv6 packet, and every frame with more VLAN tags than are read.
      - A packet that is reported costs about 95 ns, one above O(events_per_second) or with nobody listening 2 to 5 ns.
      - By default, of a new filter, V(none).
    type: str
    choices: [none, dropped, all_icmp, trace]
  events_per_second:
    description:
      - At most so many events from each CPU in a second; those above are counted as suppressed.
      - By default, of a new filter, V(1000).
    type: int
  trace_exclude:
    description:
      - Addresses and networks whose packets O(events=trace) leaves out, as source and as destination. At most 64.
      - By default, of a new filter, nothing.
    type: list
    elements: str
  reset:
    description:
      - Give every option of the filter that is not named its default. Without it, such options of a filter that runs stay as they are, and
        RV(filters) says which of them are not at their default.
      - The role uses it, so that what runs is what the inventory says.
    type: bool
    default: false
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
  owner:
    description:
      - Who wants the filter, noted in O(config_dir) whether or not it comes back at boot. The role's name is C(inventory).
      - On a host that lost a filter which somebody wants, C(pingkiller status) and C(pingkiller check) end with status 3.
      - A filter that runs and that somebody else, or nobody known, wanted is this owner's from then on; a warning says so once.
      - With O(state=absent) and an interface, the note goes if it names this owner, and otherwise stays.
      - If omitted, the note stays as it is.
    type: str
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
- name: Filter on the interfaces of the default routes
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

- name: Report what is dropped, and leave all other options as they are
  pingkiller.fleet.xdp_filter:
    events: dropped

- name: Answer pings again, with all other options at their defaults
  pingkiller.fleet.xdp_filter:
    reset: true

- name: Remove the filter of one interface and keep the lists
  pingkiller.fleet.xdp_filter:
    interface: eth0
    state: absent

- name: Remove everything from the host
  pingkiller.fleet.xdp_filter:
    state: absent
    all: true
"""

RETURN = r"""
filters:
  description:
    - The filters asked for, by the interface's own name. Each has C(build_id), C(options), C(kept) (options that were not named and stay at another
      value than the default), and where it runs C(mode) and C(program) (C(id), C(name), C(tag)).
  returned: success
  type: dict
  sample:
    eth0:
      build_id: 5f1d8a3b0c2e4d67
      mode: native
      program: {id: 42, name: pingkiller, tag: d193e11aee48eba4}
      options: {mode: auto, policy: drop, icmp_types: [echo-request], protect: true, monitor: false}
      kept: {policy: drop}
owned:
  description: All filters that O(owner) wants now, by the interface's own name.
  returned: when O(state=present) and O(owner) is given
  type: list
  elements: str
  sample: [eth0]
max_entries:
  description: The capacity of each list.
  returned: when O(state=present)
  type: int
  sample: 65536
removed:
  description: The filters that were removed, by interface.
  returned: when O(state=absent)
  type: list
  elements: str
  sample: [eth0]
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    LOCK_OPTION,
    PERSIST_OPTIONS,
    STATE_OPTION,
    Module,
    finish,
    move_to_interpreter_with_bcc,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import filters, wanted
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.options import FilterOptions


def request_from(given, sources):
    options = {name: given[name] for name in FilterOptions._fields if given[name] is not None}
    return filters.FilterRequest(
        interfaces=filters.named(given["interface"]),
        options={name: tuple(value) if isinstance(value, list) else value for name, value in options.items()},
        sources=sources,
        capacity=given["max_entries"],
        force=given["force"],
        persist=given["persist"],
        owner=given["owner"],
        store=wanted.Store(given["config_dir"]),
        reset=given["reset"],
    )


def run(given, sources, check_mode):
    if given["state"] == "absent":
        names = filters.names_to_remove(filters.named(given["interface"]), given["hook"], given["all"])
        store = wanted.Store(given["config_dir"])
        return filters.absent(given["base"], names, check_mode, given["lock_timeout"], store, given["owner"])
    if given["all"]:
        raise PingKillerError("all=true is for state=absent: to filter on several interfaces, name them with interface")
    return filters.present(given["base"], request_from(given, sources), check_mode, given["lock_timeout"])


def main():
    module = Module(
        argument_spec={
            "interface": {"type": "list", "elements": "str"},
            "all": {"type": "bool"},
            "hook": {"type": "str", "choices": ["xdp", "tc_ingress", "tc_egress"]},
            "mode": {"type": "str", "choices": ["auto", "native", "generic"]},
            "policy": {"type": "str", "choices": ["pass", "drop"]},
            "icmp_types": {"type": "list", "elements": "str"},
            "forwarded": {"type": "bool"},
            "strict": {"type": "bool"},
            "protect": {"type": "bool"},
            "protect_redirects": {"type": "bool"},
            "monitor": {"type": "bool"},
            "ratelimit_pps": {"type": "int"},
            "ratelimit_block_time": {"type": "str"},
            "ratelimit_sources": {"type": "int"},
            "ratelimit_ipv6_prefix": {"type": "int"},
            "timing_sample": {"type": "int"},
            "events": {"type": "str", "choices": ["none", "dropped", "all_icmp", "trace"]},
            "events_per_second": {"type": "int"},
            "trace_exclude": {"type": "list", "elements": "str"},
            "reset": {"type": "bool", "default": False},
            "max_entries": {"type": "int"},
            "force": {"type": "bool", "default": False},
            "owner": {"type": "str"},
            "_sources": {"type": "dict"},
            **STATE_OPTION,
            **LOCK_OPTION,
            **PERSIST_OPTIONS,
            **BASE_OPTION,
        },
        supports_check_mode=True,
    )
    sources = module.params.pop("_sources")  # or it would be sent back with the result
    if module.params["state"] == "present":
        if not sources:
            module.fail_json(
                msg="the filter's C sources did not come along: call the module by its full name, pingkiller.fleet.xdp_filter, "
                "or let action_plugins in ansible.cfg name the collection's plugins/action"
            )
        move_to_interpreter_with_bcc()
    elif module.params["interface"] is None and not module.params["all"]:
        module.deprecate(
            "state: absent without interface removes everything from the host. Say so with all: true.",
            version="2.0.0",
            collection_name="pingkiller.fleet",
        )
    finish(module, run, module.params, sources, module.check_mode)


if __name__ == "__main__":
    main()
