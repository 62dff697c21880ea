# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All names of an interface, and all routes over it, stand for the same interface."""

from __future__ import annotations

import os
import subprocess

import pytest
from machine import DEFAULT_BASE, ip, ping, program
from running import SOURCES, changed, facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot import restore
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot.run import Outcome
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli, runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import filter_owners
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import netlink
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

SHORT, LONG = "enp1s0", "an-alternative-name-longer-than-names"


@pytest.fixture(autouse=True)
def alternative_names(machine):
    for name in (SHORT, LONG):
        ip("link", "property", "add", "dev", "pk0", "altname", name)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "pingkiller"))


@pytest.mark.parametrize("name", [SHORT, LONG])
def test_an_alternative_name_is_the_interface_itself(name):
    assert list(changed("xdp_filter", interface=name, policy="drop")["filters"]) == ["pk0"]
    assert list(facts()["filters"]) == ["pk0"]
    unchanged("xdp_filter", interface="pk0", policy="drop")
    before = program("pk0")
    changed("xdp_filter", interface=name, policy="pass")
    assert program("pk0") != before
    assert list(facts()["filters"]) == ["pk0"]
    assert changed("xdp_filter", interface=name, state="absent")["removed"] == ["pk0"]
    assert not program("pk0")


def test_two_names_of_one_interface_are_one():
    assert list(run("xdp_filter", interface=f"{LONG},pk0,{SHORT}", check=True)["filters"]) == ["pk0"]
    assert list(changed("xdp_filter", interface=f"{LONG},pk0,{SHORT}")["filters"]) == ["pk0"]


def test_who_wants_a_filter_is_known_by_the_name_that_its_interface_has_now(store):
    """``owned`` has the current names, so a removal of the owner's other filters keeps the one just attached."""
    wanted_of = {"owner": "inventory", "config_dir": store.directory}
    changed("xdp_filter", interface="pk0", **wanted_of)
    store.write("owners", {SHORT: "inventory"})  # the interface's name when the filter was attached
    prediction = run("xdp_filter", check=True, interface="pk0", **wanted_of)
    assert prediction["owned"] == changed("xdp_filter", interface="pk0", **wanted_of)["owned"] == ["pk0"]
    assert filter_owners.owners(store) == {"pk0": "inventory"}
    unchanged("xdp_filter", interface="pk0", **wanted_of)


def test_pins_under_an_alternative_name_become_those_of_the_interface(filtered):
    """An earlier version left such pins: it took the alternative name for another interface."""
    pins = Pins(DEFAULT_BASE)
    os.rename(pins.filter_pin(filtered), pins.filter_pin(SHORT))
    assert (
        "the interface of the filter enp1s0 was renamed: it is pk0 now"
        in changed("xdp_blocklist", ip="192.0.2.1")["warnings"][0]
    )
    assert list(facts()["filters"]) == ["pk0"]
    unchanged("xdp_filter", interface=SHORT)


def test_what_is_restored_at_boot_has_the_own_name(store):
    changed("xdp_filter", interface=SHORT, policy="drop", persist=True, config_dir=store.directory)
    assert store.names("filters") == ["pk0"]
    changed("xdp_filter", interface=LONG, state="absent", config_dir=store.directory)
    assert store.names("filters") == []


