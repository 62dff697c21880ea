# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines whose driver refuses the filter. Runs last in its stage, since it leaves them in generic mode."""

import pytest

FREE, FREE6 = "203.0.113.5", "2001:db8::5"


@pytest.fixture
def too_large(everywhere, on, ansible):
    """Set an MTU with which virtio-net refuses XDP programs, while no filter is attached. Later boots undo it."""
    done = ansible("ansible", "all", "-m", "xdp_filter", "-a", "interface=eth1 state=absent")
    assert done.returncode == 0
    everywhere(lambda host: on(host, "ip", "link", "set", "eth1", "mtu", "9000"))


@pytest.mark.usefixtures("too_large")
def test_where_the_driver_refuses_native_mode_generic_mode_takes_its_place_and_the_reason_is_told(
    everywhere, facts_of, deploy, answered
):
    done = deploy()
    assert done.returncode == 0
    assert done.said.count("the driver refused native mode") >= 1
    for host, facts in everywhere(facts_of).items():
        attached = facts["filters"]["eth1"]
        assert attached["mode"] == "generic", host
        assert "MTU" in attached["mode_reason"], host
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}
    assert set(deploy().changed.values()) == {0}
    refused = deploy(pingkiller_mode="native")
    assert refused.returncode != 0
    assert all(counts["failed"] for counts in refused.recap.values())
    assert "MTU" in refused.said
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}
