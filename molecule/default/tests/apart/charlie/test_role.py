# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of Ansible that users of the role may use, on a host with PingKiller."""

import json

import pytest

HOST = "charlie"
ONE = ("--limit", HOST)
ROLE = "pingkiller.fleet.pingkiller"
MORE = {"pingkiller_blocklist_more": ["203.0.113.200"]}
OTHER_NAME = "enp7s0"  # of the filtered interface

# Invalid variables, and what the refusal says about each.
MISTAKEN = [
    ({"pingkiller_blocklist_bad": ["300.1.1.1"]}, "300.1.1.1"),
    ({"pingkiller_blocklist_bad": ["10.0.0.1/8"]}, "10.0.0.1/8"),
    ({"pingkiller_policy": "reject"}, "reject"),
    ({"pingkiller_interfaces": ["nosuch0"]}, "nosuch0"),
    ({"pingkiller_blacklist": ["192.0.2.1"]}, "did you mean pingkiller_blocklist?"),
    ({"pingkiller_filters": [{"policy": "drop"}, {"hook": "egress"}]}, "use one of xdp, tc_ingress, tc_egress"),
    (
        {"pingkiller_filters": [{"interfaces": ["host0"]}, {"interfaces": [OTHER_NAME], "policy": "drop"}]},
        f"two filters with the hook xdp on host0 (named {OTHER_NAME} and host0)",
    ),
]

# Tasks of each step that a run shows even on a host where nothing has to change.
STEPS = {
    "pingkiller_preflight": {"Fail if the host or a variable is not fit"},
    "pingkiller_install": {"Install BCC"},
    "pingkiller_attach": {"Attach the filters", "Remove the filters that the inventory no longer names"},
    "pingkiller_configure": {"Create the configuration directory", "Write the list files"},
    "pingkiller_sync": {
        "Update the inventory's entries on the allowlist",
        "Update the inventory's entries on the blocklist",
    },
    "pingkiller_persist": {"Set up or remove the boot service"},
}


@pytest.fixture
def play(playbook, tmp_path):
    """Run a playbook of one play on one host, with variables that replace those of the inventory or add to them."""

    def run(*arguments, variables=None, **keywords):
        path = tmp_path / "play.yml"
        path.write_text(json.dumps([{"hosts": "all", "become": True, "gather_facts": False, **keywords}]))
        return playbook(str(path), *ONE, "--extra-vars", json.dumps(variables or {}), *arguments)

    return run


@pytest.fixture
def other_name(on):
    on(HOST, "ip", "link", "property", "add", "dev", "host0", "altname", OTHER_NAME)
    yield
    on(HOST, "ip", "link", "property", "del", "dev", "host0", "altname", OTHER_NAME)


@pytest.fixture(scope="module")
def foretold(deploy):
    """A run in check mode that would change something."""
    return deploy("--check", "--diff", *ONE, **MORE)


@pytest.mark.parametrize(
    "keywords",
    [
        {"roles": [{"role": ROLE, "check_mode": True}]},
        {"tasks": [{"block": [{"ansible.builtin.include_role": {"name": ROLE}}], "check_mode": True}]},
    ],
    ids=["role", "block"],
)
def test_check_mode_of_a_role_or_block_predicts_what_check_mode_of_the_run_does(foretold, play, keywords):
    run = play("--diff", variables=MORE, **keywords)
    assert {change[1:] for change in run.changes} == {change[1:] for change in foretold.changes} != set()
    assert run.differences
    assert list(run.differences.values()) == list(foretold.differences.values())


@pytest.fixture(scope="module")
def steps(foretold, deploy):
    """The tasks of a deployment that changes nothing, since check mode has changed nothing either."""
    run = deploy(*ONE)
    assert run.changed == {HOST: 0}
    return {name.rpartition(" : ")[2] for name in run.tasks}


@pytest.mark.parametrize("tag", STEPS)
def test_skipped_tag_leaves_out_its_step_and_no_other(deploy, steps, tag):
    run = deploy(*ONE, "--skip-tags", tag)
    assert run.returncode == 0
    assert steps - {name.rpartition(" : ")[2] for name in run.tasks} == STEPS[tag]


@pytest.mark.usefixtures("other_name")
def test_mistaken_variable_is_refused_before_anything_changes(play, disk):
    before = disk(HOST)
    run = play(
        tasks=[
            {
                "block": [{"ansible.builtin.include_role": {"name": ROLE}, "vars": variables}],
                "rescue": [
                    {"name": f"Mistake {number}", "ansible.builtin.debug": {"var": "ansible_failed_result.msg"}}
                ],
            }
            for number, (variables, _told) in enumerate(MISTAKEN)
        ]
    )
    said = ["\n".join(run.tasks.get(f"Mistake {number}", ["not refused"])) for number in range(len(MISTAKEN))]
    assert [(variables, line) for (variables, told), line in zip(MISTAKEN, said) if told not in line] == []
    assert run.changed == {HOST: 0}
    assert disk(HOST) == before


def test_filter_that_was_taken_off_by_hand_is_missed_until_the_next_deployment(deploy, ansible, run_tool):
    ansible("ansible", HOST, "-m", "xdp_filter", "-a", "interface=host0 state=absent")
    assert "lost: the filter on host0" in run_tool("exec", HOST, "pingkiller", "check").stdout
    assert run_tool("exec", HOST, "pingkiller", "status").returncode == 3
    assert deploy(*ONE).changed == {HOST: 1}
    assert run_tool("exec", HOST, "pingkiller", "check").returncode == 0


def test_filter_can_be_attached_in_the_background(ansible):
    run = ansible("ansible", HOST, "-m", "xdp_filter", "-a", "interface=host0", "-B", "90", "-P", "1")
    assert run.returncode == 0
    assert "ansible_job_id" in run.said


@pytest.mark.usefixtures("other_name")
def test_filter_that_names_one_interface_by_two_names_is_on_it_once(deploy):
    run = deploy(*ONE, pingkiller_interfaces=["host0", OTHER_NAME])
    assert (run.returncode, run.changed) == (0, {HOST: 0})


def test_taking_over_a_filter_that_was_put_there_by_hand_is_predicted_and_said_once(deploy, ansible):
    ansible("ansible", HOST, "-m", "xdp_filter", "-a", "interface=host0 hook=tc_ingress")
    named = {"pingkiller_filters": [{"interfaces": ["host0"]}, {"interfaces": ["host0"], "hook": "tc_ingress"}]}
    foretold, run, again = deploy("--check", *ONE, **named), deploy(*ONE, **named), deploy(*ONE, **named)
    assert foretold.warnings == run.warnings
    ((task, line),) = run.warnings
    assert "Attach the filters" in task
    assert line.startswith("[WARNING]: the filter on host0/tc_ingress had no owner, as one that was put there by hand")
    assert (again.warnings, again.changed) == (set(), {HOST: 0})
    deploy(*ONE)  # removes the filter, as the warning says


def test_role_in_a_loop_gives_no_warning(play):
    task = {
        "ansible.builtin.include_role": {"name": ROLE},
        "vars": {"pingkiller_interfaces": ["{{ item }}"]},
        "loop": ["host0"],
    }
    run = play(variables={"pingkiller_persist": False}, tasks=[task])
    assert run.returncode == 0
    assert "WARNING" not in run.said
    assert play(roles=[ROLE]).returncode == 0
