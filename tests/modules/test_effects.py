# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that have no effect, or another than expected, give a warning at once, in check mode as well."""

from __future__ import annotations

import pytest
from machine import BPFFS, held, indexed, ip, mount, ping, umount
from running import changed, facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

ADDRESS = "198.51.100.7"


def said(module: str, **arguments) -> list[str]:
    """Return the warnings of a run, which check mode must have predicted."""
    prediction = run(module, check=True, **arguments)
    result = run(module, **arguments)
    assert not result.get("failed"), result
    assert prediction["warnings"] == result["warnings"]
    assert prediction["changed"] == result["changed"]
    return result["warnings"]


def many(number: int) -> list[str]:
    return [f"10.0.{count >> 8}.{count & 255}" for count in range(number)]


def allowed(what: str, cover: str, owner: str = "adhoc") -> str:
    return f"{what}: not dropped, since {cover} on the allowlist (owner {owner}) wins over the blocklist"


# The allowlist


@pytest.mark.usefixtures("filtered")
def test_a_blocked_address_that_the_allowlist_covers_is_said_to_pass():
    changed("xdp_allowlist", ip="198.51.100.0/24", owner="inventory")
    for _again in range(2):
        assert said("xdp_blocklist", ip=ADDRESS) == [allowed(ADDRESS, "198.51.100.0/24", "inventory")]
    assert ping("pk0", ADDRESS) == "pass"
    assert said("xdp_blocklist", ip="198.51.0.0/16,192.0.2.1") == []


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize(
    ("allowlist", "blocked"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.0/24", "198.51.100.128/25"),
        ("2001:db8::/32", "2001:db8::1"),
        ("0.0.0.0/0", "198.51.100.7"),
    ],
)
def test_any_entry_of_the_allowlist_that_covers_one_is_named(allowlist, blocked):
    changed("xdp_allowlist", ip=allowlist)
    assert said("xdp_blocklist", ip=blocked) == [allowed(blocked, allowlist)]


@pytest.mark.usefixtures("filtered")
def test_an_entry_of_the_allowlist_for_the_other_direction_hides_no_wider_one():
    changed("xdp_allowlist", ip="198.51.100.0/24", direction="dst")
    assert said("xdp_blocklist", ip=ADDRESS) == []
    changed("xdp_allowlist", ip="198.51.0.0/16")
    assert said("xdp_blocklist", ip=ADDRESS) == [allowed(ADDRESS, "198.51.0.0/16")]


@pytest.mark.usefixtures("filtered")
def test_of_a_long_list_what_the_allowlist_covers_is_told_in_three_sentences_and_a_number():
    changed("xdp_allowlist", ip="10.0.1.0/24,10.0.2.0/30,10.0.3.1,10.0.4.0/24,10.0.5.0/24,2001:db8::/32")
    content = "\n".join([*many(1500), "10.0.4.0/25", "2001:db8::/48"])
    assert said("xdp_blocklist", content=content) == [
        allowed("10.0.1.0, 10.0.1.1, 10.0.1.2 and 253 more", "10.0.1.0/24"),
        allowed("10.0.2.0, 10.0.2.1, 10.0.2.2 and 1 more", "10.0.2.0/30"),
        allowed("10.0.3.1", "10.0.3.1"),
        "and for other reasons 478 more",
    ]


# Removals that leave an address in force


@pytest.mark.usefixtures("filtered")
def test_an_address_that_a_network_goes_on_blocking_is_said_to_be_blocked_with_the_way_out():
    changed("xdp_blocklist", ip="198.51.0.0/16", owner="feed")
    changed("xdp_blocklist", ip=ADDRESS)
    blocked = [
        f"{ADDRESS}: still blocked by 198.51.0.0/16 on the blocklist (owner feed); "
        f"let it pass with xdp_allowlist, or remove that"
    ]
    for _again in range(2):
        assert said("xdp_blocklist", ip=ADDRESS, state="absent") == blocked
    assert ping("pk0", ADDRESS) == "drop"
    changed("xdp_allowlist", ip=ADDRESS)
    assert said("xdp_blocklist", ip=ADDRESS, state="absent") == []
    assert ping("pk0", ADDRESS) == "pass"


@pytest.mark.usefixtures("filtered")
def test_nothing_is_said_of_what_leaves_a_long_list():
    changed("xdp_allowlist", ip=ADDRESS)
    changed("xdp_blocklist", content="\n".join([*many(1500), ADDRESS]), owner="feed", exclusive=True)
    assert said("xdp_blocklist", content="\n".join(many(1500)), owner="feed", exclusive=True) == []


