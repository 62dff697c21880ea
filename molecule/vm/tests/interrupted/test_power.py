"""Machines that are rebooted, or lose their power, while PingKiller is deployed to them."""

import json
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
BLOCKED, BLOCKED6, FREE, FREE6 = "203.0.113.66", "2001:db8:bad::66", "203.0.113.5", "2001:db8::5"
MACHINES = ("debian11", "debian12", "debian13")


def state(facts):
    """What is to be the same after a reboot: the lists, and the filters with their options and mode."""
    entries = {name: sorted(entry["ip"] for entry in each["entries"]) for name, each in facts["lists"].items()}
    return entries, {name: (each["mode"], each["options"]) for name, each in facts["filters"].items()}


@pytest.mark.parametrize("name", MACHINES)
def test_no_blocked_ping_is_answered_while_a_machine_reboots_and_its_filter_is_back(
    name, facts_of, stream, run_tool, answered
):
    before = state(facts_of(name))
    ends = [stream(source, name) for source in (BLOCKED, BLOCKED6)]
    rebooted = run_tool("reboot", name)
    assert rebooted.returncode == 0, rebooted.stderr
    for end in ends:
        sent, _, answers = end()
        assert sent > 100
        assert answers == 0
    assert state(facts_of(name)) == before
    assert answered(name) == [FREE, FREE6]


def test_filters_are_back_after_a_power_cut(everywhere, facts_of, run_tool, answered):
    before = {name: state(facts) for name, facts in everywhere(facts_of).items()}
    cut_and_start(everywhere, run_tool)
    assert {name: state(facts) for name, facts in everywhere(facts_of).items()} == before
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}


def test_deployment_after_reboots_and_power_cuts_changes_nothing(deploy):
    done = deploy()
    assert done.returncode == 0
    assert set(done.changed.values()) == {0}


def test_power_cut_in_the_middle_of_a_deployment_leaves_a_filter_and_the_next_deployment_converges(
    hosts, everywhere, deploy, run_tool, answered, pytestconfig
):
    wanted = {"pingkiller_blocklist_more": ["203.0.113.200"], "pingkiller_icmp_types": ["all"]}
    points = ("Write the wanted lists", "Attach the filter", "Make the inventory's part of the blocklist exact")
    cut_while_deploying(dict(zip(points, hosts)), wanted, run_tool, pytestconfig.getoption("ansible_inventory"))
    everywhere(lambda host: run_tool("start", host))
    assert set(map(tuple, everywhere(answered).values())) == {(FREE, FREE6)}
    done = deploy(**wanted)
    assert done.returncode == 0
    assert set(deploy(**wanted).changed.values()) == {0}
    assert set(map(tuple, everywhere(lambda host: answered(host, refused=(BLOCKED, "203.0.113.200"))).values())) == {
        (FREE, FREE6)
    }


def cut_and_start(everywhere, run_tool):
    everywhere(lambda host: run_tool("cut", host))
    started = everywhere(lambda host: run_tool("start", host))
    assert [done.stderr for done in started.values() if done.returncode] == []


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
