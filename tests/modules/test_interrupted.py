# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a kill at any point, the filter keeps working, and the next run reaches the requested state."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from machine import held, indexed, look, ping, program
from running import changed, facts, killed, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, compiler, netlink, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import (
    control,
    entry_list,
    filter_meta,
    host_maps,
    indexes,
    migration,
    owners,
    pins,
    records,
    repair,
    shared_claims,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

#: Functions that change something, by file: a kill in the middle of these could do harm.
CHANGING_LISTS = {
    entry_list.__file__: {"apply", "settle", "_add", "_update", "_remove", "_store_claims"},
    repair.__file__: {"repair", "_remove_dangling", "_follow_claims"},
    indexes.__file__: {"add", "remove"},
    shared_claims.__file__: {"store", "forget", "forget_strays"},
    records.__file__: {"fill", "edit", "free"},
    control.__file__: {"changing", "mark_dirty", "add", "add_matching", "recount"},
    owners.__file__: {"number"},
    bpf.__file__: {"update", "delete", "update_many", "delete_many"},
}
MAKING = {
    host_maps.__file__: {"create", "create_lists"},
    pins.__file__: {"prepare", "make_directory", "ensure", "enter_lists"},
    bpf.__file__: {"pin"},
    control.__file__: {"stamp"},
}
REMOVING = {pins.__file__: {"remove_all", "remove_lists", "remove_filter", "_unlink", "_rmdir"}}


#: A list of two owners, by owner and direction, and the change by one of them that has to be completed.
BEFORE = {
    ("inventory", "src"): ["192.0.2.1", "192.0.2.2", "192.0.2.3", "10.1.0.0/16", "2001:db8::1"],
    ("adhoc", "dst"): ["192.0.2.3", "192.0.2.4"],
}
EXACT = {
    "ip": ["192.0.2.2", "192.0.2.3", "192.0.2.5", "10.2.0.0/16", "2001:db8::2"],
    "direction": "both",
    "exclusive": True,
    "owner": "inventory",
}


def die(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_line(number: int, functions: dict):
    """Return a function that kills the process before the line of this number that it runs in these functions."""

    def trace(frame, event, _argument):
        nonlocal number
        if frame.f_code.co_name not in functions.get(frame.f_code.co_filename, ()):
            return None
        number -= event == "line"
        if number < 0:
            die()
        return trace

    return lambda: sys.settrace(trace)


def die_instead_of(holder, name: str, times: int = 1):
    """Return a function that kills the process at its first call of a function, or at a later one."""

    def prepare():
        right, left = getattr(holder, name), times

        def instead(*arguments, **options):
            nonlocal left
            left -= 1
            return right(*arguments, **options) if left else die()

        setattr(holder, name, instead)

    return prepare


def every_kill(functions: dict, stride: int):
    """Yield kills at later and later lines; the caller stops when a module has ended without a kill."""
    for number in range(0, 500 * stride, stride):
        yield die_at_line(number, functions)
    raise AssertionError("the module never came to its end")


def remake_blocklist():
    """Leave only the entries of BEFORE on the host."""
    run("xdp_filter", state="absent")
    for (owner, direction), addresses in BEFORE.items():
        changed("xdp_blocklist", ip=addresses, owner=owner, direction=direction)


def assert_whole(name: str):
    """Check that the entries held, the entries that the filter finds, and the count agree."""
    with entry_list.opened_list(Pins(DEFAULT_BASE), name) as entries:
        slots = list(entries.slots())
        keys = {entries.records.key(slot) for slot in slots}
        assert len(keys) == len(slots) == entries.count
        assert all(entries.slot_of(entries.records.key(slot)) == slot for slot in slots)
    assert indexed(name) == {line.split()[0] for line in held()[name]}


def test_a_killed_change_of_a_list_is_completed_by_the_next_run():
    remake_blocklist()
    changed("xdp_blocklist", **EXACT)
    wanted = held()["blocklist"]
    for kill in every_kill(CHANGING_LISTS, stride=23):
        remake_blocklist()
        was_killed = killed("xdp_blocklist", kill, **EXACT)
        run("xdp_blocklist", **EXACT)
        assert held()["blocklist"] == wanted
        assert_whole("blocklist")
        unchanged("xdp_blocklist", **EXACT)
        if not was_killed:
            break


def test_a_change_of_one_list_does_not_hide_that_the_other_was_interrupted():
    for kill in every_kill(CHANGING_LISTS, stride=41):
        remake_blocklist()
        was_killed = killed("xdp_blocklist", kill, **EXACT)
        run("xdp_allowlist", ip="192.0.2.77")
        for _time in range(2):
            run("xdp_blocklist", **EXACT)
        assert_whole("blocklist")
        if not was_killed:
            break


def test_a_killed_removal_does_not_leave_a_list_full():
    changed("xdp_filter", interface="pk0", max_entries=4)
    full, others = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], ["192.0.2.5", "192.0.2.6", "192.0.2.7"]
    for kill in every_kill(CHANGING_LISTS, stride=17):
        run("xdp_blocklist", ip=full, exclusive=True)
        was_killed = killed("xdp_blocklist", kill, ip=full, state="absent")
        if not indexed("blocklist"):
            changed("xdp_blocklist", ip=others)
            assert_whole("blocklist")
        if not was_killed:
            break


def test_what_stays_blocked_is_blocked_wherever_a_change_is_killed(filtered):
    before, after = ["192.0.2.1", "192.0.2.2", "198.51.100.0/24"], ["192.0.2.2", "198.51.100.0/24", "192.0.2.3"]
    for kill in every_kill(CHANGING_LISTS, stride=23):
        for _time in range(3):
            run("xdp_blocklist", ip=before, exclusive=True)
        was_killed = killed("xdp_blocklist", kill, ip=after, exclusive=True, direction="both")
        assert [ping(filtered, source) for source in ("192.0.2.2", "198.51.100.9", "192.0.2.9")] == [
            "drop",
            "drop",
            "pass",
        ]
        if not was_killed:
            break


def test_what_is_blocked_is_blocked_wherever_a_repair_is_killed(filtered):
    changed("xdp_blocklist", ip="192.0.2.1,198.51.100.0/24")
    changed("xdp_blocklist", ip="192.0.2.1", owner="feed", direction="dst")
    for kill in every_kill(CHANGING_LISTS, stride=5):
        with entry_list.opened_list(Pins(DEFAULT_BASE), "blocklist") as entries:
            for name in schema.LISTS:
                entries.control.mark_dirty(name)
        was_killed = killed("xdp_blocklist", kill, ip="192.0.2.1,192.0.2.2")
        assert [ping(filtered, source) for source in ("192.0.2.1", "198.51.100.9")] == ["drop", "drop"]
        if not was_killed:
            break


def test_a_killed_first_run_is_completed_by_the_next_one():
    for kill in every_kill(MAKING, stride=13):
        run("xdp_filter", state="absent")
        was_killed = killed("xdp_blocklist", kill, ip="192.0.2.1")
        changed("xdp_blocklist", ip="192.0.2.2")
        run("xdp_blocklist", ip="192.0.2.1")
        assert indexed("blocklist") == {"192.0.2.1", "192.0.2.2"}
        assert_whole("blocklist")
        assert_whole("allowlist")
        if not was_killed:
            break


def test_a_killed_removal_is_completed_by_the_next_one():
    untouched = look()
    for kill in every_kill(REMOVING, stride=7):
        changed("xdp_blocklist", ip="192.0.2.1")
        was_killed = killed("xdp_filter", kill, state="absent")
        run("xdp_filter", state="absent")
        assert look() == {**untouched, "run": []}
        if not was_killed:
            break


def test_a_host_that_is_half_removed_can_be_used_again():
    for kill in every_kill(REMOVING, stride=11):
        changed("xdp_blocklist", ip="192.0.2.1")
        was_killed = killed("xdp_filter", kill, state="absent")
        run("xdp_blocklist", ip="192.0.2.2")
        assert "192.0.2.2" in indexed("blocklist")
        run("xdp_filter", state="absent")
        if not was_killed:
            break


@pytest.mark.parametrize("kill", [die_instead_of(compiler, "attach"), die_instead_of(filter_meta, "store")])
def test_a_killed_attachment_is_completed_by_the_next_run(kill):
    changed("xdp_blocklist", ip="192.0.2.1")
    assert killed("xdp_filter", kill, interface="pk0")
    facts()
    changed("xdp_filter", interface="pk0")
    assert ping("pk0", "192.0.2.1") == "drop"
    unchanged("xdp_filter", interface="pk0")


@pytest.mark.parametrize("kill", [die_instead_of(netlink, "replace_xdp"), die_instead_of(filter_meta, "store")])
def test_a_killed_replacement_leaves_a_filter_that_works_and_is_completed(filtered, kill):
    changed("xdp_blocklist", ip="192.0.2.1")
    assert killed("xdp_filter", kill, interface=filtered, policy="drop")
    assert ping(filtered, "192.0.2.1") == "drop"
    changed("xdp_filter", interface=filtered, policy="drop")
    assert ping(filtered, "192.0.2.2") == "drop"
    assert facts()["filters"][filtered]["options"]["policy"] == "drop"
    unchanged("xdp_filter", interface=filtered, policy="drop")


@pytest.mark.parametrize(
    "kill",
    [
        die_instead_of(entry_list.EntryList, "copy_from"),
        die_instead_of(Pins, "swap"),
        die_instead_of(pins.os, "rename", times=3),
        die_instead_of(netlink, "replace_xdp"),
        die_instead_of(bpf, "wait_for_programs"),
        die_instead_of(migration, "carry_counts"),
        die_instead_of(Pins, "discard_old"),
    ],
)
def test_a_killed_change_of_size_leaves_a_filter_that_works_and_is_completed(filtered, kill):
    changed("xdp_blocklist", ip="192.0.2.1")
    assert killed("xdp_filter", kill, interface=filtered, max_entries=10)
    assert ping(filtered, "192.0.2.1") == "drop"
    result = run("xdp_filter", interface=filtered, max_entries=10)
    assert not result.get("failed"), result
    told = facts()["lists"]["blocklist"]
    assert (told["capacity"], told["count"]) == (10, 1)
    assert ping(filtered, "192.0.2.1") == "drop"
    changed("xdp_blocklist", ip="192.0.2.2")
    assert ping(filtered, "192.0.2.2") == "drop"
    unchanged("xdp_filter", interface=filtered, max_entries=10)
    assert {"lists", "filters"} == {
        name for name in os.listdir(DEFAULT_BASE) if os.path.isdir(f"{DEFAULT_BASE}/{name}")
    }


def test_lists_that_a_filter_does_not_read_are_said():
    """The state between two runs: the first was killed, the second has not started."""
    changed("xdp_filter", interface="pk0,pk1")
    assert killed("xdp_filter", die_instead_of(netlink, "replace_xdp", times=2), interface="pk0", max_entries=10)
    assert changed("xdp_blocklist", ip="192.0.2.1")["warnings"] == [
        "the filter on pk1 reads other lists, of an interrupted change or of another mount namespace: run xdp_filter again"
    ]


def test_a_change_of_size_that_only_some_filters_have_seen_is_completed_for_all_with_every_count():
    changed("xdp_filter", interface="pk0,pk1", policy="drop")
    changed("xdp_blocklist", ip="192.0.2.1")
    ping("pk1", "192.0.2.1", 5)
    assert killed("xdp_filter", die_instead_of(netlink, "replace_xdp", times=2), interface="pk0", max_entries=10)
    ping("pk0", "192.0.2.1", 3)
    ping("pk1", "192.0.2.1", 4)
    changed("xdp_allowlist", ip="192.0.2.9")
    changed("xdp_filter", interface="pk0", policy="drop")
    assert ping("pk1", "192.0.2.9") == "pass"
    assert [entry["packets"] for entry in facts()["lists"]["blocklist"]["top"]] == [12]
    unchanged("xdp_filter", interface="pk0,pk1", policy="drop")


@pytest.mark.parametrize("interface", [None, "pk0"])
@pytest.mark.parametrize("kill", [die_instead_of(netlink, "detach_xdp"), die_instead_of(Pins, "remove_filter")])
def test_a_killed_removal_of_a_filter_is_completed_by_the_next_one(filtered, kill, interface):
    named = {"interface": interface} if interface else {}
    assert killed("xdp_filter", kill, state="absent", **named)
    changed("xdp_filter", state="absent", **named)
    assert not program(filtered)
    assert facts()["filters"] == {}
    unchanged("xdp_filter", state="absent", **named)


def test_the_lock_of_a_killed_run_holds_nobody_up():
    assert killed("xdp_blocklist", die_instead_of(host_maps, "create"), ip="192.0.2.1")
    assert os.path.exists("/run/pingkiller.lock")
    changed("xdp_blocklist", ip="192.0.2.1", lock_timeout=0)
    assert not os.path.exists("/run/pingkiller.lock")


def test_a_record_that_no_index_names_is_cleared_away():
    changed("xdp_blocklist", ip="192.0.2.1")
    with entry_list.opened_list(Pins(DEFAULT_BASE), "blocklist") as entries:
        entries.control.mark_dirty("blocklist")
        entries.records.fill([range(7, 8)], [b"\xc0\x00\x02\x63"], untils=(schema.FOREVER, 0), owner=1)
    changed("xdp_blocklist", ip="192.0.2.2")
    assert held()["blocklist"] == ["192.0.2.1 direction=src owner=adhoc", "192.0.2.2 direction=src owner=adhoc"]
    assert_whole("blocklist")