def test_an_address_that_the_allowlist_goes_on_letting_through_is_said_to_pass():
    changed("xdp_allowlist", ip="198.51.0.0/16,198.51.100.7")
    assert said("xdp_allowlist", ip=ADDRESS, state="absent") == [
        f"{ADDRESS}: still let through by 198.51.0.0/16 on the allowlist (owner adhoc); remove that, too"
    ]
    assert said("xdp_allowlist", ip="198.51.0.0/16", state="absent") == []


def test_another_owner_that_keeps_an_entry_is_told_at_once():
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2", owner="inventory")
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2")
    for _again in range(2):
        assert said("xdp_blocklist", ip="192.0.2.1,192.0.2.2", state="absent") == [
            "192.0.2.1, 192.0.2.2: still on the blocklist for inventory; "
            "name the owner to remove it, or set any_owner=true"
        ]


@pytest.mark.usefixtures("filtered")
def test_an_address_can_be_removed_whoever_wants_it(tmp_path):
    config = str(tmp_path / "pingkiller")
    for owner in ("inventory", "feed", "adhoc"):
        changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2", owner=owner, persist=True, config_dir=config)
    assert said("xdp_blocklist", ip="192.0.2.1", state="absent", any_owner=True, config_dir=config) == [
        "192.0.2.1: was there for feed, inventory, too, and comes back when they ask for it again"
    ]
    assert ping("pk0", "192.0.2.1") == "pass"
    assert indexed("blocklist") == {"192.0.2.2"}
    again = unchanged("xdp_blocklist", ip="192.0.2.1", state="absent", any_owner=True, config_dir=config)
    assert again["warnings"] == []


# Directions and expiry


def test_of_an_entry_of_both_directions_goes_what_was_named_and_what_stays_is_said(tmp_path):
    kept = {"persist": True, "config_dir": str(tmp_path / "pingkiller")}
    changed("xdp_blocklist", ip="192.0.2.1", direction="both", **kept)
    stays = ["192.0.2.1: still on the blocklist with direction=dst, which was not named"]
    for _again in range(2):
        assert said("xdp_blocklist", ip="192.0.2.1", state="absent", direction="src", **kept) == stays
        assert held()["blocklist"] == ["192.0.2.1 direction=dst owner=adhoc"]
    assert said("xdp_blocklist", ip="192.0.2.1", state="absent", **kept) == []
    assert held()["blocklist"] == []


@pytest.mark.usefixtures("filtered")
def test_a_ttl_that_ends_an_entry_sooner_is_said():
    sooner = "192.0.2.1: held for longer, and now ends with its ttl; ask for it without ttl to have it back"
    assert said("xdp_blocklist", ip="192.0.2.1") == []
    assert said("xdp_blocklist", ip="192.0.2.1", ttl="2h") == [sooner]
    assert said("xdp_blocklist", ip="192.0.2.1", ttl="60s") == [sooner]
    assert said("xdp_blocklist", ip="192.0.2.1", ttl="1h") == []
    assert said("xdp_blocklist", ip="192.0.2.1") == []


@pytest.mark.usefixtures("filtered")
def test_a_direction_that_takes_the_place_of_another_is_said():
    changed("xdp_blocklist", ip="192.0.2.1", direction="dst")
    assert said("xdp_blocklist", ip="192.0.2.1") == [
        "192.0.2.1: no longer holds for direction=dst; direction=both keeps both"
    ]


def test_lines_that_differ_on_one_address_are_named():
    result = changed(
        "xdp_blocklist", content="192.0.2.33\n::ffff:192.0.2.33 ttl=6s\n203.0.113.7 direction=dst\n203.0.113.7/32\n"
    )
    assert result["warnings"][0].startswith("more than one line asks for 192.0.2.33, 203.0.113.7, in different ways: ")
    assert held()["blocklist"] == ["192.0.2.33 direction=src owner=adhoc", "203.0.113.7 direction=both owner=adhoc"]


# Filters


@pytest.mark.parametrize(
    ("hook", "direction", "word"),
    [
        ("xdp", "dst", "tc_egress"),
        ("tc_ingress", "both", "tc_egress"),
        ("tc_egress", "src", "hook=xdp or hook=tc_ingress"),
        ("xdp", "src", ""),
        ("tc_egress", "dst", ""),
    ],
)
def test_a_direction_that_no_filter_looks_at_is_said_with_the_hook_that_does(hook, direction, word):
    changed("xdp_filter", interface="pk0", hook=hook)
    warnings = said("xdp_blocklist", ip="192.0.2.1", direction=direction)
    assert len(warnings) == bool(word)
    assert word in "".join(warnings)


