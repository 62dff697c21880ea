# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the filter on the tunnel's own interface handles ICMP inside the tunnel."""

from __future__ import annotations

import pytest
from model import EVERY_TYPE, Options
from network import Root, bring_up, run

pytestmark = pytest.mark.kernel

DROP_ALL = Options(policy="drop", icmp_types=EVERY_TYPE)
HERE, THERE = "198.51.100.1", "198.51.100.2"


@pytest.fixture
def tunnel(cable):
    """The local end of a VXLAN tunnel through the cable."""
    ends = ((Root, cable.filtered, cable.listed, HERE), (cable.inside, cable.listed, cable.filtered, THERE))
    name = cable.interface + "v"
    for namespace, local, remote, address in ends:
        ways = ("local", local["ipv4"], "remote", remote["ipv4"], "dstport", "4789")
        namespace.run("ip", "link", "add", name, "type", "vxlan", "id", "7", *ways)
        bring_up(namespace, name)
        namespace.run("ip", "addr", "add", f"{address}/30", "dev", name)
    yield name
    run("ip", "link", "del", name)


def test_a_ping_inside_a_tunnel_is_dropped_on_the_tunnels_interface_only(live_host, cable, tunnel):
    outside = live_host.attach(cable.interface, DROP_ALL)
    assert cable.inside.ping(HERE, THERE, True)
    assert outside.reasons()["reason", "not_icmp", "ipv4"][0] > 0
    inside = live_host.attach(tunnel, DROP_ALL, "generic")
    assert not cable.inside.ping(HERE, THERE, False)
    assert inside.reasons()["reason", "policy_drop", "ipv4"][0] == 1
