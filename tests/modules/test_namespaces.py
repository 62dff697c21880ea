# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter's interface in another network namespace, or its pins in another mount namespace: messages are true."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess

import pytest
from machine import BPFFS, DEFAULT_BASE, held, ip, mount, ping, program, umount
from running import changed, facts, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import filter_programs
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

_CLONE_NEWNS = 0x00020000

# The interface of a filter is moved to another network namespace


@pytest.fixture
def away():
    """Another network namespace: the PID by which the command ip finds it."""
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()  # unshare has made the namespace
    yield str(process.pid)
    process.communicate()


@pytest.fixture
def moved(filtered, away):
    """Move a filter's interface to another network namespace; return the id of the filter's program."""
    changed("xdp_blocklist", ip="192.0.2.1")
    identity = program(filtered)
    ip("link", "set", filtered, "netns", away)
    return identity


def still_loaded(identity: int) -> str:
    return f"the program of the filter on pk0 (id {identity}) is still loaded, though on no interface of that name here"


def test_a_filter_that_was_moved_is_told_of_by_every_module(moved):
    said = still_loaded(moved)
    told = run("xdp_facts")
    assert told["ansible_facts"]["pingkiller"]["filters"]["pk0"]["mode"] == "none"
    for notes in (told["warnings"], told["ansible_facts"]["pingkiller"]["notes"]):
        assert [note.partition(":")[0] for note in notes] == [said]
    (warning,) = changed("xdp_blocklist", ip="192.0.2.2")["warnings"]
    assert warning.startswith(said)
    (warning,) = changed("xdp_blocklist", ip="192.0.2.2", state="absent")["warnings"]
    assert warning.startswith(said)


def test_the_command_tells_of_a_filter_that_was_moved(moved, tmp_path, capsys):
    assert cli.main(["status", "--config", str(tmp_path / "pingkiller")]) == 0
    assert f"note: {still_loaded(moved)}" in capsys.readouterr().out


def test_the_removal_of_a_filter_that_was_moved_changes_nothing_and_says_so_each_time(moved):
    for _again in range(2):
        result = unchanged("xdp_filter", state="absent", interface="pk0")
        assert result["removed"] == []
        assert result["diff"]["before"] == result["diff"]["after"]
        assert [note.partition(":")[0] for note in result["warnings"]] == [still_loaded(moved)]
    assert [note.partition(":")[0] for note in facts()["notes"]] == [still_loaded(moved)]


def test_the_removal_of_everything_never_calls_a_filter_removed_that_was_moved(moved):
    for check in (True, False):
        result = run("xdp_filter", state="absent", check=check, all=True)
        assert (result["changed"], result["removed"]) == (True, [])
        assert result["diff"]["before"]["filters"] == result["diff"]["after"]["filters"] != {}
        assert result["diff"]["after"]["lists"] == "absent"
        assert [note.partition(":")[0] for note in result["warnings"]] == [still_loaded(moved)]
    assert filter_programs.program_info(moved)
    assert not os.path.exists(DEFAULT_BASE)


def test_a_filter_that_was_moved_and_taken_off_there_can_be_removed(moved, away):
    unchanged("xdp_filter", state="absent", interface="pk0")
    subprocess.run(["nsenter", f"--net=/proc/{away}/ns/net", "ip", "link", "set", "pk0", "xdp", "off"], check=True)
    result = changed("xdp_filter", state="absent", interface="pk0")
    assert (result["removed"], result["warnings"]) == (["pk0"], [])
    assert not os.path.exists(Pins(DEFAULT_BASE).filter_pin("pk0"))


def test_a_filter_that_was_moved_is_found_again_where_it_comes_back(moved, away):
    changed("xdp_filter", state="absent", all=True)
    subprocess.run(
        ["nsenter", f"--net=/proc/{away}/ns/net", "ip", "link", "set", "pk0", "netns", str(os.getpid())], check=True
    )
    assert program("pk0") == moved
    assert changed("xdp_filter", state="absent", all=True)["removed"] == ["pk0"]
    assert not program("pk0")


def test_a_new_interface_of_the_name_gets_a_filter_and_the_old_one_is_told_of(moved):
    ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk2")
    (warning,) = changed("xdp_filter", interface="pk0")["warnings"]
    assert warning.startswith(still_loaded(moved))
    result = changed("xdp_filter", state="absent", interface="pk0")
    assert (result["removed"], len(result["warnings"])) == (["pk0"], 1)
    assert not program("pk0")
    unchanged("xdp_filter", state="absent", interface="pk0")


def test_a_filter_whose_interface_is_gone_is_not_said_to_go_on(filtered):
    changed("xdp_filter", interface=filtered, hook="tc_ingress")
    ip("link", "del", filtered)
    assert facts()["notes"] == []
    result = changed("xdp_filter", state="absent", all=True)
    assert (result["removed"], result["warnings"]) == (["pk0", "pk0/tc_ingress"], [])


# A run in another mount namespace, with a BPF file system of its own


