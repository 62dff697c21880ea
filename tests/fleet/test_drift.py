# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the look at a host says a deploy would change is what the deploy's check mode says, on real hosts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "drift"

#: What the inventory says now of the host alpha, and what the look says about it; nothing if all is as wanted. Other names
#: for alpha are other inventories: they differ in the variables, and in the name of the host, which is in the list files.
INVENTORY = {
    "alpha": ({}, ""),
    "option": ({"pingkiller_policy": "drop"}, "filter host0: policy is pass, the inventory wants drop"),
    "mode": ({"pingkiller_mode": "generic"}, "filter host0: mode is auto, the inventory wants generic"),
    "entry": (
        {"pingkiller_blocklist_more": ["192.0.2.9"]},
        "blocklist: the inventory's list is not the one on the host",
    ),
    "comment": (
        {"pingkiller_allowlist": [{"ip": "198.51.100.10", "comment": "new"}]},
        "allowlist: the inventory's list",
    ),
    "capacity": ({"pingkiller_max_entries": 1000}, "max_entries is 65536, the inventory wants 1000"),
    "one_filter": (
        {"pingkiller_hide_from_traceroute": False},
        "filter host0/tc_egress: the inventory no longer names it",
    ),
    "unrestored": (
        {"pingkiller_persist": False},
        "the command pingkiller is there, the inventory wants no filter restored",
    ),
    "misspelt": (
        {"pingkiller_polcy": "drop"},
        "refused: pingkiller_polcy of misspelt is no variable of this role (did you",
    ),
    "hasty": (
        {"pingkiller_metrics_interval": "1s"},
        'refused: pingkiller_metrics_interval of hasty is "1s", which is out of range',
    ),
    "unkept": (
        {"pingkiller_metrics": True, "pingkiller_persist": False},
        "refused: pingkiller_metrics of unkept is true and pingkiller_persist is false",
    ),
    "interval": (
        {"pingkiller_metrics": True, "pingkiller_metrics_interval": "often"},
        'refused: pingkiller_metrics_interval of interval is "often", which is not a duration',
    ),
    "flag": (
        {"pingkiller_hide_from_traceroute": "perhaps"},
        'refused: pingkiller_hide_from_traceroute of flag is "perhaps", which is neither true nor false',
    ),
    "nowhere": (
        {"pingkiller_interfaces": ["eth9"]},
        "refused: interface 'eth9' does not exist on this host: use one of",
    ),
    "full": ({"pingkiller_max_entries": 1}, "refused: max_entries=1 is less than the"),
    "gone": ({"pingkiller_state": "absent"}, "filter host0: is still there, the inventory wants none"),
}
#: What somebody does on a host by hand.
BY_HAND = {
    "bravo": ("ip link set host0 xdp off", "filter host0: is not attached"),
    "charlie": ("pingkiller unblock 203.0.113.66 --any-owner", "blocklist: of the inventory's entries, 1 missing"),
    "delta": ("echo >>/etc/systemd/system/pingkiller.service", "pingkiller.service is not as this version writes it"),
    "echo": ("rm /usr/local/sbin/pingkiller", "the command pingkiller is not as this version writes it"),
    "golf": (
        "touch /etc/systemd/system/pingkiller-metrics.timer",
        "pingkiller-metrics.timer is there, the inventory wants no metrics",
    ),
    "foxtrot": ("rm -r /etc/pingkiller", "allowlist: the inventory's list is not the one on the host"),
}
DEPLOYED = {"pingkiller_hide_from_traceroute": True, "pingkiller_blocklist": ["203.0.113.66", "203.0.113.67"]}
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - import_role: {name: pingkiller.fleet.pingkiller, tasks_from: status}
"""


def fleet(*arguments):
    command = [CHECKOUT / "tools/fleet", "--name", NAME, *arguments]
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def play(directory, hosts, *arguments):
    """Run a playbook on hosts, which are given with their variables."""
    found = yaml.safe_load((CHECKOUT / ".fleet" / NAME / "inventory.yml").read_text())["fleet"]
    connection = {name: value for name, value in found["vars"].items() if name.startswith("ansible_")}
    inventory = directory / "inventory.yml"
    inventory.write_text(json.dumps({"all": {"vars": {**connection, **DEPLOYED}, "hosts": hosts}}))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", inventory, "--forks", "6", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def hosts():
    """The addresses of deployed hosts, on which somebody has done things by hand."""
    booted = fleet("up", "--hosts", ",".join(["alpha", *BY_HAND]))
    assert booted.returncode == 0, booted.stderr
    found = yaml.safe_load((CHECKOUT / ".fleet" / NAME / "inventory.yml").read_text())["fleet"]["children"]
    yield {name: each["ansible_host"] for group in found.values() for name, each in group["hosts"].items()}
    fleet("down")


@pytest.fixture(scope="module")
def said(hosts, tmp_path_factory):
    """What the look and check mode said of each host: the drift, and whether check mode would change or refuse anything."""
    directory = tmp_path_factory.mktemp("status")
    real = {name: {"ansible_host": address} for name, address in hosts.items()}
    deployed = play(directory, real, "deploy-pingkiller.yml")
    assert "failed=1" not in deployed, deployed
    for host, (command, _sentence) in BY_HAND.items():
        assert fleet("exec", host, "sh", "-c", command).returncode == 0
    alpha = {name: {**real["alpha"], **variables} for name, (variables, _sentence) in INVENTORY.items()}
    asked = {**alpha, **{name: real[name] for name in BY_HAND}}
    checked = play(directory, asked, "deploy-pingkiller.yml", "--check")
    recap = dict(re.findall(r"^(\w+) +: (ok=.*)$", checked, re.MULTILINE))
    (directory / "status.yml").write_text(PLAY)
    looked = play(directory, asked, directory / "status.yml", "-v", "-e", "pingkiller_status_window=0")
    answers = {
        host: json.loads(answer) for host, answer in re.findall(r"^ok: \[(\w+)\] => (.*)$", looked, re.MULTILINE)
    }
    assert answers.keys() == recap.keys() == asked.keys(), checked + looked
    return {
        host: (answers[host]["status"]["drift"], re.search("(changed|failed)=[1-9]", recap[host]) is not None)
        for host in asked
    }


@pytest.mark.parametrize("host", [*INVENTORY, *BY_HAND])
def test_the_look_says_what_check_mode_says(said, host):
    drift, changes = said[host]
    assert bool(drift) == changes, drift
    (_, sentence) = {**INVENTORY, **BY_HAND}[host]
    assert any(sentence in each for each in drift) if sentence else drift == []
