# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at what processes ask of the kernel: on all hosts with the playbook, on one host with the command."""

import json

import pytest

testinfra_hosts = ["ansible://alpha"]

HOSTS = ("alpha", "bravo", "charlie")
UNIT = "nap.service"


@pytest.fixture(scope="module", autouse=True)
def napping(on):
    """On each host, run a unit whose processes start, sleep a little, and end."""
    for host in HOSTS:
        on(host, "systemd-run", "--quiet", f"--unit={UNIT}", "sh", "-c", "while :; do sleep 0.01; done")
    yield
    for host in HOSTS:
        on(host, "systemctl", "stop", UNIT)


def test_playbook_shows_one_table_of_all_hosts(playbook):
    looked = playbook("playbooks/trace.yml", "--extra-vars", json.dumps({"pingkiller_trace_duration": 1}))
    assert looked.returncode == 0
    assert set(looked.recap) == set(HOSTS)
    assert not any(looked.changed.values())
    said = "\n".join(looked.tasks["Show the traces of all hosts"])
    assert "syscalls on 3 of 3 hosts" in said
    for host in ("all hosts", *HOSTS):
        assert f'"{host} ' in said, host


def test_command_on_a_host_sees_the_processes_of_a_unit(host):
    seen = json.loads(host.check_output(f"pingkiller trace processes --unit {UNIT} --duration 1 --json"))
    paths = {event["path"] for event in seen["events"] if event["event"] == "exec"}
    assert paths - {None} == {"/usr/bin/sleep"}  # None if the page with the name was not in memory
    assert seen["outside"] == 0
