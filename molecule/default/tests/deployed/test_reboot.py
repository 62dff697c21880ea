# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebooting hosts that PingKiller is deployed to. Nobody deploys to them before the tests look."""

import json

import pytest

HOSTS = ("alpha", "bravo", "charlie")


def attached(on, host):
    return [link["ifname"] for link in json.loads(on(host, "ip", "-j", "-d", "link")) if "xdp" in link]


def times(on, host, unit, *properties):
    """When something happened to a unit, in microseconds since this machine booted."""
    shown = on(host, "systemctl", "show", unit, *(f"--property={name}" for name in properties))
    return [int(line.partition("=")[2]) for line in shown.splitlines()]


@pytest.fixture(scope="module")
def rebooted(playbook, by_hand, reboot):
    """What state alpha is in after a reboot, before which an address was blocked by hand for an hour."""
    assert by_hand("present", "203.0.113.88 ttl=1h").returncode == 0
    yield reboot("alpha")
    by_hand("absent", "203.0.113.88")


def test_filter_is_back_before_the_network_is_up(rebooted, on):
    assert rebooted == "running"
    assert attached(on, "alpha") == ["host0"]
    (done,) = times(on, "alpha", "pingkiller.service", "ExecMainExitTimestampMonotonic")
    (network,) = times(on, "alpha", "systemd-networkd.service", "InactiveExitTimestampMonotonic")
    assert 0 < done < network


@pytest.mark.usefixtures("rebooted")
def test_lists_are_back_with_what_was_blocked_by_hand(on, ping):
    for source in ("203.0.113.66", "2001:db8:bad::66", "198.51.100.7", "203.0.113.88"):
        assert not ping(source, "alpha")
    assert ping("198.51.100.10", "alpha", patience=5)
    (entry,) = (
        entry
        for entry in json.loads(on("alpha", "pingkiller", "list", "blocklist", "--json"))["blocklist"]["entries"]
        if entry["ip"] == "203.0.113.88"
    )
    assert 3000 < entry["expires_in"] < 3600


@pytest.mark.usefixtures("rebooted")
def test_deployment_after_a_reboot_finds_nothing_to_do(deploy):
    assert deploy("--limit", "alpha").changed == {"alpha": 0}


@pytest.mark.usefixtures("rebooted")
def test_host_says_of_itself_that_it_is_as_wanted(on):
    assert on("alpha", "pingkiller", "check") == "as wanted\n"


def test_broken_wanted_state_is_loud_and_keeps_no_host_from_booting(reboot, on, deploy):
    on("charlie", "sh", "-c", "echo '{' > /etc/pingkiller/filters/host0.json")
    try:
        assert reboot("charlie") == "degraded"
        assert "pingkiller.service" in on("charlie", "systemctl", "--failed", "--plain")
        told = on("charlie", "journalctl", "--boot", "--priority=err", "--unit=pingkiller.service", "--output=cat")
        assert "/etc/pingkiller/filters/host0.json is not JSON" in told
        assert attached(on, "charlie") == []
    finally:
        assert deploy("--limit", "charlie").returncode == 0
    assert attached(on, "charlie") == ["host0"]
    assert deploy("--limit", "charlie").changed == {"charlie": 0}


def test_wanted_state_that_is_not_mounted_is_waited_for_and_missed(on):
    for unit in ("pingkiller.service", "pingkiller@host0.service"):
        assert (
            on("charlie", "systemctl", "show", unit, "--property=RequiresMountsFor", "--value") == "/etc/pingkiller\n"
        )
    away = "mv /etc/pingkiller /etc/pingkiller-elsewhere; pingkiller check 2>&1; echo $?; mv /etc/pingkiller-elsewhere /etc/pingkiller"
    said = on("charlie", "sh", "-c", away)
    assert "/etc/pingkiller is empty or not there" in said
    assert said.endswith("\n1\n")
    assert on("charlie", "pingkiller", "check") == "as wanted\n"


def test_what_is_not_to_be_persisted_is_not(reboot, on, deploy):
    assert deploy("--limit", "bravo", pingkiller_persist=False).returncode == 0
    try:
        assert deploy("--limit", "bravo", pingkiller_persist=False).changed == {"bravo": 0}
        assert attached(on, "bravo") == ["host0"]
        assert reboot("bravo") == "running"
        assert attached(on, "bravo") == []
        assert on("bravo", "sh", "-c", "ls -d /usr/local/sbin/pingkiller /etc/systemd/system/*pingkiller*") == ""
    finally:
        assert deploy("--limit", "bravo").returncode == 0