def test_filters_that_all_only_monitor_are_said_to_drop_nothing():
    changed("xdp_filter", interface="pk0,pk1", monitor=True)
    assert said("xdp_blocklist", ip="192.0.2.1") == [
        "every filter on this host has monitor=true, so nothing is dropped"
    ]
    changed("xdp_filter", interface="pk0", monitor=False)
    assert said("xdp_blocklist", ip="192.0.2.1") == []


# Options of a filter


@pytest.mark.parametrize(
    ("options", "names", "needs"),
    [
        ({"ratelimit_block_time": "30s"}, "ratelimit_block_time has", "ratelimit_pps"),
        (
            {"ratelimit_block_time": "30s", "ratelimit_sources": 100, "ratelimit_ipv6_prefix": 128},
            "ratelimit_block_time, ratelimit_sources, ratelimit_ipv6_prefix have",
            "ratelimit_pps",
        ),
        ({"events_per_second": 5}, "events_per_second has", "events"),
        ({"hook": "tc_ingress", "mode": "native"}, "mode has", "hook=xdp"),
        (
            {"events_per_second": 5, "ratelimit_sources": 9},
            "ratelimit_sources, events_per_second have",
            "ratelimit_pps and events",
        ),
    ],
)
@pytest.mark.parametrize("reset", [True, False])
def test_options_that_nothing_goes_by_are_said_each_time(options, names, needs, reset):
    name = "pk0/tc_ingress" if "hook" in options else "pk0"
    for _again in range(2):
        assert said("xdp_filter", interface="pk0", reset=reset, **options) == [
            f"of the filter on {name}, {names} no effect without {needs}"
        ]


@pytest.mark.parametrize(
    "options",
    [
        {"ratelimit_pps": 5, "ratelimit_block_time": "30s", "ratelimit_sources": 100},
        {"events": "dropped", "events_per_second": 5},
        {"mode": "generic"},
        FilterOptions().as_dict(),  # as the role passes them
    ],
)
def test_of_options_that_something_goes_by_nothing_is_said(options):
    for _again in range(2):
        assert said("xdp_filter", interface="pk0", reset=True, **options) == []


def test_of_options_that_stay_from_before_nothing_is_said():
    changed("xdp_filter", interface="pk0", ratelimit_pps=5, ratelimit_block_time="30s")
    assert said("xdp_filter", interface="pk0", ratelimit_pps=0) == []
    assert said("xdp_filter", interface="pk0", policy="drop") == []


# Owners of filters


def takes_over(name: str, whose: str) -> str:
    return (
        f"the filter on {name} {whose}: it belongs to inventory from now on, and goes when inventory no longer names it"
    )


@pytest.mark.parametrize("hook", ["xdp", "tc_egress"])
@pytest.mark.parametrize("policy", ["pass", "drop"])
def test_taking_over_a_filter_that_was_put_there_by_hand_is_said_once(tmp_path, hook, policy):
    there = {"interface": "pk0", "hook": hook, "config_dir": str(tmp_path / "pingkiller")}
    changed("xdp_filter", policy="drop", **there)
    taken = {**there, "owner": "inventory", "reset": True, "policy": policy}
    name = "pk0" if hook == "xdp" else "pk0/tc_egress"
    assert said("xdp_filter", **taken) == [takes_over(name, "had no owner, as one that was put there by hand")]
    assert said("xdp_filter", **taken) == []


def test_taking_over_the_filter_of_another_owner_names_the_owner(tmp_path):
    config = {"config_dir": str(tmp_path / "pingkiller")}
    changed("xdp_filter", interface="pk0", owner="me", **config)
    assert said("xdp_filter", interface="pk0,pk1", owner="inventory", **config) == [takes_over("pk0", "was me's")]
    assert said("xdp_filter", interface="pk0,pk1", owner="inventory", **config) == []


def test_a_filter_that_comes_anew_or_back_is_taken_over_from_nobody(tmp_path):
    ours = {"interface": "pk0", "owner": "inventory", "config_dir": str(tmp_path / "pingkiller")}
    assert said("xdp_filter", **ours) == []
    ip("link", "set", "dev", "pk0", "name", "renamed0")
    (renamed,) = changed("xdp_filter", **{**ours, "interface": "renamed0", "policy": "drop"})["warnings"]
    assert renamed.startswith("the interface of the filter pk0 was renamed")
    changed("xdp_filter", state="absent", interface="renamed0", config_dir=ours["config_dir"])
    assert said("xdp_filter", **{**ours, "interface": "renamed0"}) == []


