# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real traceroute shows of a router and a target that are hidden with the role's preset.

The client is the root namespace. A router is between it and the target.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from harness import CAPACITY, Filter, Host, read_sources
from model import Entry, Options
from network import FAMILIES, PATIENCE, Namespace, Root, far_end, talk_tcp

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import change, remove
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import (
    FilterRequest,
    RemovalRequest,
)
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _filters

pytestmark = pytest.mark.kernel

PRESET = _filters.TRACEROUTE_TYPES
PATH_MTU = 1400

METHODS = {"udp": (), "tcp": ("-T",), "icmp": ("-I",)}
each_method = pytest.mark.parametrize("method", METHODS)
each_family = pytest.mark.parametrize("family", FAMILIES)

SEEN, ROUTER_HIDDEN, TARGET_HIDDEN = ["router", "target"], ["*", "target"], ["router", "*"]


class Way(NamedTuple):
    """The path from the client to the target."""

    client: dict
    router: Namespace
    target: Namespace
    addresses: dict  #: addresses of the target, by family
    names: dict  #: router or target, by address

    def seen(self, family, method, all_answer):
        """Return the hops that traceroute shows. It waits long if all hops should answer."""
        wait = str(PATIENCE) if all_answer else "0.5"
        options = ("-n", "-q1", "-m2", "-w", wait, "-" + family[-1], *METHODS[method])
        done = Root.run("traceroute", *options, "-s", self.client[family], self.addresses[family])
        hops = [line.split()[1] for line in done.stdout.splitlines()[1:]]
        return [self.names.get(hop, hop) for hop in hops]


@pytest.fixture
def way(cable):
    with far_end(cable, PATH_MTU) as (target, addresses):
        for namespace in (cable.inside, target):
            namespace.sysctl(ipv4__icmp_ratelimit=0, ipv6__icmp__ratelimit=0)
        names = dict.fromkeys([*cable.listed.values(), *cable.unlisted.values()], "router")
        names.update(dict.fromkeys(addresses.values(), "target"))
        yield Way(cable.filtered, cable.inside, target, addresses, names)


@contextmanager
def hidden(host: Host, namespace: Namespace, *interfaces):
    """Hide a namespace from traceroutes while the `with` block runs. Yield the filters."""
    options = FilterOptions.checked(hook="tc_egress", policy="drop", forwarded=False, icmp_types=tuple(PRESET))
    with namespace.entered():
        change.present(host.base, FilterRequest(interfaces, options._asdict(), read_sources(), capacity=CAPACITY))
        made = [Filter(host, interface, options.hook) for interface in interfaces]
    try:
        yield made
    finally:
        for each in made:
            each.close()
        with namespace.entered():
            remove.absent(host.base, RemovalRequest(tuple(each.name for each in made)))


def dropped(filter_, family):
    return filter_.reasons()["reason", "policy_drop", family][0]


@each_family
@each_method
def test_a_hidden_router_is_no_hop_of_any_traceroute(live_host, way, method, family):
    assert way.seen(family, method, True) == SEEN
    with hidden(live_host, way.router, "pk0") as (filter_,):
        assert way.seen(family, method, False) == ROUTER_HIDDEN
        assert dropped(filter_, family) >= 1
    assert way.seen(family, method, True) == SEEN


@each_family
def test_a_hidden_target_answers_no_udp_traceroute(live_host, way, family):
    assert way.seen(family, "udp", True) == SEEN
    with hidden(live_host, way.target, "pk0") as (filter_,):
        assert way.seen(family, "udp", False) == TARGET_HIDDEN
        assert dropped(filter_, family) >= 1
    assert way.seen(family, "udp", True) == SEEN


@each_family
def test_a_hidden_target_still_answers_pings_and_tcp_and_so_a_traceroute_made_of_them(live_host, way, family):
    with hidden(live_host, way.target, "pk0"):
        assert way.seen(family, "icmp", True) == SEEN
        assert way.seen(family, "tcp", True) == SEEN


@each_family
def test_a_hidden_target_that_answers_no_ping_answers_no_icmp_traceroute(live_host, way, family):
    with hidden(live_host, way.target, "pk0"):
        with way.target.entered():
            live_host.attach("pk0", Options(policy="drop"))
        assert way.seen(family, "icmp", False) == TARGET_HIDDEN


@each_family
def test_an_allowed_client_sees_the_hidden_router(live_host, way, family):
    with hidden(live_host, way.router, "pk0"):
        live_host.set_lists(allowlist=(Entry(way.client[family], "dst"),))
        assert way.seen(family, "udp", True) == SEEN


@each_family
def test_all_else_goes_through_a_hidden_router_that_tells_how_big_it_may_be(live_host, way, family):
    with hidden(live_host, way.router, "pk0", "pk1") as filters_:
        too_big = Root.run(
            "ping", "-n", "-c1", "-W", str(PATIENCE), "-Mdo", "-s1420", way.addresses[family], check=False
        )
        assert re.search(rf"mtu ?[=:] ?{PATH_MTU}\b", too_big.stdout), too_big
        assert Root.ping(way.addresses[family], way.client[family], True)
        assert Root.ping(way.addresses[family], way.client[family], True, "-s", "4000")
        assert talk_tcp(way.target, way.addresses[family], Root, way.client[family], family)
        assert [dropped(each, family) for each in filters_] == [0, 0]


@each_family
def test_a_hidden_target_answers_pings_of_any_size(live_host, way, family):
    with hidden(live_host, way.target, "pk0"):
        assert way.router.ping(way.addresses[family], "pk1", True, "-s", "4000")
