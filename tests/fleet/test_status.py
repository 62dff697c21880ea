# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the playbook status tells the truth about real hosts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "status"
LISTED = "203.0.113.66"


def fleet(*arguments):
    command = [CHECKOUT / "tools/fleet", "--name", NAME, *arguments]
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def ansible(*arguments, **environment):
    command, *others = arguments
    return subprocess.run(
        [Path(sys.executable).parent / command, "-i", CHECKOUT / ".fleet" / NAME / "inventory.yml", *others],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "120", **environment},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )


def status(*arguments, **environment):
    """Run the playbook. Returns its exit status, and what it shows after the recap."""
    done = ansible("ansible-playbook", "pingkiller.fleet.status", *arguments, **environment)
    print(done.stdout, done.stderr)
    return done.returncode, done.stdout.partition("\nHOST ")[2]


def row(shown, host):
    return re.split(r"  +", next(line for line in shown.splitlines() if line.startswith(f"{host} ")))


@pytest.fixture(scope="module", autouse=True)
def deployed():
    """Two hosts with filters."""
    fleet("down")
    booted = fleet("up", "--hosts", "alpha,bravo")
    assert booted.returncode == 0, booted.stderr
    try:
        done = ansible("ansible-playbook", "pingkiller.fleet.deploy_pingkiller")
        assert done.returncode == 0, done.stdout
        yield
    finally:
        fleet("down")


def test_fleet_that_was_deployed_is_fine_and_tells_what_it_dropped():
    assert fleet("ping", LISTED, "alpha", "-c", "7", "-i", "0.01", "-W", "0.1").returncode == 1
    code, shown = status("-e", f"pingkiller_address={LISTED}", "-e", "pingkiller_status_window=0.2", "--check")
    assert code == 0
    assert row(shown, "alpha")[1:3] == ["fine", "1 of 1"]
    assert row(shown, "alpha")[8] == "7"
    assert row(shown, "bravo")[8] == "0"
    assert f"{LISTED}: dropped on 2 of 2 hosts" in shown
    assert f"the blocklist has {LISTED} (owner inventory)" in " ".join(shown.split())
    assert re.search(
        r"2 hosts: 2 filter as the inventory wants; dropped 0 in the last [\d.]+ s and 7 in all$", shown.strip()
    )


def test_host_without_its_filter_and_host_with_another_option_are_named():
    fleet("exec", "bravo", "ip", "link", "set", "dev", "host0", "xdp", "off")
    ansible("ansible", "alpha", "-m", "pingkiller.fleet.xdp_filter", "-a", "policy=drop")
    code, shown = status("-e", "pingkiller_status_window=0")
    assert code == 2
    assert row(shown, "bravo")[1:3] == ["unfiltered", "0 of 1"]
    assert row(shown, "alpha")[1:6] == ["drifted", "1 of 1", "native", "drop", "1"]
    assert re.search(r"^alpha: .*policy", shown, re.MULTILINE)
    assert re.search(r"^bravo: .*host0", shown, re.MULTILINE)
    assert re.search(rf"^{re.escape(LISTED)} +7 .*blocklist", shown, re.MULTILINE)


def test_host_that_is_down_is_named_and_the_others_are_shown():
    fleet("exec", "bravo", "systemctl", "stop", "ssh.socket", "ssh.service")
    code, shown = status(
        "-e", "pingkiller_status_window=0", ANSIBLE_SSH_ARGS="-o ControlMaster=no", ANSIBLE_TIMEOUT="2"
    )
    assert code == 2
    assert row(shown, "bravo")[1] == "unreachable"
    assert row(shown, "alpha")[1] == "drifted"
    assert "1 is not reachable" in " ".join(shown.split())
