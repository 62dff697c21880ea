# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with PingKiller, each with its own kernel."""

import json
import re
from pathlib import Path

import pytest

KERNELS = {"debian11": "5.10", "debian12": "6.1", "debian13": "6.12"}
SSH_CONFIG = "/var/lib/pingkiller-vm/molecule/ssh/config"
UP = json.loads(Path("/var/lib/pingkiller-vm/molecule/ports.json").read_text())
testinfra_hosts = [f"ssh://{name}?ssh_config={SSH_CONFIG}" for name in UP]

README = Path(__file__).resolve().parents[4] / "README.md"


@pytest.fixture
def name(host):
    return host.backend.get_hostname()


@pytest.fixture(scope="module")
def all_facts(everywhere, facts_of):
    return everywhere(facts_of)


@pytest.fixture
def facts(all_facts, name):
    """The facts of a machine."""
    return all_facts[name]


@pytest.fixture
def attached(facts):
    """The only filter of a machine."""
    (filter_,) = facts["filters"].values()
    return filter_


def test_kernel_is_the_one_that_the_release_came_with(host, name):
    assert host.check_output("uname -r").startswith(KERNELS[name] + ".")


def test_filter_runs_in_the_driver_of_the_interface_of_the_default_route(host, facts):
    assert list(facts["filters"]) == ["eth1"]
    attached = facts["filters"]["eth1"]
    link = json.loads(host.check_output("ip -j -d link show dev eth1"))[0]
    assert (attached["mode"], attached["mode_reason"]) == ("native", None)
    assert link["xdp"]["mode"] == 1  # iproute2's number of native mode
    assert attached["program"]["id"] == link["xdp"]["prog"]["id"]


def test_facts_list_what_the_inventory_says(name, facts):
    lists = facts["lists"]
    own = f"203.0.113.{name.removeprefix('debian')}"
    assert {entry["ip"] for entry in lists["blocklist"]["entries"]} == {
        "203.0.113.66",
        "2001:db8:bad::/48",
        "198.51.100.0/24",
        own,
    }
    assert [entry["ip"] for entry in lists["allowlist"]["entries"]] == ["198.51.100.10"]


def test_listed_sources_are_refused_and_all_others_answered(everywhere, answered):
    expected = ("203.0.113.5", "2001:db8::5", "198.51.100.10")
    refused = ("203.0.113.66", "2001:db8:bad::66", "198.51.100.7")

    def look(host):
        return answered(host, expected, (*refused, f"203.0.113.{host.removeprefix('debian')}"))

    assert set(map(tuple, everywhere(look).values())) == {expected}


def test_facts_count_exactly_the_packets_that_were_sent(everywhere, facts_of, ping):
    before = everywhere(facts_of)
    everywhere(lambda host: ping("203.0.113.66", host, "-c", "20", "-i", "0.05"))
    frame = 14 + 20 + 8 + 56  # Ethernet, IPv4, ICMP, ping's payload
    for host, facts in everywhere(facts_of).items():
        counts, old = (each["filters"]["eth1"]["counters"]["dropped"] for each in (facts, before[host]))
        assert (counts["packets"] - old["packets"], counts["bytes"] - old["bytes"]) == (20, 20 * frame)


def test_each_subcommand_does_its_work(everywhere, shell, subcommands):
    for host, said in everywhere(lambda host: shell(host, subcommands)).items():
        *wrong, number = said.splitlines()
        assert (host, wrong) == (host, [])
        assert int(number) > 10


def test_readme_lists_this_release_as_tested_with_these_versions(host, name, attached):
    bcc = host.check_output("dpkg-query -W -f '${Version}' python3-bpfcc")
    python = host.check_output("python3 -V").split()[1]
    versions = [re.match(r"\d+\.\d+", version)[0] for version in (host.check_output("uname -r"), bcc, python)]
    row = " | ".join([f"Debian {name.removeprefix('debian')}", *versions])
    modes = re.search(rf"^\| {re.escape(row)} \| ([a-z, ]+) \|", README.read_text(), re.MULTILINE)[1]
    assert attached["mode"] in modes.split(", ")
