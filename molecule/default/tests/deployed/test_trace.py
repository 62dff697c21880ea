"""A look at what the processes of all hosts ask of the kernel, with the playbook, and on one host with the command."""

import json

import pytest

testinfra_hosts = ["ansible://alpha"]


@pytest.fixture(scope="module")
def looked(playbook):
    return playbook("playbooks/trace.yml", "--extra-vars", json.dumps({"pingkiller_trace_duration": 1}))


def test_playbook_shows_one_table_of_all_hosts(looked):
    assert looked.returncode == 0
    assert set(looked.recap) == {"alpha", "bravo", "charlie"}
    assert not any(looked.changed.values())
    said = "\n".join(looked.tasks["Show it together"])
    assert "syscalls on 3 of 3 hosts" in said
    for host in ("all hosts", *looked.recap):
        assert f'"{host} ' in said, host


def test_command_on_a_host_sees_its_processes(host):
    seen = json.loads(host.check_output("pingkiller trace syscalls --duration 1 --by pid,comm --json"))
    assert seen["calls"] > 0
