# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, programs and facts of a host with PingKiller."""

import json
import re

import pytest

testinfra_hosts = ["ansible://fleet"]


@pytest.fixture(scope="module")
def seen(facts):
    """The facts of a host after the deployment."""
    return facts()


def test_filter_is_attached_natively_to_the_interface_of_the_default_route(host, seen):
    (interface, attached), *others = seen["filters"].items()
    assert not others
    assert interface == host.check_output("ip route show default | grep -o 'dev [^ ]*' | cut -d' ' -f2")
    link = json.loads(host.check_output(f"ip -j -d link show dev {interface}"))[0]
    assert attached["mode"] == "native"
    assert attached["program"]["id"] == link["xdp"]["prog"]["id"]


def test_pins_are_for_root_only(host):
    assert host.file("/sys/fs/bpf/pingkiller").mode == 0o700
    assert host.file("/sys/fs/bpf/pingkiller").user == "root"


@pytest.mark.parametrize("unit", ["pingkiller.service", "pingkiller@host0.service"])
def test_units_have_of_roots_powers_what_it_takes_to_filter(host, unit):
    (exposure,) = re.findall(
        r"exposure level for \S+: (\d+\.\d)", host.check_output(f"systemd-analyze security --no-pager {unit}")
    )
    assert float(exposure) < 2.6
    shown = host.check_output(f"systemctl show {unit} --property=CapabilityBoundingSet,RequiresMountsFor,LoadState")
    assert sorted(shown.splitlines()) == [
        "CapabilityBoundingSet=cap_net_admin cap_sys_admin",
        "LoadState=loaded",
        "RequiresMountsFor=/etc/pingkiller",
    ]
    # This also reports directives that this systemd does not know.
    assert host.run(f"systemd-analyze verify {unit}").stderr == ""


def test_each_subcommand_does_its_work(on, name, subcommands):
    *wrong, number = on(name, "sh", "-c", subcommands).splitlines()
    assert wrong == []
    assert int(number) > 10


def test_wanted_lists_are_for_root_only(host):
    assert host.file("/etc/pingkiller").mode == 0o700
    for name in ("blocklist", "allowlist"):
        assert host.file(f"/etc/pingkiller/{name}").mode == 0o600


def test_wanted_list_says_where_each_entry_comes_from(host, name):
    lines = host.file("/etc/pingkiller/blocklist").content_string
    assert "pingkiller_blocklist_host" in lines
    assert ("pingkiller_blocklist_web" in lines) == (name != "charlie")
    assert ("pingkiller_blocklist_db" in lines) == (name == "charlie")
    assert "scans everybody every night" in lines


def test_facts_list_what_the_inventory_says_and_who_owns_it(name, seen):
    number = {"alpha": 11, "bravo": 12, "charlie": 13}[name]
    group = "192.0.2.0/24" if name == "charlie" else "198.51.100.0/24"
    lists = seen["lists"]
    blocklist = lists["blocklist"]
    assert {entry["ip"] for entry in blocklist["entries"]} == {
        "203.0.113.66",
        "2001:db8:bad::/48",
        group,
        f"203.0.113.{number}",
    }
    assert all(entry["owners"] == ["inventory"] for entry in blocklist["entries"])
    assert blocklist["count"] == 4
    assert [entry["ip"] for entry in lists["allowlist"]["entries"]] == ["198.51.100.10"]


def test_facts_count_exactly_the_packets_that_were_sent(name, facts, ping):
    dropped_before, entry_before = counters(facts(), "203.0.113.66")
    ping("203.0.113.66", name, "-c", "20", "-i", "0.01")
    dropped, entry = counters(facts(), "203.0.113.66")
    frame = 14 + 20 + 8 + 56  # Ethernet, IPv4, ICMP, ping's payload
    for before, after in ((dropped_before, dropped), (entry_before, entry)):
        assert after["packets"] - before["packets"] == 20
        assert after["bytes"] - before["bytes"] == 20 * frame


def counters(facts, ip):
    """Return what the only filter of a host dropped in total, and the blocklist's entry of an address."""
    (attached,) = facts["filters"].values()
    (entry,) = (entry for entry in facts["lists"]["blocklist"]["entries"] if entry["ip"] == ip)
    return attached["counters"]["dropped"], entry


def test_facts_are_the_same_in_check_mode(facts, module):
    normal, in_check_mode = facts(), module("xdp_facts", check=True)["ansible_facts"]["pingkiller"]
    assert in_check_mode["lists"] == normal["lists"]
    assert in_check_mode["filters"].keys() == normal["filters"].keys()
