# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are rebooted, or lose their power, while PingKiller is deployed to them."""

import json
import subprocess
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
BLOCKED, BLOCKED6, FREE, FREE6 = "203.0.113.66", "2001:db8:bad::66", "203.0.113.5", "2001:db8::5"
MACHINES = tuple(json.loads(Path("/var/lib/pingkiller-vm/molecule/ports.json").read_text()))
LATE = ("late-veth", "late.7")
APPEAR = f"""\
set -e
ip link add link eth0 name late.7 type vlan id 7
ip netns add beyond
ip link add late-veth type veth peer name beyond netns beyond
ip address add 198.18.70.1/24 dev late-veth
ip link set late-veth up
ip -n beyond link set beyond up
for source in {BLOCKED} {FREE}; do
    ip -n beyond address add $source/32 dev beyond
    ip route add $source/32 dev late-veth
done
ip -n beyond route add 198.18.70.0/24 dev beyond
"""
VANISH = "ip link delete late-veth; ip netns delete beyond; ip link delete late.7; true"


@pytest.mark.parametrize("name", MACHINES)
def test_no_blocked_ping_is_answered_while_a_machine_reboots_and_its_filter_is_back(
    name, state_of, facts_of, stream, run_tool, answered
):
    before = state_of(name)
    ends = [stream(source, name) for source in (BLOCKED, BLOCKED6)]
    rebooted = run_tool("reboot", name)
    assert rebooted.returncode == 0, rebooted.stderr
    wait_until(lambda: min(blocked_pings(facts_of(name))) > 20, "the pings did not meet the filter after the boot")
    for end in ends:
        sent, _, answers = end()
        assert sent > 20
        assert answers == 0
    assert state_of(name) == before
    assert answered(name) == [FREE, FREE6]


def blocked_pings(facts):
    """How many packets the filter of eth1 dropped for the blocklist: of IPv4, of IPv6."""
    reason = facts["filters"]["eth1"]["counters"]["reasons"]["blocklist"]
    return reason["ipv4"]["packets"], reason["ipv6"]["packets"]


def wait_until(condition, otherwise):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, otherwise


@pytest.fixture(scope="module")
def wanted_later(everywhere, shell, ansible):
    """Filters are wanted on interfaces that were there once, and are made by hand, so that no boot brings them."""

    def on_late(arguments):
        done = ansible("ansible", "all", "-m", "xdp_filter", "-a", f"interface={','.join(LATE)} {arguments}")
        assert done.returncode == 0

    everywhere(lambda host: shell(host, APPEAR))
    on_late("persist=true")
    everywhere(lambda host: shell(host, VANISH))
    yield
    everywhere(lambda host: shell(host, VANISH))
    on_late("state=absent")


@pytest.mark.usefixtures("wanted_later")
def test_filters_and_what_was_blocked_by_hand_are_back_after_a_power_cut(
    everywhere, state_of, facts_of, by_hand, cut_and_start, answered
):
    assert by_hand("present", "203.0.113.88 ttl=1h").returncode == 0
    before = everywhere(state_of)
    assert by_hand("present", "203.0.113.89 persist=false").returncode == 0
    everywhere(cut_and_start)
    assert everywhere(state_of) == before
    assert set(map(tuple, everywhere(lambda host: answered(host, refused=(BLOCKED, "203.0.113.88"))).values())) == {
        (FREE, FREE6)
    }
    for facts in everywhere(facts_of).values():
        (entry,) = (each for each in facts["lists"]["blocklist"]["entries"] if each["ip"] == "203.0.113.88")
        assert 0 < entry["expires_in"] < 3600
    assert by_hand("absent", "203.0.113.88").returncode == 0


@pytest.mark.usefixtures("wanted_later")
def test_interface_that_appears_after_the_boot_gets_its_filter(everywhere, shell, facts_of):
    wait = "timeout 300 sh -c 'until pingkiller check; do sleep 1; done'"
    everywhere(lambda host: shell(host, APPEAR + wait))
    assert {tuple(sorted(facts["filters"])) for facts in everywhere(facts_of).values()} == {("eth1", *LATE)}
    from_beyond = "ip netns exec beyond ping -n -c 1 -W {} -I {} 198.18.70.1"
    everywhere(lambda host: shell(host, from_beyond.format(30, FREE)))
    everywhere(lambda host: shell(host, f"! {from_beyond.format(1, BLOCKED)}"))


def test_deployment_after_reboots_and_power_cuts_changes_nothing(deploy):
    done = deploy()
    assert done.returncode == 0
    assert set(done.changed.values()) == {0}


def test_power_cut_in_the_middle_of_a_deployment_leaves_a_filter_and_the_next_deployment_converges(
    hosts, everywhere, deploy, run_tool, answered, pytestconfig
):
    wanted = {"pingkiller_blocklist_more": ["203.0.113.200"], "pingkiller_icmp_types": ["all"]}
    points = ("Write the list files", "Attach the filter", "Update the inventory's entries on the blocklist")
    cut_while_deploying(dict(zip(points, hosts)), wanted, run_tool, pytestconfig.getoption("ansible_inventory"))
    everywhere(lambda host: run_tool("start", host))
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}
    done = deploy(**wanted)
    assert done.returncode == 0
    assert set(map(tuple, everywhere(lambda host: answered(host, refused=(BLOCKED, "203.0.113.200"))).values())) == {
        (FREE, FREE6)
    }


def cut_while_deploying(points, variables, run_tool, inventory):
    """Deploy, and cut the power of a machine just as a task begins: each its own."""
    command = ["ansible-playbook", "--inventory", inventory, "deploy-pingkiller.yml", "-e", json.dumps(variables)]
    cut = []
    with subprocess.Popen(
        command, cwd=CHECKOUT, text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        try:
            for line in process.stdout:
                print(line, end="")
                for point, host in points.items():
                    if line.startswith("TASK [") and point in line:
                        run_tool("cut", host)
                        cut.append(host)
        finally:
            process.kill()
    assert sorted(cut) == sorted(points.values())
