# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the playbook status over simulated hosts: the real playbook, action plugin and callback, with recorded answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_statuses import HOSTILE, fleet

CHECKOUT = Path(__file__).resolve().parents[2]
BY_NAME, BY_PATH = "pingkiller.fleet.status", str(CHECKOUT / "playbooks/status.yml")


class Controller:
    """A directory with the collection, in which the role does not look at the hosts: they have their answers already."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        collection = directory / "collections/ansible_collections/pingkiller/fleet"
        tasks = collection / "roles/pingkiller/tasks"
        tasks.mkdir(parents=True)
        for name in ("bpf", "galaxy.yml", "meta", "playbooks", "plugins"):
            (collection / name).symlink_to(CHECKOUT / name)
        self.look = tasks / "status.yml"
        self.look.write_text("- ansible.builtin.meta: noop\n")
        (directory / "site.yml").write_text("- hosts: all\n  gather_facts: false\n  tasks: []\n")

    def run(self, *arguments, answers, **environment):
        """Run playbooks over hosts with these answers."""
        inventory = self._directory / "inventory"
        hosts = {host: {"_pingkiller_seen": answer} for host, answer in answers.items()}
        (self._directory / "hosts.json").write_text(
            json.dumps({"all": {"hosts": list(hosts)}, "_meta": {"hostvars": hosts}})
        )
        inventory.write_text(f"#!/bin/sh\ncat {self._directory}/hosts.json\n")
        inventory.chmod(0o755)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, *arguments],
            cwd=self._directory,
            env={
                **inherited,
                "ANSIBLE_COLLECTIONS_PATH": str(self._directory / "collections"),
                "ANSIBLE_HOME": str(self._directory / ".ansible"),
                "ANSIBLE_NOCOLOR": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def controller(tmp_path):
    return Controller(tmp_path)


def fine(number=1):
    found = fleet(200, 1)
    good = [each for each in found.values() if not each.get("unreachable") and each.get("status", {}).get("wanted")]
    good = [each for each in good if not each["status"]["drift"] and each["status"]["counts"]["would_drop"] == 0]
    return {f"host{count}": each for count, each in zip(range(number), good)}


@pytest.mark.parametrize("playbook", [BY_NAME, BY_PATH])
def test_table_of_200_hosts_is_the_last_screen(controller, playbook):
    done = controller.run(playbook, answers=fleet(200, 1), COLUMNS="101", LINES="24")
    screen = done.stdout.splitlines()[-23:]
    assert screen[0].startswith("HOST   "), done.stdout + done.stderr
    assert max(map(len, screen)) <= 100
    assert "200 hosts: " in "\n".join(screen[-3:])
    assert done.stdout.count("BUSIEST SOURCE") == 1
    assert done.stdout.index("PLAY RECAP") < done.stdout.index("BUSIEST SOURCE")
    assert "DEPRECAT" not in done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_hosts_that_lack_something_fail_the_play_in_one_sentence(controller):
    answers = {**fine(2), "bad": {"msg": "no root"}, "gone": {"unreachable": True, "msg": "no route"}}
    done = controller.run(BY_NAME, answers=answers)
    assert done.returncode == 2
    said = [line for line in done.stdout.splitlines() if line.startswith("fatal: ")]
    assert len(said) == 1
    assert '"msg": "2 of 4 hosts lack what they should have: gone (unreachable), bad (failed)"' in said[0]


def test_fleet_that_lacks_nothing_succeeds_and_its_table_is_as_wide_as_the_terminal(controller):
    done = controller.run(BY_NAME, "--check", answers=fine(3), COLUMNS="40")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.partition("\nHOST ")[2].splitlines()
    assert max(map(len, shown)) < 40
    assert shown[-1].endswith(" in all")


@pytest.mark.parametrize(
    ("playbooks", "environment"),
    [
        ((BY_NAME,), {"ANSIBLE_STDOUT_CALLBACK": "minimal"}),
        ((BY_NAME,), {"ANSIBLE_VERBOSITY": "1"}),
        ((BY_NAME,), {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}),
        (("site.yml", BY_NAME), {}),  # the callbacks are those of the first playbook
        ((BY_NAME, "site.yml"), {}),
    ],
)
def test_table_is_shown_once_whoever_writes_the_output(controller, playbooks, environment):
    done = controller.run(*playbooks, answers=fine(1), **environment)
    assert done.returncode == 0
    assert done.stdout.count("1 host: 1 filters as the inventory wants") == 1


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("pingkiller_address=10.0.0.1/8", "has bits set behind its prefix"),
        ("pingkiller_rows=some", "is not a number of hosts"),
    ],
)
def test_wrong_variable_ends_the_play_before_the_look_in_one_sentence(controller, variable, told):
    done = controller.run(BY_NAME, "-e", variable, answers=fine(3))
    assert done.returncode == 2
    assert done.stdout.count("fatal: ") == 1
    assert told in done.stdout
    assert "HOST " not in done.stdout


def test_address_is_explained_with_status_0_whatever_its_fate(controller):
    answers = fine(2)
    for verdict, each in zip(("drop", "pass"), answers.values()):
        each["status"]["address"] = {"ip": "192.0.2.9", "verdict": verdict, "reason": f"so {verdict}", "owners": []}
    done = controller.run(BY_NAME, "-e", "pingkiller_address=192.0.2.9", answers=answers)
    assert done.returncode == 0
    assert (
        "192.0.2.9: dropped on 1, passes on 1 of 2 hosts\n1 host (host0): so drop\n1 host (host1): so pass"
        in done.stdout
    )


def test_hosts_with_hostile_names_are_only_text(controller):
    answers = dict(zip(HOSTILE, fine(len(HOSTILE)).values()))
    done = controller.run(BY_NAME, "-e", "pingkiller_rows=0", answers=answers)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.partition("\nHOST ")[2]
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\n{{ 7 * 7 }} " in shown


def test_host_whose_variables_cannot_be_evaluated_is_named_in_the_table(controller):
    controller.look.write_text("- ansible.builtin.debug: {msg: '{{ missing }}'}\n  register: _pingkiller_seen\n")
    done = controller.run(BY_NAME, answers=fine(2))
    assert done.returncode == 2
    shown = done.stdout.partition("\nHOST ")[2].splitlines()
    assert all(line.split()[1] == "failed" for line in shown[1:3])
    assert shown[-1] == "2 hosts: 2 gave no answer; dropped 0 in all"


def test_limit_that_matches_no_host_is_an_error(controller):
    done = controller.run(BY_NAME, "--limit", "nobody", answers=fine(1))
    assert done.returncode != 0
