# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with PingKiller that are rebooted or lose power."""

import json
import subprocess
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
BLOCKED, BLOCKED6, FREE, FREE6 = "203.0.113.66", "2001:db8:bad::66", "203.0.113.5", "2001:db8::5"
OLDER, NEWER = "debian12", "debian13"
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


def test_no_blocked_ping_is_answered_while_a_machine_reboots_and_its_filter_is_back(
    hosts, everywhere, facts_of, stream, run_tool, answered
):
    """One machine is rebooted after the other, because the pings come from a neighbour, which has to be up."""
    before = everywhere(facts_of)
    for host in hosts:
        ends = [stream(source, host) for source in (BLOCKED, BLOCKED6)]
        rebooted = run_tool("reboot", host)
        assert rebooted.returncode == 0, rebooted.stderr
        wait_until(
            lambda host=host: min(blocked_pings(facts_of(host))) > 20, f"the pings of {host} did not meet its filter"
        )
        for end in ends:
            sent, _, answers = end()
            assert (sent > 20, answers) == (True, 0), host
    assert lasting(everywhere(facts_of)) == lasting(before)
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}


def lasting(told):
    """Return what a boot must not change, by machine: the lists, and the filters with options and mode."""
    return {host: (entries(facts), attached(facts)) for host, facts in told.items()}


def entries(facts):
    return {name: sorted(entry["ip"] for entry in each["entries"]) for name, each in facts["lists"].items()}


def attached(facts):
    return {name: (each["mode"], each["options"]) for name, each in facts["filters"].items() if each["mode"] != "none"}


def blocked_pings(facts):
    """Return how many packets the filter of eth1 dropped for the blocklist, for IPv4 and for IPv6."""
    reason = facts["filters"]["eth1"]["counters"]["reasons"]["blocklist"]
    return reason["ipv4"]["packets"], reason["ipv6"]["packets"]


def wait_until(condition, otherwise):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, otherwise


@pytest.fixture(scope="module")
def wanted_later(everywhere, shell, ansible):
    """Store filters for interfaces that are absent: they were made by hand, so no boot brings them back."""

    def on_late(arguments):
        done = ansible("ansible", "all", "-m", "xdp_filter", "-a", f"interface={','.join(LATE)} {arguments}")
        assert done.returncode == 0

    everywhere(lambda host: shell(host, APPEAR))
    on_late("persist=true")
    everywhere(lambda host: shell(host, VANISH))
    yield
    everywhere(lambda host: shell(host, VANISH))
    on_late("state=absent")


@pytest.fixture(scope="module")
def other_kernels(hosts, tool, cut_and_start, on, shell):
    """Install one machine's kernel modules on another; yield which machine can boot with whose kernel.

    The result is empty unless both machines take part. The machine ends with its own kernel, even if a test fails.
    """
    if not {OLDER, NEWER} <= set(hosts):
        yield {}
        return
    release = on(NEWER, "uname", "-r").strip()
    pack = [*tool, "exec", NEWER, "tar", "-c", "-C", "/lib/modules", release]
    unpack = [*tool, "exec", OLDER, "sh", "-c", "tar -x -C /lib/modules && sync"]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as modules:
        subprocess.run(unpack, stdin=modules.stdout, check=True, timeout=300)
    yield {OLDER: NEWER}
    if on(OLDER, "uname", "-r").strip() == release:
        cut_and_start(OLDER)
    shell(OLDER, f"rm -r /lib/modules/{release}")


@pytest.fixture(scope="module")
def power_cut(everywhere, by_hand, facts_of, wanted_later, other_kernels, cut_and_start):
    """Cut the power of all machines, and boot them again, with another kernel where possible.

    Returns the facts of the machines before and after.
    """
    assert by_hand("present", "203.0.113.88 ttl=1h").returncode == 0
    before = everywhere(facts_of)
    assert by_hand("present", "203.0.113.89 persist=false").returncode == 0
    everywhere(lambda host: cut_and_start(host, other_kernels.get(host)))
    return before, everywhere(facts_of)


def test_filters_and_what_was_blocked_by_hand_are_back_after_a_power_cut(power_cut, everywhere, by_hand, answered):
    before, after = power_cut
    assert lasting(after) == lasting(before)
    assert set(map(tuple, everywhere(lambda host: answered(host, refused=(BLOCKED, "203.0.113.88"))).values())) == {
        (FREE, FREE6)
    }
    for facts in after.values():
        (entry,) = (each for each in facts["lists"]["blocklist"]["entries"] if each["ip"] == "203.0.113.88")
        assert 0 < entry["expires_in"] < 3600
    assert by_hand("absent", "203.0.113.88").returncode == 0


def test_filter_is_back_with_another_kernel_and_with_the_former_one_again(
    power_cut, other_kernels, cut_and_start, on, facts_of, answered
):
    """The boot after the power cut used the other kernel, and tests above checked filter and lists."""
    if not other_kernels:
        pytest.skip(f"the kernel of {NEWER} is to boot {OLDER}, and not both take part")
    assert on(OLDER, "uname", "-r") == on(NEWER, "uname", "-r")
    facts = [power_cut[0][OLDER], facts_of(OLDER)]
    cut_and_start(OLDER)
    assert on(OLDER, "uname", "-r") != on(NEWER, "uname", "-r")
    facts.append(facts_of(OLDER))
    assert lasting({OLDER: facts[2]}) == lasting({OLDER: facts[1]})
    first, other, again = map(build_of, facts)
    assert first == again != other
    assert answered(OLDER) == [FREE, FREE6]


def build_of(facts):
    return facts["filters"]["eth1"]["build_id"]


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
    """Deploy, and cut the power of each machine just as the task begins that is given for it."""
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
