# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the blocklist and the allowlist by their modules."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import PING_BYTES, held, indexed, ping, program
from running import changed, facts, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf

NO_FILTER = "no filter is attached on this host, so nothing is dropped yet: attach one with xdp_filter"
EVERY_KIND = ["192.0.2.1", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"]


@pytest.fixture(params=["blocklist", "allowlist"])
def name(request):
    return request.param


@pytest.fixture
def module(name):
    return f"xdp_{name}"


def entry(name: str, address: str) -> dict:
    (found,) = (each for each in facts()["lists"][name]["entries"] if each["ip"] == address)
    return found


def test_addresses_come_as_a_list_and_as_a_string_with_commas(module, name):
    assert changed(module, ip="192.0.2.1, 192.0.2.2 ,2001:db8::1")["added_count"] == 3
    unchanged(module, ip=["192.0.2.2", "192.0.2.1", "2001:db8::1"])
    assert indexed(name) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}


def test_one_address_written_in_several_ways_is_one_entry(module, name):
    result = changed(module, ip="::ffff:192.0.2.1,192.0.2.1/32,192.0.2.1,2001:DB8::1/128,2001:db8:0::1")
    assert result["added"] == ["192.0.2.1", "2001:db8::1"]
    assert result["count"] == 2
    assert indexed(name) == {"192.0.2.1", "2001:db8::1"}
    assert changed(module, ip="::ffff:192.0.2.1/128", state="absent")["removed"] == ["192.0.2.1"]


def test_each_list_is_for_itself(module, name):
    (other,) = {"blocklist", "allowlist"} - {name}
    changed(module, ip="192.0.2.1")
    assert held() == {name: ["192.0.2.1 direction=src owner=adhoc"], other: []}
    unchanged(f"xdp_{other}", ip="192.0.2.1", state="absent")


def test_a_network_and_the_addresses_in_it_are_entries_of_their_own(module, name):
    nested = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0", "::/0", "2001:db8::/32", "2001:db8::"]
    changed(module, ip=nested)
    changed(module, ip="10.0.0.0/8,::/0,10.0.0.0", state="absent")
    assert indexed(name) == {"0.0.0.0/0", "10.0.0.0/9", "2001:db8::/32", "2001:db8::"}
    unchanged(module, ip="10.0.0.0/8,2001::/16", state="absent")


def test_a_list_is_kept_where_no_filter_is_and_says_so(module):
    assert changed(module, ip="192.0.2.1")["warnings"] == [NO_FILTER]
    assert unchanged(module, ip="192.0.2.1")["warnings"] == [NO_FILTER]
    assert changed(module, ip="192.0.2.1", state="absent")["warnings"] == []


def test_a_list_is_in_force_as_soon_as_there_is_a_filter():
    changed("xdp_blocklist", ip="192.0.2.1,198.51.100.0/24")
    changed("xdp_filter", interface="pk0")
    assert [ping("pk0", source) for source in ("192.0.2.1", "198.51.100.9", "192.0.2.2")] == ["drop", "drop", "pass"]


def test_a_change_is_in_force_without_another_program(filtered):
    running = program(filtered)
    assert changed("xdp_blocklist", ip="192.0.2.1")["warnings"] == []
    assert ping(filtered, "192.0.2.1") == "drop"
    changed("xdp_allowlist", ip="192.0.2.0/24")
    assert ping(filtered, "192.0.2.1") == "pass"
    changed("xdp_allowlist", ip="192.0.2.0/24", state="absent")
    assert ping(filtered, "192.0.2.1") == "drop"
    changed("xdp_blocklist", ip="192.0.2.1", direction="dst")
    assert ping(filtered, "192.0.2.1") == "pass"
    changed("xdp_blocklist", ip="192.0.2.1", direction="both")
    assert ping(filtered, "192.0.2.1") == "drop"
    changed("xdp_blocklist", ip="192.0.2.1", state="absent")
    assert ping(filtered, "192.0.2.1") == "pass"
    assert program(filtered) == running


def test_an_exact_list_leaves_alone_what_others_want(module, name):
    changed(module, ip="192.0.2.1,192.0.2.2", owner="inventory", exclusive=True)
    changed(module, ip="192.0.2.2,192.0.2.3")
    changed(module, ip="192.0.2.4", owner="inventory", exclusive=True)
    assert held()[name] == [
        "192.0.2.2 direction=src owner=adhoc",
        "192.0.2.3 direction=src owner=adhoc",
        "192.0.2.4 direction=src owner=inventory",
    ]
    changed(module, content="", owner="inventory", exclusive=True)
    assert indexed(name) == {"192.0.2.2", "192.0.2.3"}