def with_pins_of_its_own():
    """Give the process a BPF file system that no other process sees, as ``ip netns exec`` does."""
    assert ctypes.CDLL(None).unshare(_CLONE_NEWNS) == 0
    umount(BPFFS)
    mount("bpf", BPFFS)


def test_lists_that_another_run_moved_out_of_sight_are_those_that_are_shown_and_changed(filtered):
    changed("xdp_blocklist", ip="192.0.2.9")
    changed("xdp_filter", with_pins_of_its_own, interface=filtered, max_entries=1000)
    assert "reads other lists than those that are shown" in run("xdp_facts")["warnings"][0]
    for check in (True, False):
        result = run("xdp_blocklist", ip="192.0.2.1", check=check)
        assert check == bool(result.get("failed"))
        assert "the filter on pk0 reads" in (result["msg"] if check else result["warnings"][0])
    assert [ping(filtered, f"192.0.2.{host}") for host in (1, 9)] == ["drop", "drop"]
    assert held()["blocklist"] == ["192.0.2.1 direction=src owner=adhoc", "192.0.2.9 direction=src owner=adhoc"]
    told = facts()
    assert (told["lists"]["blocklist"]["capacity"], told["notes"]) == (1000, [])
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.9", state="absent")
    assert [ping(filtered, f"192.0.2.{host}") for host in (1, 9)] == ["pass", "pass"]
    unchanged("xdp_filter", interface=filtered)


def test_a_filter_whose_rate_limit_got_another_size_out_of_sight_is_taken_over_as_well(filtered):
    changed("xdp_filter", interface=filtered, ratelimit_pps=1, ratelimit_sources=100)
    wanted = {"interface": filtered, "ratelimit_pps": 1, "ratelimit_sources": 200}
    changed("xdp_filter", with_pins_of_its_own, **wanted, max_entries=1000)
    assert "what it reads is pinned there now" in changed("xdp_blocklist", ip="192.0.2.1")["warnings"][0]
    assert held()["blocklist"] == ["192.0.2.1 direction=src owner=adhoc"]
    unchanged("xdp_filter", **wanted)


def test_lists_that_somebody_removed_are_those_of_the_program_again(filtered):
    changed("xdp_blocklist", ip="192.0.2.9")
    shutil.rmtree(Pins(DEFAULT_BASE).host_pin("lists"))
    changed("xdp_blocklist", ip="192.0.2.1")
    assert [ping(filtered, f"192.0.2.{host}") for host in (1, 9)] == ["drop", "drop"]
    assert len(held()["blocklist"]) == 2


@pytest.mark.parametrize("pin", ["owners", "claims", "control"])
def test_a_pin_that_somebody_removed_is_made_again_from_the_program(filtered, pin):
    changed("xdp_blocklist", ip="192.0.2.9")
    changed("xdp_blocklist", ip="192.0.2.9", owner="feed")
    lists = held()
    os.unlink(Pins(DEFAULT_BASE).host_pin(pin))
    changed("xdp_blocklist", ip="192.0.2.1")
    assert lists["blocklist"][0] in held()["blocklist"]
    changed("xdp_blocklist", ip="192.0.2.1", state="absent")
    assert held() == lists
    assert ping(filtered, "192.0.2.9") == "drop"


def test_filters_that_read_different_lists_are_brought_together_before_a_list_changes(filtered):
    changed("xdp_filter", interface="pk1")
    changed("xdp_blocklist", ip="192.0.2.9")
    changed("xdp_filter", with_pins_of_its_own, interface=filtered, max_entries=1000)
    for wanted in ("present", "absent"):
        said = refused("xdp_blocklist", ip="192.0.2.1", state=wanted)
        assert said.startswith(f"the filter on pk0 reads other lists than those pinned at {DEFAULT_BASE}")
        assert said.endswith("run xdp_filter first, which makes all filters read the same lists")
    warnings = changed("xdp_filter", interface="pk1")["warnings"]
    assert "filters that read other lists read those pinned here now" in warnings[0]
    changed("xdp_blocklist", ip="192.0.2.1")
    for interface in (filtered, "pk1"):
        assert [ping(interface, f"192.0.2.{host}") for host in (1, 9)] == ["drop", "drop"]


def test_entries_are_removed_also_where_the_pins_are_out_of_sight(filtered):
    changed("xdp_blocklist", ip="192.0.2.9")
    changed("xdp_blocklist", with_pins_of_its_own, ip="192.0.2.9", state="absent")
    assert ping(filtered, "192.0.2.9") == "pass"


# Remains of an interrupted removal


def test_listening_where_an_interrupted_removal_left_the_events_is_refused_in_a_sentence(filtered):
    changed("xdp_filter", interface=filtered, events="dropped")
    pins = Pins(DEFAULT_BASE)
    events = pins.open_map(pins.host_pin("events"))
    changed("xdp_filter", state="absent", all=True)
    os.mkdir(pins.base, 0o700)
    with events:
        events.pin(pins.host_pin("events"))
    assert refused("xdp_events") == (
        "no filter on this host reports events: set events of xdp_filter to dropped, all_icmp or trace"
    )
