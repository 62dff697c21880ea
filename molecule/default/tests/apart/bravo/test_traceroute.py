# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that the inventory hides from traceroutes, and the same host when it is no longer hidden."""

import pytest

HOST = "bravo"
testinfra_hosts = [f"ansible://{HOST}"]


@pytest.fixture
def seen(guest, ping):
    """Return whether a UDP traceroute reaches the host. The wait is longer if an answer is expected."""

    def look(expected, address):
        done = guest("traceroute", "-n", "-q1", "-m1", "-w", "5" if expected else "0.5", address)
        assert not done.returncode, done.stderr
        return "*" not in done.stdout.splitlines()[1]

    assert ping("203.0.113.5", HOST, patience=5)
    return look


@pytest.fixture(scope="module")
def hide(deploy):
    """Deploy to the host; return the run."""
    try:
        yield lambda wanted, *more: deploy("--limit", HOST, *more, pingkiller_hide_from_traceroute=wanted)
    finally:
        deploy("--limit", HOST)


def test_hiding_and_showing_again_is_predicted_done_and_done_once(hide, seen, ping, on):
    addresses = on(HOST, "hostname", "--all-ip-addresses").split()
    for wanted in (True, False):
        predicted = hide(wanted, "--check", "--diff")
        assert [seen(wanted, address) for address in addresses] == [wanted] * len(addresses)
        done = hide(wanted, "--diff")
        assert done.changes
        assert (predicted.changes, predicted.differences) == (done.changes, done.differences)
        assert [seen(not wanted, address) for address in addresses] == [not wanted] * len(addresses)
        assert hide(wanted).changed == {HOST: 0}
        assert ping("203.0.113.5", HOST, patience=5)


def test_a_filter_on_the_way_out_that_somebody_put_there_by_hand_stays(hide, module, facts):
    assert module("xdp_filter", hook="tc_egress", policy="drop")["changed"]
    try:
        assert hide(False).changed == {HOST: 0}
        assert "host0/tc_egress" in facts()["filters"]
    finally:
        assert module("xdp_filter", interface="host0", hook="tc_egress", state="absent")["changed"]