def test_an_entry_of_several_owners_stays_until_the_last_lets_go(module, name):
    changed(module, ip="192.0.2.1", owner="inventory")
    assert changed(module, ip="192.0.2.1")["updated"] == ["192.0.2.1"]
    assert entry(name, "192.0.2.1")["owners"] == ["adhoc", "inventory"]
    assert changed(module, ip="192.0.2.1", state="absent")["warnings"] == [
        f"192.0.2.1: still on the {name} for inventory; name the owner to remove it, or set any_owner=true"
    ]
    assert entry(name, "192.0.2.1")["owners"] == ["inventory"]
    kept = unchanged(module, ip="192.0.2.1", state="absent")
    assert kept["warnings"] == [
        f"192.0.2.1: still on the {name} for inventory; name the owner to remove it, or set any_owner=true"
    ]
    assert changed(module, ip="192.0.2.1", state="absent", owner="inventory")["removed"] == ["192.0.2.1"]
    assert held()[name] == []


def test_an_entry_is_handed_over_with_its_counts_and_stays_in_force_throughout(filtered):
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2", direction="both", ttl="1h")
    ping(filtered, "192.0.2.1", 5)
    handed_over = {"ip": "192.0.2.1,192.0.2.3", "owner": "inventory", "from_owner": "adhoc"}
    result = changed("xdp_blocklist", **handed_over)
    assert (result["updated"], result["added"], result["removed"]) == (["192.0.2.1"], ["192.0.2.3"], [])
    assert result["diff"]["before"].startswith("192.0.2.1 direction=both owner=adhoc until=")
    assert result["diff"]["after"].startswith("192.0.2.1 direction=src owner=inventory\n")
    taken = entry("blocklist", "192.0.2.1")
    assert (taken["owners"], taken["packets"], taken["expires_in"]) == (["inventory"], 5, None)
    assert entry("blocklist", "192.0.2.2")["owners"] == ["adhoc"]
    unchanged("xdp_blocklist", **handed_over)


def test_an_entry_of_several_owners_is_handed_over_by_the_one_that_was_named(module, name):
    for owner in ("one", "two", "three"):
        changed(module, ip="192.0.2.1,192.0.2.2", owner=owner)
    changed(module, ip="192.0.2.1", owner="two", from_owner="one")
    assert entry(name, "192.0.2.1")["owners"] == ["three", "two"]
    assert entry(name, "192.0.2.2")["owners"] == ["one", "three", "two"]


def test_an_exact_list_takes_over_what_it_names_and_nothing_else(module, name):
    changed(module, ip="192.0.2.1,192.0.2.2")
    changed(module, ip="192.0.2.3", owner="inventory")
    changed(module, ip="192.0.2.1", owner="inventory", from_owner="adhoc", exclusive=True)
    assert held()[name] == ["192.0.2.1 direction=src owner=inventory", "192.0.2.2 direction=src owner=adhoc"]


def test_several_owners_get_each_side_that_any_of_them_wants(filtered):
    changed("xdp_blocklist", ip="192.0.2.1", owner="one", direction="dst")
    assert ping(filtered, "192.0.2.1") == "pass"
    changed("xdp_blocklist", ip="192.0.2.1", owner="two", direction="src")
    assert ping(filtered, "192.0.2.1") == "drop"
    assert entry("blocklist", "192.0.2.1")["direction"] == "both"
    changed("xdp_blocklist", ip="192.0.2.1", owner="two", state="absent")
    assert entry("blocklist", "192.0.2.1")["direction"] == "dst"
    assert ping(filtered, "192.0.2.1") == "pass"


def test_an_entry_that_is_kept_keeps_its_counts(filtered):
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2")
    ping(filtered, "192.0.2.1", 5)
    changed("xdp_blocklist", ip="192.0.2.1", direction="both")
    changed("xdp_blocklist", ip="192.0.2.1", owner="inventory", exclusive=True)
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.3", exclusive=True)
    after = entry("blocklist", "192.0.2.1")
    assert after["owners"] == ["adhoc", "inventory"]
    assert (after["packets"], after["bytes"]) == (5, 5 * PING_BYTES)
    assert after["last_seen"]