def test_a_filter_that_was_noted_before_its_interface_was_renamed_comes_back_once(store):
    changed("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=store.directory)
    changed("xdp_filter", interface="pk0", state="absent")
    ip("link", "property", "add", "dev", "pk0", "altname", "old0")
    os.rename(store.path("filters/pk0"), store.path("filters/old0"))
    outcome = restore.restore(store, SOURCES, interface=LONG)
    assert outcome.changed == []  # no note is named pk0
    assert restore.restore(store, SOURCES).changed == ["filter on pk0"]
    assert ping("pk0", "192.0.2.1") == "drop"
    assert restore.restore(store, SOURCES, check=True) == Outcome(
        changed=[], absent=[], warnings=[], errors=[], lost=[]
    )
    changed("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=store.directory)
    assert store.names("filters") == ["pk0"]


def test_two_notes_on_one_interface_are_told_apart_by_a_sentence(store):
    changed("xdp_filter", interface="pk0", persist=True, config_dir=store.directory)
    store.write(f"filters/{SHORT}", {"xdp": {"policy": "drop"}})
    outcome = restore.restore(store, SOURCES)
    assert outcome.changed == []
    assert outcome.errors == [
        f"{store.path(f'filters/{SHORT}')} is about the interface pk0, which also has a file under its own name: remove "
        f"{store.path(f'filters/{SHORT}')}"
    ]


def test_the_command_takes_any_name(store, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "sources", lambda: SOURCES)
    changed("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=store.directory)
    ip("link", "set", "dev", "pk0", "xdp", "off")
    assert cli.main(["apply", "--config", store.directory, "--interface", LONG]) == 0
    assert capsys.readouterr().out == "restored: filter on pk0\n"
    assert program("pk0")


# Default routes


def addresses(*interfaces: str):
    for number, interface in enumerate(interfaces, 1):
        ip("link", "set", interface, "up")
        ip("addr", "add", f"192.0.{number}.1/24", "dev", interface)
        ip("addr", "add", f"2001:db8:{number}::1/64", "dev", interface, "nodad")


def defaults(*routes: str) -> list[str]:
    """Add routes; return the interfaces that a filter gets if the task names none."""
    addresses("pk0", "pk1")
    for route in routes:
        ip(*route.split())
    return list(run("xdp_filter", check=True).get("filters", []))


A, B = "via 192.0.1.9 dev pk0", "via 192.0.2.9 dev pk1"


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([f"route add default nexthop {A} nexthop {B}"], ["pk0", "pk1"]),
        ([f"route add default nexthop {B} nexthop {A}"], ["pk0", "pk1"]),
        ([f"nexthop add id 1 {B}", "route add default nhid 1"], ["pk1"]),
        (
            [
                f"nexthop add id 1 {B}",
                f"nexthop add id 2 {A}",
                "nexthop add id 3 group 1/2",
                "route add default nhid 3",
            ],
            ["pk0", "pk1"],
        ),
        ([f"route add default {A}", "-6 route add default via 2001:db8:2::9 dev pk1"], ["pk0", "pk1"]),
        (["-6 route add default nexthop via 2001:db8:2::9 dev pk1 nexthop via 2001:db8:1::9 dev pk0"], ["pk0", "pk1"]),
        ([f"route add default {A} metric 100", f"route add default {B} metric 200"], ["pk0"]),
        ([f"route add default {A} metric 100", "route add unreachable default metric 10"], ["pk0"]),
        (["route add blackhole default", f"route add default {B} table 100"], []),
        (["-6 route add prohibit default", "route add throw default"], []),
        ([f"route add 0.0.0.0/1 {A}", f"route add 128.0.0.0/1 {B}"], []),
    ],
)
def test_a_filter_without_a_named_interface_is_wherever_the_default_routes_lead(routes, expected):
    assert defaults(*routes) == expected


def test_a_next_hop_object_is_followed_where_the_kernel_names_no_more_of_it(machine):
    subprocess.run(["sysctl", "-qw", "net.ipv4.nexthop_compat_mode=0"], check=True)
    objects = [f"nexthop add id 1 {B}", f"nexthop add id 2 {A}", "nexthop add id 3 group 1/2"]
    assert defaults(*objects, "route add default nhid 3") == ["pk0", "pk1"]


def test_a_blocked_source_is_dropped_at_every_next_hop():
    addresses("pk0", "pk1")
    ip("route", "add", "default", *f"nexthop {A} nexthop {B}".split())
    changed("xdp_filter")
    changed("xdp_blocklist", ip="203.0.113.1")
    assert [ping(name, "203.0.113.1") for name in ("pk0", "pk1")] == ["drop", "drop"]
    assert not netlink.link("lo").programs
