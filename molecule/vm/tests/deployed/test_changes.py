# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of machines that PingKiller is deployed to, while they are pinged."""

import pytest

BLOCKED, BLOCKED6, FREE, FREE6 = "203.0.113.66", "2001:db8:bad::66", "203.0.113.5", "2001:db8::5"


def test_no_blocked_ping_is_answered_and_no_other_lost_while_options_and_lists_change(
    everywhere, hosts, deploy, stream
):
    ends = {(source, host): stream(source, host) for host in hosts for source in (BLOCKED, BLOCKED6, FREE, FREE6)}
    more = {"pingkiller_blocklist_more": ["203.0.113.200"], "pingkiller_ratelimit_pps": 1000}
    for variables in ({"pingkiller_events": "dropped", "pingkiller_icmp_types": ["all"], **more}, {}):
        done = deploy(**variables)
        assert done.returncode == 0
        assert all(done.changed.values())
    for (source, host), end in ends.items():
        sent, lost, answers = end()
        assert sent > 20, (source, host)
        if source in (FREE, FREE6):
            assert (lost, answers > 20) == ([], True), (source, host)
        else:
            assert answers == 0, (source, host)


@pytest.fixture
def too_large(everywhere, on, ansible, deploy):
    """An MTU that virtio-net cannot run an XDP program with, set while no filter is there."""

    def set_mtu(mtu):
        done = ansible("ansible", "all", "-m", "xdp_filter", "-a", "interface=eth1 state=absent")
        assert done.returncode == 0
        everywhere(lambda host: on(host, "ip", "link", "set", "eth1", "mtu", mtu))

    set_mtu("9000")
    yield
    set_mtu("1500")
    assert deploy().returncode == 0


@pytest.mark.usefixtures("too_large")
def test_where_the_driver_refuses_native_mode_generic_mode_takes_its_place_and_the_reason_is_told(
    everywhere, hosts, facts_of, deploy, answered
):
    done = deploy()
    assert done.returncode == 0
    assert done.said.count("the driver refused native mode") >= 1
    for host in hosts:
        attached = facts_of(host)["filters"]["eth1"]
        assert attached["mode"] == "generic"
        assert "MTU" in attached["mode_reason"]
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}
    assert set(deploy().changed.values()) == {0}
    refused = deploy(pingkiller_mode="native")
    assert refused.returncode != 0
    assert all(counts["failed"] for counts in refused.recap.values())
    assert "MTU" in refused.said
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}
