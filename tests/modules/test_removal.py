# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal leaves no program, pin, directory or file, and removes nothing that belongs to others."""

from __future__ import annotations

import os
import time

import pytest
from machine import held, ip, look, ping, program, put_foreign_program
from running import changed, facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import filter_programs

BASE = "/sys/fs/bpf/pingkiller"


def wait_until_unloaded(identity: int):
    """Wait until the kernel has unloaded a program, some moments after its last use."""
    deadline = time.monotonic() + 10
    while filter_programs.program_info(identity):
        assert time.monotonic() < deadline, f"program {identity} is still loaded"
        time.sleep(0.01)


@pytest.fixture
def untouched():
    """The state of the machine before any change."""
    return look()


@pytest.fixture
def busy(untouched):
    """A host with two filters and lists of several owners."""
    changed("xdp_filter", interface="pk0,pk1")
    changed("xdp_blocklist", ip="192.0.2.1,198.51.100.0/24,2001:db8::/32")
    changed("xdp_blocklist", ip="192.0.2.1", owner="inventory")
    changed("xdp_allowlist", ip="192.0.2.7")


@pytest.mark.parametrize("interface", [None, "pk0,pk1"])
def test_a_removal_leaves_the_host_as_it_was(untouched, busy, interface):
    programs = [program(name) for name in ("pk0", "pk1")]
    if interface:
        assert changed("xdp_filter", state="absent", interface=interface)["removed"] == ["pk0", "pk1"]
    result = changed("xdp_filter", state="absent", all=True)
    assert "deprecations" not in result
    assert look() == untouched
    for identity in programs:
        wait_until_unloaded(identity)
    unchanged("xdp_filter", state="absent", all=True)


def test_a_removal_of_everything_without_saying_so_goes_on_to_work_and_is_deprecated(untouched, busy):
    (deprecation,) = changed("xdp_filter", state="absent")["deprecations"]
    assert "state: absent without interface removes everything from the host. Say so with all: true." in str(
        deprecation
    )
    assert "2.0.0" in str(deprecation)
    assert look() == untouched


def test_the_removal_of_a_named_filter_keeps_the_lists_and_the_others(busy):
    lists = held()
    assert changed("xdp_filter", state="absent", interface="pk0")["removed"] == ["pk0"]
    assert not program("pk0")
    assert ping("pk1", "192.0.2.1") == "drop"
    assert held() == lists
    assert list(facts()["filters"]) == ["pk1"]
    unchanged("xdp_filter", state="absent", interface="pk0")
    unchanged("xdp_filter", state="absent", interface="no-such-one")
    changed("xdp_filter", interface="pk0")
    assert ping("pk0", "192.0.2.1") == "drop"


def test_lists_without_a_filter_are_removed_as_well(untouched):
    changed("xdp_blocklist", ip="192.0.2.1")
    changed("xdp_filter", state="absent")
    assert look() == untouched


def test_removing_entries_leaves_an_empty_host_to_be_removed(untouched):
    changed("xdp_blocklist", ip="192.0.2.1")
    changed("xdp_blocklist", ip="192.0.2.1", state="absent")
    changed("xdp_filter", state="absent")
    assert look() == untouched


@pytest.mark.parametrize("arguments", [{}, {"interface": "pk0"}])
def test_a_filter_whose_interface_has_gone_is_removed(filtered, arguments):
    ip("link", "del", filtered)
    assert changed("xdp_filter", state="absent", **arguments)["removed"] == ["pk0"]
    assert facts()["filters"] == {}


def test_a_program_that_took_the_place_of_ours_is_left(filtered):
    ip("link", "set", "dev", filtered, "xdp", "off")
    foreign = put_foreign_program(filtered)
    assert changed("xdp_filter", state="absent")["removed"] == [filtered]
    assert program(filtered) == foreign.id
    assert not os.path.exists(BASE)


def test_pins_of_others_are_left_and_named(filtered):
    pin = f"{BASE}/somebody_else"
    bpf.Map.create("somebody_else", bpf.MapInfo(type=bpf.ARRAY, key_size=4, value_size=8, max_entries=1, flags=0)).pin(
        pin
    )
    before = look()
    said = run("xdp_filter", state="absent")["msg"]
    assert said.startswith(
        f"{pin} has a name that no pin of PingKiller's has, so that it is not PingKiller's: it was left "
    )
    assert look() == before
    assert program(filtered)
    os.unlink(pin)
    changed("xdp_filter", state="absent")
    assert not os.path.exists(BASE)


def test_a_removal_that_is_refused_forgets_nothing_of_what_is_wanted(tmp_path):
    config = tmp_path / "pingkiller"
    changed("xdp_filter", interface="pk0", persist=True, owner="inventory", config_dir=str(config))
    pin = f"{BASE}/lists/blocklist/records"
    os.unlink(pin)
    bpf.Map.create("somebody_else", bpf.MapInfo(type=bpf.ARRAY, key_size=4, value_size=8, max_entries=1, flags=0)).pin(
        pin
    )
    before = {str(path): path.read_bytes() for path in config.rglob("*") if path.is_file()}
    assert run("xdp_filter", state="absent", all=True, config_dir=str(config)).get("failed")
    assert program("pk0")
    assert {str(path): path.read_bytes() for path in config.rglob("*") if path.is_file()} == before != {}


def test_the_generic_filter_goes_as_well(untouched):
    changed("xdp_filter", interface="lo,pk0", mode="generic")
    changed("xdp_filter", state="absent")
    assert look() == untouched