def test_taking_over_a_filter_whose_pins_are_gone_is_said_as_well(tmp_path):
    ours = {"interface": "pk0", "owner": "inventory", "config_dir": str(tmp_path / "pingkiller")}
    changed("xdp_filter", interface="pk0")
    umount(BPFFS)
    mount("bpf", BPFFS)
    for check in (True, False):
        assert (
            takes_over("pk0", "had no owner, as one that was put there by hand")
            in run("xdp_filter", check=check, **ours)["warnings"]
        )


# Lists that match too much, or nothing


@pytest.mark.usefixtures("filtered")
def test_everybody_on_the_blocklist_is_said():
    ip("address", "add", "192.0.2.9/24", "dev", "pk1")
    assert said("xdp_blocklist", ip="0.0.0.0/0,::/0") == [
        "0.0.0.0/0 is everybody: all ICMP but the protected types is blocked, except for the allowlist",
        "::/0 is everybody: all ICMP but the protected types is blocked, except for the allowlist",
    ]


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("network", ["192.0.2.0/24", "192.0.0.0/16", "192.0.2.9", "2001:db8:7::/64"])
def test_the_hosts_own_network_on_the_blocklist_is_said(network):
    ip("address", "add", "192.0.2.9/24", "dev", "pk1")
    ip("address", "add", "2001:db8:7::9/64", "dev", "pk1", "nodad")
    assert said("xdp_blocklist", ip=network) == [
        f"{network}: covers an address of this host, so its neighbours may lose all ICMP with it but the protected types"
    ]
    assert said("xdp_blocklist", ip="192.0.2.10,203.0.113.0/24") == []
    assert said("xdp_allowlist", ip=network) == []


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("content", ["", "# nobody\n; nobody\n\n"])
def test_an_empty_file_that_takes_everything_off_is_said(tmp_path, content):
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2", owner="feed")
    path = tmp_path / "list"
    path.write_text(content)
    arguments = {"src": str(path), "exclusive": True, "owner": "feed"}
    assert said("xdp_blocklist", **arguments) == [
        "the list that was given is empty, so all that feed has on the blocklist goes: 2"
    ]
    assert said("xdp_blocklist", **arguments) == []


# Indexes that somebody else wrote to


def index(kind: str) -> bpf.Map:
    pins = Pins(DEFAULT_BASE)
    return pins.open_map(pins.list_pin("blocklist", kind))


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("address", ["192.0.2.1", "198.51.100.0/24"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_an_entry_that_somebody_took_out_of_an_index_is_put_back_and_counted_once(tmp_path, address, exclusive):
    path = tmp_path / "list"
    path.write_text("192.0.2.1\n192.0.2.2\n198.51.100.0/24\n2001:db8::1\n")
    arguments = {"src": str(path), "exclusive": exclusive, "owner": "feed"}
    changed("xdp_blocklist", **arguments)
    key = addresses.parse(address)
    with index(schema.KIND_OF_SIZE[len(key)]) as found:
        found.delete(key)
    assert ping("pk0", "192.0.2.1") == ("pass" if address == "192.0.2.1" else "drop")
    prediction = run("xdp_blocklist", check=True, **arguments)
    result = changed("xdp_blocklist", **arguments)
    assert result["added"] == prediction["added"] == [address]
    assert result["count"] == prediction["count"] == facts()["lists"]["blocklist"]["count"] == 4
    assert indexed("blocklist") == {"192.0.2.1", "192.0.2.2", "198.51.100.0/24", "2001:db8::1"}
    assert ping("pk0", "192.0.2.1") == "drop"
    unchanged("xdp_blocklist", **arguments)


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("slot", [1, 60_000, 1 << 31])
@pytest.mark.parametrize("address", ["192.0.2.9", "203.0.113.0/24"])
def test_what_somebody_put_into_an_index_is_no_traceback_and_goes_with_the_next_change(address, slot):
    changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2")
    key = addresses.parse(address)
    with index(schema.KIND_OF_SIZE[len(key)]) as found:
        found.update(key, schema.SLOT.pack(slot))
    inside = "203.0.113.1" if "/" in address else address
    run("xdp_blocklist", ip=inside, state="absent", check=True)
    assert not run("xdp_blocklist", ip=inside, state="absent").get("failed")
    assert indexed("blocklist") == {"192.0.2.1", "192.0.2.2"}
    assert facts()["lists"]["blocklist"]["count"] == 2
    assert ping("pk0", inside) == "pass"
    assert ping("pk0", "192.0.2.1") == "drop"
