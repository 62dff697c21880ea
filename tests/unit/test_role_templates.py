# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes of an inventory before it touches a host: the rendered lists, and what the preflight refuses.

Starting Ansible takes longer than all the rest, so one run serves all tests: every inventory to try is a host of it,
with no connection behind it but the local one. What the probe would find on a host is given, too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.pingkiller.fleet.plugins.filter.address_fault import address_fault

CHECKOUT = Path(__file__).resolve().parents[2]
ROLE = CHECKOUT / "roles/pingkiller"

FIT = {
    "system": "Linux",
    "kernel": "6.1.0-18-amd64",
    "uid": "0",
    "distribution": "debian ",
    "python": "3.11",
    "bcc": "True",
    "init": "systemd",
    "directory": "",
    "allowlist": " ",
    "blocklist": " ",
}


def found(**other: str) -> dict:
    """A host on which the probe finds what FIT says, but for ``other``."""
    lines = [f"pingkiller_{name}={value}" for name, value in {**FIT, **other}.items()]
    # A terminal is in the way where pipelining is off: its line ends, and whatever else talks on a login.
    return {"probe": "Welcome!\r\n" + "\r\n".join(lines) + "\r\n"}


HOSTS = {
    # Rendered
    "empty": {},
    "merged": {
        "pingkiller_blocklist": ["203.0.113.1", "2001:db8::/32"],
        "pingkiller_blocklist_web": ["198.51.100.0/24"],
        "pingkiller_blocklist_host": ["203.0.113.2"],
        "pingkiller_allowlist_web": ["192.0.2.1"],
        "pingkiller_blocklists": ["192.0.2.99"],
        "my_pingkiller_blocklist": ["192.0.2.99"],
    },
    "doubles": {
        "pingkiller_blocklist": ["203.0.113.1", "203.0.113.2"],
        "pingkiller_blocklist_db": [{"ip": "203.0.113.1", "comment": "scans"}, "203.0.113.2", "203.0.113.2"],
        "pingkiller_blocklist_web": ["203.0.113.1"],
    },
    "mappings": {
        "pingkiller_blocklist": [
            {"ip": "203.0.113.1"},
            {"ip": "203.0.113.2", "direction": "dst"},
            {"ip": "203.0.113.3", "direction": "src", "comment": "seen\n  in the log # of\ttoday\n"},
            {"ip": "203.0.113.4", "direction": "both", "comment": ""},
        ],
    },
    "directions": {
        "pingkiller_blocklist": ["203.0.113.1", {"ip": "203.0.113.2", "direction": "dst"}],
        "pingkiller_blocklist_web": [{"ip": "203.0.113.1", "direction": "dst"}, "203.0.113.2"],
    },
    "templated": {
        "office": "203.0.113.5",
        "pingkiller_blocklist_x": ["{{ office }}"],
        "pingkiller_blocklist_y": "{{ ['203.0.113.6', office] }}",
    },
    "nothing_in_variable": {"pingkiller_blocklist_web": None},
    # Fit
    "every_spelling": {
        "pingkiller_blocklist": [
            "0.0.0.0/0",
            "255.255.255.255/32",
            "::",
            "::/0",
            "2001:DB8::1/128",
            "::ffff:192.0.2.1",
        ],
    },
    "not_to_be_restored": found(init="") | {"pingkiller_persist": "false"},
    "old_enough": found(kernel="5.10.0", python="3.9"),
    "rocky_with_bcc": found(distribution="rocky rhel centos fedora"),
    "unknown_with_package": found(distribution="plan9", bcc="False") | {"pingkiller_package": "bcc-for-python"},
    "removable": found(kernel="4.18.0", bcc="False", distribution="")
    | {"pingkiller_state": "absent", "pingkiller_blocklist": ["no address"]},
    # Refused for what the host is
    "darwin": found(system="Darwin", kernel="23.1.0"),
    "unprivileged": found(uid="1000"),
    "without_python": found(python=""),
    "with_old_python": found(python="3.8"),
    "with_old_kernel": found(kernel="5.4.0-150-generic"),
    "unknown_family": found(distribution="plan9", bcc="False"),
    "not_to_install": found(bcc="False") | {"pingkiller_manage_packages": "false"},
    "without_systemd": found(init=""),
    "shared_directory": {"pingkiller_config_dir": "/etc"},
    "two_filters_on_one_hook": {"pingkiller_hide_from_traceroute": True, "pingkiller_hook": "tc_egress"},
    # Refused for their lists
    "not_a_list": {"pingkiller_blocklist_web": "203.0.113.1", "pingkiller_allowlist_x": {"ip": "203.0.113.1"}},
    "not_addresses": {
        "pingkiller_blocklist_web": [
            "300.1.1.1",
            "",
            "fe80::1%eth0",
            "host.example",
            "1.2.3.4/33",
            "10.0.0.1/8",
            ":::",
            " 1.2.3.4",
        ],
    },
    "line_end": {"pingkiller_allowlist": ["192.0.2.1\n"]},
    "numbers": {"pingkiller_blocklist": [4830, True, None, ["192.0.2.1"]]},
    "bad_mappings": {
        "pingkiller_blocklist": [
            {"ip": "192.0.2.1", "direction": "in"},
            {"ip": "192.0.2.1", "dir": "dst"},
            {"comment": "nothing else"},
            {"ip": "192.0.2.300"},
        ],
    },
    "too_many_to_tell": {"pingkiller_blocklist": [f"300.0.0.{number}" for number in range(12)]},
}

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - include_role:
            name: pingkiller.fleet.pingkiller
            tasks_from: preflight.yml
          vars:
            # An include's own variables win over what a task in it registers.
            _pingkiller_probe: {stdout: "{{ probe }}"}
        - set_fact:
            made: "{{ made | default({}) | combine({pingkiller_list: lookup('template', role ~ '/templates/list.j2')}) }}"
          loop: [allowlist, blocklist]
          loop_control:
            loop_var: pingkiller_list
      rescue:
        - set_fact:
            made: {refusal: "{{ ansible_failed_result.msg }}"}
    - copy:
        dest: "{{ result }}"
        content: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'made'))) | to_json }}"
        mode: "0600"
      run_once: true
      vars:
        ansible_shell_executable: /bin/sh
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What one run over all HOSTS made of each: its allowlist and its blocklist, or the refusal."""
    directory = tmp_path_factory.mktemp("role")
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_shell_executable": "/bin/true",  # instead of a real look at this machine for every host
        "result": str(directory / "made.json"),
        "role": str(ROLE),
    }
    hosts = {name: {**found(), **variables} for name, variables in HOSTS.items()}
    (directory / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    (directory / "play.yml").write_text(PLAYBOOK)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_HOME": str(directory / "home"),
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", directory / "inventory.json", directory / "play.yml"]
    run = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads((directory / "made.json").read_text())


@pytest.fixture
def entries(made):
    """Reads a rendered list without its header."""

    def read(host: str, which: str = "blocklist") -> list[str]:
        return [line for line in made[host][which].splitlines() if not line.startswith("#")]

    return read


@pytest.fixture
def refusal(made):
    return lambda host: made[host]["refusal"]


def test_empty_list_is_a_file_with_only_a_header(made):
    text = made["empty"]["blocklist"]
    assert text.endswith("\n")
    assert all(line.startswith("# ") for line in text.splitlines())
    assert "the blocklist that the inventory has for empty" in text


def test_header_holds_no_time_that_would_change_every_run(made):
    assert not re.search(r"\d\d:\d\d|20\d\d", made["empty"]["blocklist"])


def test_variables_of_all_levels_add_up_in_order_of_their_names(entries):
    assert entries("merged") == [
        "203.0.113.1  # pingkiller_blocklist",
        "2001:db8::/32  # pingkiller_blocklist",
        "203.0.113.2  # pingkiller_blocklist_host",
        "198.51.100.0/24  # pingkiller_blocklist_web",
    ]


def test_allowlist_and_blocklist_do_not_mix(entries):
    assert entries("merged", "allowlist") == ["192.0.2.1  # pingkiller_allowlist_web"]


def test_address_named_twice_is_one_line_that_names_all_origins(entries):
    assert entries("doubles") == [
        "203.0.113.1  # pingkiller_blocklist, pingkiller_blocklist_db: scans, pingkiller_blocklist_web",
        "203.0.113.2  # pingkiller_blocklist, pingkiller_blocklist_db",
    ]


def test_mappings_bring_direction_and_comment_on_one_line(entries):
    assert entries("mappings") == [
        "203.0.113.1  # pingkiller_blocklist",
        "203.0.113.2 direction=dst  # pingkiller_blocklist",
        "203.0.113.3  # pingkiller_blocklist: seen in the log # of today",
        "203.0.113.4 direction=both  # pingkiller_blocklist",
    ]


def test_source_here_and_destination_there_is_both(entries):
    assert [line.partition("  #")[0] for line in entries("directions")] == [
        "203.0.113.1 direction=both",
        "203.0.113.2 direction=both",
    ]


def test_items_and_lists_can_be_templates(entries):
    assert entries("templated") == [
        "203.0.113.5  # pingkiller_blocklist_x, pingkiller_blocklist_y",
        "203.0.113.6  # pingkiller_blocklist_y",
    ]


def test_variable_with_nothing_in_it_is_an_empty_list(entries):
    assert entries("nothing_in_variable") == []


@pytest.mark.parametrize(
    "host",
    ["every_spelling", "not_to_be_restored", "old_enough", "rocky_with_bcc", "unknown_with_package", "removable"],
)
def test_fit_host_is_not_refused(made, host):
    assert "refusal" not in made[host]


@pytest.mark.parametrize(
    ("host", "fault", "way_out"),
    [
        ("darwin", "darwin runs Darwin", "leave the host out of the play"),
        ("unprivileged", "not root (user id 1000)", "become: true"),
        ("without_python", "No Python 3 was found on without_python", "ansible_python_interpreter"),
        ("with_old_python", "Python 3.8 was found on with_old_python", "3.9 or newer"),
        ("with_old_kernel", "with_old_kernel runs Linux 5.4.0-150-generic", "5.10 or newer"),
        ("unknown_family", "distribution plan9", "set pingkiller_package"),
        (
            "not_to_install",
            "BCC is missing on not_to_install",
            "install python3-bpfcc, or set pingkiller_manage_packages",
        ),
        ("without_systemd", "without_systemd was not booted with systemd", "set pingkiller_persist: false"),
        ("shared_directory", "pingkiller_config_dir is /etc", "as in /etc/pingkiller"),
        ("two_filters_on_one_hook", "pingkiller_hook is tc_egress, too", "choose another pingkiller_hook"),
    ],
)
def test_unfit_host_is_told_the_reason_and_the_way_out(refusal, host, fault, way_out):
    assert fault in refusal(host)
    assert way_out in refusal(host)


def test_variable_that_is_no_list_is_named_with_the_host(refusal):
    assert 'pingkiller_blocklist_web of not_a_list is "203.0.113.1", not a list' in refusal("not_a_list")
    assert "pingkiller_allowlist_x of not_a_list is {" in refusal("not_a_list")


@pytest.mark.parametrize("item", HOSTS["not_addresses"]["pingkiller_blocklist_web"])
def test_item_that_is_no_address_is_named_with_variable_and_host(refusal, item):
    told = refusal("not_addresses").partition(f"In pingkiller_blocklist_web of not_addresses, {json.dumps(item)} ")[2]
    assert told.startswith(address_fault(item))


def test_line_end_in_an_item_cannot_smuggle_in_a_line(refusal):
    assert r'"192.0.2.1\n" is not an IPv4 or IPv6 address' in refusal("line_end")


def test_address_that_yaml_made_a_number_is_told_to_be_quoted(refusal):
    assert "4830 is a number to YAML: put the address in quotes" in refusal("numbers")
    for item in ("true", "null", '["192.0.2.1"]'):
        assert f"{item} is no address" in refusal("numbers")


def test_mistakes_in_mappings_are_told_all_at_once(refusal):
    text = refusal("bad_mappings")
    assert "has the direction in: write src, dst or both" in text
    assert "has the key dir: the only keys are ip, direction, ttl and comment" in text
    assert "has no ip" in text
    assert '"192.0.2.300"} is not an IPv4 or IPv6 address' in text


def test_ten_bad_items_are_named_and_the_rest_counted(refusal):
    assert refusal("too_many_to_tell").count("is not an IPv4 or IPv6 address") == 10
    assert refusal("too_many_to_tell").endswith("And 2 more.")


def probe(directory: Path, **given: str) -> dict[str, str]:
    """What the probe prints here, run as on a host."""
    script = (ROLE / "files/probe.sh").read_text()
    environment = {**os.environ, "directory": str(directory), "python": "", **given}
    run = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    return dict(re.findall(r"(?m)^pingkiller_(\w+)=(.*)$", run.stdout))


def test_probe_tells_what_the_host_is(tmp_path):
    told = probe(tmp_path, python=sys.executable)
    assert told["system"] == "Linux"
    assert told["kernel"] == os.uname().release
    assert told["uid"] == str(os.getuid())
    assert told["python"] == "{}.{}".format(*sys.version_info)
    assert told["bcc"] in ("True", "False")


def test_probe_without_python_tells_none(tmp_path):
    assert probe(tmp_path, python="/nowhere/python3")["python"] == ""


def test_probe_tells_mode_and_hash_of_what_is_there(tmp_path):
    (tmp_path / "blocklist").write_text("")
    (tmp_path / "blocklist").chmod(0o640)
    (tmp_path / "hidden").write_text("eth0 eth1\n")
    told = probe(tmp_path)
    owner = f"{os.getuid()}:{tmp_path.stat().st_gid}"
    assert told["directory"] == f"{owner} 700"
    assert told["allowlist"] == " "
    assert told["hidden"] == "eth0 eth1"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert told["blocklist"] == f"{owner} 640 {empty}  -"


def test_probe_takes_another_bcc_for_none(tmp_path):
    (tmp_path / "bcc.py").write_text("")
    look = re.search(r"look='(.*?)'", (ROLE / "files/probe.sh").read_text(), re.DOTALL)[1]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split()[1] == "False"
