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
  - On a filter that is already running, options that you do not set keep their values. A new filter gets the defaults. O(reset) sets all
    options that you do not set back to their defaults.
  - A filter that already runs with the requested options is left alone, and nothing is compiled. The program is replaced atomically when an option,
    the version of the collection, the version of BCC or the kernel has changed. Lists and counters stay.
  - If an earlier version of the collection created the maps on the host with another layout, all filters of the host are moved to new
    maps. Every entry and every count is kept, and the filters never stop filtering. A host that was set up by a later version
    of the collection is refused.
  - Warnings name the options that you set and that have no effect because of other options, such as O(ratelimit_block_time) without
    O(ratelimit_pps). A filter on the loopback interface also gives a warning, because it sees nothing that arrives from other hosts. Check mode
    gives the same warnings.
  - O(policy), O(icmp_types), O(protect) and O(monitor) add no measurable cost to a packet. What the filter and its other options cost is in
    docs/performance.md of the collection.
  - The filter drops only ICMP, ICMPv6, and frames of which it cannot read enough to rule out ICMP, see O(strict). A later IPv6 fragment
    counts as ICMPv6 if its fragment header says so. By default the filter drops ICMP from or to the addresses on the blocklist, and frames
    with more VLAN tags than it reads.
options:
  interface:
    description:
      - The interfaces, as a list or as one string with commas. An alternative name (C(ip link property add dev eth0 altname enp1s0)) means
        the interface itself. So an interface has at most one filter on each O(hook), whichever of its names you use.
      - If omitted with O(state=present), the interfaces of the IPv4 and IPv6 default routes are used. In each family, only the routes with the lowest
        metric count, with all their next hops. Only the main routing table is read, so name the interfaces that policy routing or a VRF uses.
      - A list that is set but names no interface is refused.
      - An interface without Ethernet frames, such as a WireGuard interface, cannot have a filter. On the Ethernet interface below a tunnel, the filter
        sees the packets of the tunnel itself. It does not see the ICMP inside them.
      - A filter on a device also sees the frames of the VLANs, bonds and bridges above that device. Since Linux 5.15 the kernel refuses to attach or
        replace an XDP program on a device while a device above it has one. Give such a lower device O(hook=tc_ingress), or no filter of its own.
    type: list
    elements: str
  state:
    description:
      - Whether the interfaces have the filter.
      - V(absent) with O(interface) removes the filters of these interfaces and keeps the lists. V(absent) with O(all=true) removes everything.
      - V(absent) with neither O(interface) nor O(all) also removes everything. This is deprecated and will be refused from 2.0.0 on.
      - A filter whose interface was moved to another network namespace keeps running there. This module does not remove it. Every run warns about it
        until the filter is removed in that namespace. V(absent) with O(all=true) still removes everything that is here, with the lists and all pins.
    type: str
    choices: [present, absent]
    default: present
  all:
    description:
      - With O(state=absent), remove everything from the host - the filters of all interfaces on every O(hook), both lists, all pins, and everything
        that is restored at boot.
    type: bool
  hook:
    description:
      - Where the program runs. V(xdp) sees arriving frames before the network stack does.
      - V(tc_ingress) sees arriving frames after XDP. Use it on an interface whose XDP hook is taken. V(tc_egress) sees frames that leave. Both
        are classifiers of a clsact queueing discipline, which is created if it is missing.
      - An interface can have one filter on each hook. These filters share the lists.
      - If omitted, V(xdp).
    type: str
    choices: [xdp, tc_ingress, tc_egress]
  mode:
    description:
      - V(native) runs in the driver. V(generic) runs after the driver. Generic mode is slower and works with every driver.
      - V(auto) uses native mode. If the driver refuses native mode, V(auto) uses generic mode, and a warning gives the reason. A later run tries native
        mode again if the interface has a smaller MTU by then. To try native mode at any other time, run the module once with V(native).
      - The kernel does not allow both modes at once. During a change from native to generic mode or back, a tc classifier filters instead. On a kernel
        without clsact there is a moment without a filter, and a warning. If the interface has no clsact yet, the kernel needs some
        milliseconds to add it and some to remove it. Packets that the host sends during these milliseconds are lost.
      - Only for O(hook=xdp).
      - A new filter has V(auto) by default.
    type: str
    choices: [auto, native, generic]
  policy:
    description:
      - What happens to ICMP packets of the types in O(icmp_types) whose addresses are on no list.
      - A new filter has V(pass) by default.
    type: str
    choices: [pass, drop]
  icmp_types:
    description:
      - The ICMP types that O(policy) and O(ratelimit_pps) apply to. Give a type by name (for example C(echo-request) or C(timestamp-request)), as
        C(icmp/NUMBER) or as C(icmpv6/NUMBER). V(all) means all types. A code follows after a slash, as in C(destination-unreachable/port) or C(icmp/3/3).
      - A name means the type in ICMP and in ICMPv6, if both have that type.
      - A new filter has V(echo-request) by default.
    type: list
    elements: str
  forwarded:
    description:
      - Whether O(policy) and O(ratelimit_pps) also apply to packets that the host forwards for others.
      - With V(false), they do not apply to forwarded packets. A router can then hold back its own answers and still forward the answers of the hosts
        behind it. With V(false), O(policy) does not apply to later fragments either, since they carry no ICMP type.
      - V(false) is only for O(hook=tc_egress).
      - A new filter has V(true) by default.
    type: bool
  strict:
    description:
      - Treat packets that cannot be classified as if they were ICMP of the filtered types. The lists, O(ratelimit_pps) and O(policy) then apply to them.
        These packets are IPv6 packets with more than 24 extension headers, and first IPv6 fragments that do not contain all headers of their
        datagram. The kernel may find ICMP in both. If O(policy) passes such a packet, its reason is C(unclassified).
      - A frame with more than 16 VLAN tags is dropped with the reason C(too_many_tags), because not even its addresses can be read.
      - Standard network stacks never send such frames, with ICMP or without. With V(false), all of these frames pass.
      - A new filter has V(true) by default.
    type: bool
  protect:
    description:
      - Always pass the packets that path-MTU discovery, IPv6 neighbour and router discovery and multicast need.
      - For path-MTU discovery, these are fragmentation needed and packet too big. For neighbour and router discovery, these are router and neighbour
        solicitations and advertisements with a hop limit of 255 and code 0. For multicast, these are MLD packets with a hop limit of 1 from a
        link-local address or C(::).
      - Discovery and MLD packets with another hop limit are not protected. They do not come from the link, and no host accepts them.
      - With V(false), the blocklist or the policy can cut the host off from its IPv6 network.
      - A new filter has V(true) by default.
    type: bool
  protect_redirects:
    description:
      - Whether O(protect) also passes ICMPv6 redirects with a hop limit of 255. A host works without redirects. Anyone who can send redirects can
        make the packets of the host take another way.
      - A new filter has V(false) by default.
    type: bool
  monitor:
    description:
      - A dry run. Packets that the filter would drop pass instead. They are counted as C(would_drop), apart from dropped packets. Both counts stay when
        you change this option. M(pingkiller.fleet.xdp_facts) reports them. The counters of list entries and the rate limit keep working as usual.
      - A new filter has V(false) by default.
    type: bool
  ratelimit_pps:
    description:
      - A source that sends more packets of the types in O(icmp_types) than this within one second is blocked for O(ratelimit_block_time). V(0) means no
        limit.
      - The first packet of a source starts a window of one second. The first packet after that starts the next one. A burst that crosses from
        one window into the next can therefore be up to twice as long.
      - The source is the address that the sender wrote into the packet. An attacker who forges the address of your monitoring can get it blocked with a
        few packets. Sources on the allowlist are never limited, so put every source there that must not be blocked.
      - Costs nothing for packets of other types.
      - A new filter has V(0) by default.
    type: int
  ratelimit_block_time:
    description:
      - How long a source over the limit is blocked, in seconds or like C(90s), C(10m), C(1h). Only its packets of the types in O(icmp_types) are dropped.
      - A new filter has V(60s) by default.
    type: str
  ratelimit_sources:
    description:
      - The number of sources to count packets for. When there are more sources, the ones that were not seen for the longest time are forgotten first.
      - Changing this option restarts the counting and unblocks the sources that are blocked.
      - A new filter has V(65536) by default.
    type: int
  ratelimit_ipv6_prefix:
    description:
      - A prefix length in bits. IPv6 sources that share a prefix of this length are counted as one source. Otherwise a subscriber could use a new
        address for each packet.
      - A new filter has V(64) by default.
    type: int
  timing_sample:
    description:
      - Measure how long the filter takes, for one frame in this many. V(0) measures no frames and costs nothing. Reading the clock
        twice takes longer than everything else that the filter does, so measure few frames, such as one in V(100).
      - A new filter has V(0) by default.
    type: int
  events:
    description:
      - Which packets to report through a ring buffer while M(pingkiller.fleet.xdp_events) listens. V(none) reports nothing. V(dropped) reports dropped
        packets, and with O(monitor) the packets that would be dropped. V(all_icmp) reports all ICMP packets. V(trace) reports every IPv4 and IPv6
        packet, and every frame with more VLAN tags than the filter reads.
      - A packet above O(events_per_second), or while nobody listens, costs a small part of what a reported packet costs.
      - A new filter has V(none) by default.
    type: str
    choices: [none, dropped, all_icmp, trace]
  events_per_second:
    description:
      - The maximum number of events per CPU and second. Events above this number are counted as suppressed.
      - A new filter has V(1000) by default.
    type: int
  trace_exclude:
    description:
      - Addresses and networks that O(events=trace) leaves out. A packet is left out if its source or its destination matches. At most 64.
      - A new filter excludes nothing by default.
    type: list
    elements: str
  reset:
    description:
      - Set every option of the filter that you do not name to its default. Without O(reset), these options keep their values on a running filter, and
        RV(filters) shows which of them are not at their default.
      - The role uses O(reset), so that the running filter has exactly the options of the inventory.
    type: bool
    default: false
  max_entries:
    description:
      - How many entries each list of the host can hold.
      - If omitted, a host that has lists keeps their capacity, and a new host gets 65536.
      - A change moves the entries with their counters to new maps and replaces the programs of all filters on the host.
      - The kernel allocates memory for all entries at once. Both lists together take 470 bytes per entry of capacity. That is 29 MiB for 65536, 445 MiB
        for 1000000 and 1.7 GiB for 4000000. During a change, the old and the new maps need memory at the same time. Memory for networks is
        allocated when they are added.
    type: int
  force:
    description:
      - Replace an XDP program on the interface that does not belong to PingKiller. Without O(force), the module fails and names that program.
    type: bool
    default: false
  persist:
    description:
      - Whether the filter comes back with these options when the host boots or the interface appears again.
      - V(true) saves the filter in O(config_dir), and the boot service of the role restores it from there. V(false) removes the saved filter.
      - If omitted, the saved filter stays as it is. So changes made by hand last until the next boot or deployment.
      - With O(state=absent) the saved filter is removed, whatever the value of this option is.
    type: bool
  owner:
    description:
      - Who wants the filter. The owner is saved in O(config_dir), even if the filter does not come back at boot. The role uses C(inventory).
      - If a host has lost a filter that has an owner, C(pingkiller status) and C(pingkiller check) end with status 3.
      - A running filter that has another owner, or no known owner, gets this owner. A warning says so once.
      - With O(state=absent) and an interface, the saved owner is removed only if it is this owner.
      - If omitted, the saved owner stays as it is.
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
    family). The module also finds bindings that belong to another Python than the one that Ansible uses.