def test_an_entry_that_comes_back_begins_to_count_anew(filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    ping(filtered, "192.0.2.1", 5)
    changed("xdp_blocklist", ip="192.0.2.1", state="absent")
    changed("xdp_blocklist", ip="192.0.2.1")
    assert entry("blocklist", "192.0.2.1")["packets"] == 0


def test_a_full_list_can_change_all_its_entries(module, name):
    changed("xdp_filter", interface="pk0", max_entries=4)
    changed(module, ip=EVERY_KIND)
    others = ["192.0.2.9", "198.51.0.0/16", "2001:db8::9", "2001:db8:9::/48"]
    result = changed(module, ip=others, exclusive=True)
    assert (result["added_count"], result["removed_count"], result["count"]) == (4, 4, 4)
    assert indexed(name) == set(others)


def test_many_entries_are_told_in_part_and_done_in_full(module, name, tmp_path):
    path = tmp_path / "list"
    path.write_text("".join(f"10.0.{number >> 8}.{number & 255}\n" for number in range(3000)))
    result = changed(module, src=str(path))
    assert (result["added_count"], len(result["added"]), result["count"]) == (3000, 1000, 3000)
    assert result["diff"]["after"].endswith("... and 2000 more changed entries\n")
    unchanged(module, src=str(path), exclusive=True)
    assert len(indexed(name)) == 3000


def test_a_list_can_hold_as_many_entries_as_were_asked_for_and_no_more(module):
    changed("xdp_filter", interface="pk0", max_entries=1000)
    full = [f"10.0.{number >> 8}.{number & 255}" for number in range(1000)]
    assert changed(module, ip=full)["count"] == 1000
    assert "would have 1001 entries and has room for 1000" in refused(module, ip="192.0.2.1")


def one_by_one():
    """Make the library work as on a kernel without batch operations."""
    bpf.Map._batch = lambda *_arguments: 0


def test_a_kernel_without_batch_operations_does_the_same(module, name):
    lists = EVERY_KIND + [f"10.0.0.{number}" for number in range(9)], EVERY_KIND + ["10.0.0.3", "10.1.0.0/16"]
    told, content = [], []
    for prepare in ((), (one_by_one,)):
        told.append([changed(module, *prepare, ip=each, exclusive=True, owner="o") for each in lists])
        content.append((held(), indexed(name)))
        changed(module, *prepare, content="", exclusive=True, owner="o")
        assert indexed(name) == set()
    assert told[0] == told[1]
    assert content[0] == content[1]


def test_two_runs_at_once_both_get_what_they_want(module, name):
    texts = [",".join(f"10.{run}.0.{number}" for number in range(50)) for run in range(4)]
    children = []
    for text in texts:
        children.append(os.fork())
        if not children[-1]:
            os._exit(run(module, ip=text)["added_count"] != 50)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert indexed(name) == set(",".join(texts).split(","))
    assert not os.path.exists("/run/pingkiller.lock")


POOL = [*EVERY_KIND, "198.51.0.0/16", "192.0.2.2", "2001:db8:1:2::/64", "0.0.0.0/0"]
changes = st.lists(
    st.tuples(
        st.lists(st.sampled_from(POOL), min_size=1, unique=True),
        st.sampled_from(["src", "dst", "both"]),
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from([{}, {"state": "absent"}, {"exclusive": True}]),
    ),
    max_size=6,
)


def wished(model: dict, entries, direction, owner, kind) -> dict:
    """Return the claims after one change: the direction by address and owner."""
    kept = {key: value for key, value in model.items() if key[1] != owner}
    mine = {key: value for key, value in model.items() if key[1] == owner}
    named = {(entry, owner): direction for entry in entries}
    if "state" in kind:
        left = {("both", "src"): "dst", ("both", "dst"): "src", ("src", "dst"): "src", ("dst", "src"): "dst"}
        after = {key: left.get((value, named[key])) if key in named else value for key, value in mine.items()}
        return {**kept, **{key: value for key, value in after.items() if value}}
    return {**kept, **({} if "exclusive" in kind else mine), **named}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes)
def test_lists_in_the_kernel_hold_what_their_owners_wish(changes):
    run("xdp_filter", state="absent")
    model: dict = {}
    for entries, direction, owner, kind in changes:
        model = wished(model, entries, direction, owner, kind)
        run("xdp_blocklist", ip=entries, direction=direction, owner=owner, **kind)
        assert held()["blocklist"] == sorted(
            f"{address} direction={direction} owner={owner}" for (address, owner), direction in model.items()
        )
        assert facts()["lists"]["blocklist"]["count"] == len({address for address, _owner in model})
