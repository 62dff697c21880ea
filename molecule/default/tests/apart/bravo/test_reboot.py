# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebooting a host with PingKiller. No deployment runs between the reboot and the tests."""

import json

import pytest

HOST = "bravo"
ONE = ("--limit", HOST)


def attached(on, host):
    return [link["ifname"] for link in json.loads(on(host, "ip", "-j", "-d", "link")) if "xdp" in link]


def times(on, host, unit, *properties):
    """Return the times of events of a unit, in microseconds since this machine booted."""
    shown = on(host, "systemctl", "show", unit, *(f"--property={name}" for name in properties))
    return [int(line.partition("=")[2]) for line in shown.splitlines()]


@pytest.fixture(scope="module")
def rebooted(by_hand, reboot):
    """The host's state after a reboot; before it, an address was blocked by hand for an hour."""
    assert by_hand("present", "203.0.113.88 ttl=1h", HOST).returncode == 0
    yield reboot(HOST)
    by_hand("absent", "203.0.113.88", HOST)


def test_filter_is_back_before_the_network_is_up(rebooted, on):
    assert rebooted == "running"
    assert attached(on, HOST) == ["host0"]
    (done,) = times(on, HOST, "pingkiller.service", "ExecMainExitTimestampMonotonic")
    (network,) = times(on, HOST, "systemd-networkd.service", "InactiveExitTimestampMonotonic")
    assert 0 < done < network


@pytest.mark.usefixtures("rebooted")
def test_lists_are_back_with_what_was_blocked_by_hand(on, ping):
    for source in ("203.0.113.66", "2001:db8:bad::66", "198.51.100.7", "203.0.113.88"):
        assert not ping(source, HOST)
    assert ping("198.51.100.10", HOST, patience=5)
    (entry,) = (
        entry
        for entry in json.loads(on(HOST, "pingkiller", "list", "blocklist", "--json"))["blocklist"]["entries"]
        if entry["ip"] == "203.0.113.88"
    )
    assert 3000 < entry["expires_in"] < 3600


@pytest.mark.usefixtures("rebooted")
def test_deployment_after_a_reboot_finds_nothing_to_do(deploy):
    assert deploy(*ONE).changed == {HOST: 0}


@pytest.mark.usefixtures("rebooted")
def test_host_says_of_itself_that_it_is_as_wanted(on):
    assert on(HOST, "pingkiller", "check") == "as wanted\n"


def test_broken_wanted_state_is_loud_and_keeps_no_host_from_booting(reboot, on, deploy):
    on(HOST, "sh", "-c", "echo '{' > /etc/pingkiller/filters/host0.json")
    try:
        assert reboot(HOST) == "degraded"
        assert "pingkiller.service" in on(HOST, "systemctl", "--failed", "--plain")
        told = on(HOST, "journalctl", "--boot", "--priority=err", "--unit=pingkiller.service", "--output=cat")
        assert "/etc/pingkiller/filters/host0.json is not JSON" in told
        assert attached(on, HOST) == []
    finally:
        assert deploy(*ONE).returncode == 0
    assert attached(on, HOST) == ["host0"]
    assert deploy(*ONE).changed == {HOST: 0}


def test_wanted_state_that_is_not_mounted_is_waited_for_and_missed(on):
    for unit in ("pingkiller.service", "pingkiller@host0.service"):
        assert on(HOST, "systemctl", "show", unit, "--property=RequiresMountsFor", "--value") == "/etc/pingkiller\n"
    away = "mv /etc/pingkiller /etc/pingkiller-elsewhere; pingkiller check 2>&1; echo $?; mv /etc/pingkiller-elsewhere /etc/pingkiller"
    said = on(HOST, "sh", "-c", away)
    assert "/etc/pingkiller is empty or not there" in said
    assert said.endswith("\n1\n")
    assert on(HOST, "pingkiller", "check") == "as wanted\n"


def test_a_boot_with_usr_mounted_read_only_restores_filters(reboot, on):
    unit = "/etc/systemd/system/read-only-usr.service"
    lines = "[Unit]\\nDefaultDependencies=no\\nBefore=pingkiller.service\\n[Service]\\nType=oneshot\\nRemainAfterExit=yes\\n"
    lines += "ExecStart=mount --bind -o ro /usr /usr\\n[Install]\\nRequiredBy=pingkiller.service\\n"
    on(HOST, "sh", "-c", f"printf '{lines}' >{unit} && systemctl enable --quiet read-only-usr.service")
    try:
        assert reboot(HOST) == "running"
        assert on(HOST, "findmnt", "-no", "OPTIONS", "/usr").startswith("ro")
        assert attached(on, HOST) == ["host0"]
        assert on(HOST, "pingkiller", "check") == "as wanted\n"
    finally:
        on(HOST, "sh", "-c", f"systemctl disable --quiet read-only-usr.service && rm {unit}")
        assert reboot(HOST) == "running"


@pytest.mark.parametrize(
    "how",
    [
        "echo >>$(ls /usr/local/lib/pingkiller/*/pingkiller/errors.py)",
        "rm -r /usr/local/lib/pingkiller/*/pingkiller/command",
        "rm -r /usr/local/lib/pingkiller /usr/local/share/man/man8; echo 'a version before' >/usr/local/sbin/pingkiller",
    ],
)
def test_command_that_is_not_as_installed_is_put_right_as_check_mode_predicts(on, deploy, how):
    on(HOST, "sh", "-c", how)
    assert deploy("--check", *ONE).changed == {HOST: 1}
    assert deploy(*ONE).changed == {HOST: 1}
    assert deploy(*ONE).changed == {HOST: 0}
    assert on(HOST, "pingkiller", "check") == "as wanted\n"


def test_what_is_not_to_be_persisted_is_not(reboot, on, deploy):
    assert deploy(*ONE, pingkiller_persist=False).returncode == 0
    try:
        assert deploy(*ONE, pingkiller_persist=False).changed == {HOST: 0}
        assert attached(on, HOST) == ["host0"]
        assert reboot(HOST) == "running"
        assert attached(on, HOST) == []
        assert on(HOST, "sh", "-c", "ls -d /usr/local/*/pingkiller /etc/systemd/system/*pingkiller*") == ""
    finally:
        assert deploy(*ONE).returncode == 0