seealso:
  - module: pingkiller.fleet.xdp_blocklist
  - module: pingkiller.fleet.xdp_allowlist
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Filter on the interfaces of the default routes
  pingkiller.fleet.xdp_filter:

- name: Answer pings on two interfaces only for addresses on the allowlist
  pingkiller.fleet.xdp_filter:
    interface: eth0,eth1
    policy: drop

- name: See what dropping all ICMP would do
  pingkiller.fleet.xdp_filter:
    policy: drop
    icmp_types: all
    monitor: true

- name: Block a source for ten minutes if it pings more than 50 times in a second
  pingkiller.fleet.xdp_filter:
    ratelimit_pps: 50
    ratelimit_block_time: 10m

- name: Hide the host from traceroutes
  pingkiller.fleet.xdp_filter:
    hook: tc_egress
    policy: drop
    icmp_types:
      - time-exceeded
      - destination-unreachable/port
    forwarded: false

- name: Report dropped packets, and leave all other options as they are
  pingkiller.fleet.xdp_filter:
    events: dropped

- name: Answer pings again, and set all options to their defaults
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
    - The requested filters, by the interface's own name. Each has C(build_id), C(options), and C(kept), which holds the options that you did not set and
      that keep a value other than the default. A running filter also has C(mode) and C(program) (C(id), C(name), C(tag)).
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

from ansible_collections.pingkiller.fleet.plugins.module_utils._filter_requests import request_from
from ansible_collections.pingkiller.fleet.plugins.module_utils._interpreter import move_to_interpreter_with_bcc
from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    BASE_OPTION,
    LOCK_OPTION,
    PERSIST_OPTIONS,
    STATE_OPTION,
    Module,
    finish,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import change, remove
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import argument_spec
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import (
    RemovalRequest,
    named,
    names_to_remove,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store


def run(given, sources, check_mode):
    if given["state"] == "absent":
        names = names_to_remove(named(given["interface"]), hook=given["hook"], everything=given["all"])
        removal = RemovalRequest(names, owner=given["owner"], store=Store(given["config_dir"]))
        return remove.absent(given["base"], removal, check=check_mode, lock_timeout=given["lock_timeout"])
    if given["all"]:
        raise PingKillerError("all=true is for state=absent: to filter on several interfaces, name them with interface")
    request = request_from(given, sources)
    return change.present(given["base"], request, check=check_mode, lock_timeout=given["lock_timeout"])


def main():
    module = Module(
        argument_spec={
            "interface": {"type": "list", "elements": "str"},
            "all": {"type": "bool"},
            **argument_spec(),
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
