"""What is on machines that PingKiller is deployed to, each with its own kernel."""

import json
import re
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://fleet"]

README = Path(__file__).resolve().parents[4] / "README.md"
KERNELS = {"debian11": "5.10", "debian12": "6.1", "debian13": "6.12"}


@pytest.fixture
def attached(facts):
    """The one filter of a machine."""
    (filter_,) = facts()["filters"].values()
    return filter_


def test_kernel_is_the_one_that_the_release_came_with(host, name):
    assert host.check_output("uname -r").startswith(KERNELS[name] + ".")


def test_filter_runs_in_the_driver_of_the_interface_of_the_default_route(host, facts):
    assert list(facts()["filters"]) == ["eth1"]
    attached = facts()["filters"]["eth1"]
    link = json.loads(host.check_output("ip -j -d link show dev eth1"))[0]
    assert (attached["mode"], attached["mode_reason"]) == ("native", None)
    assert link["xdp"]["mode"] == 1  # what iproute2 calls the driver's
    assert attached["program"]["id"] == link["xdp"]["prog"]["id"]


def test_facts_list_what_the_inventory_says(name, facts):
    lists = facts()["lists"]
    own = f"203.0.113.{name.removeprefix('debian')}"
    assert {entry["ip"] for entry in lists["blocklist"]["entries"]} == {
        "203.0.113.66",
        "2001:db8:bad::/48",
        "198.51.100.0/24",
        own,
    }
    assert [entry["ip"] for entry in lists["allowlist"]["entries"]] == ["198.51.100.10"]


def test_listed_sources_are_refused_and_all_others_answered(name, answered):
    own = f"203.0.113.{name.removeprefix('debian')}"
    expected = ("203.0.113.5", "2001:db8::5", "198.51.100.10")
    assert answered(name, expected, ("203.0.113.66", "2001:db8:bad::66", "198.51.100.7", own)) == list(expected)


def test_facts_count_exactly_the_packets_that_were_sent(name, facts, ping):
    def dropped():
        return facts()["filters"]["eth1"]["counters"]["dropped"]

    before = dropped()
    ping("203.0.113.66", name, "-c", "20", "-i", "0.05")
    after = dropped()
    frame = 14 + 20 + 8 + 56  # Ethernet, IPv4, ICMP, what ping sends
    assert after["packets"] - before["packets"] == 20
    assert after["bytes"] - before["bytes"] == 20 * frame


def test_readme_lists_this_release_as_tested_with_these_versions(host, name, attached):
    bcc = host.check_output("dpkg-query -W -f '${Version}' python3-bpfcc")
    python = host.check_output("python3 -V").split()[1]
    versions = [re.match(r"\d+\.\d+", version)[0] for version in (host.check_output("uname -r"), bcc, python)]
    row = [f"Debian {name.removeprefix('debian')}", *versions, attached["mode"]]
    assert f"| {' | '.join(row)} |" in README.read_text()
