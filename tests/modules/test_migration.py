# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of an earlier version are replaced by current ones, with all entries and counts."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest
from machine import BPFFS, held, ping, program
from running import changed, facts, killed, run
from schemas import EARLIER, LATER_SOURCES, be_later
from test_interrupted import die_instead_of

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import netlink
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import events
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import control, host_maps, migration
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

BLOCKED, OTHER = "192.0.2.1", "192.0.2.2"
OPTIONS = {"policy": "drop", "timing_sample": 1, "events": "dropped", "ratelimit_pps": 100}
FILTERS = {"interface": "pk0,pk1", "max_entries": 100, **OPTIONS}
ENTRIES = [
    {"ip": [BLOCKED, "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"], "owner": "inventory"},
    {"ip": [BLOCKED], "owner": "feed", "direction": "both"},
    {"ip": [OTHER], "ttl": "1h"},
]


@pytest.fixture(params=EARLIER)
def earlier(request):
    """A host that an earlier version has set up; returns its facts at that time."""
    be_earlier, sources = EARLIER[request.param]
    changed("xdp_filter", be_earlier, _sources=sources, **FILTERS)
    for each in ENTRIES:
        changed("xdp_blocklist", be_earlier, **each)
    changed("xdp_allowlist", be_earlier, ip="203.0.113.1")
    for source, number in ((BLOCKED, 5), ("198.51.100.7", 3), ("203.0.113.1", 2), ("203.0.113.2", 4)):
        assert ping("pk0", source, number) == ("pass" if source == "203.0.113.1" else "drop")
    ping("pk1", BLOCKED, 6)
    return told()


def told(*prepare) -> dict:
    """Return the facts that a migration must not change."""
    found = facts(*prepare)
    counted = {
        name: (each["counters"], each["events"], each["options"], each["processing_time"]["dropped"]["count"])
        for name, each in found["filters"].items()
    }
    entries = [dict(entry, expires_in=bool(entry["expires_in"])) for entry in found["lists"]["blocklist"]["entries"]]
    return {"filters": counted, "entries": entries, "capacity": found["lists"]["blocklist"]["capacity"]}


def packets(told: dict) -> dict:
    """Return the packets counted by the filters, by interface and reason, and the packets matched by each entry."""
    by_reason = {
        name: {
            reason: families["ipv4"]["packets"]
            for reason, families in counters["reasons"].items()
            if "ipv4" in families and families["ipv4"]["packets"]
        }
        for name, (counters, *_others) in told["filters"].items()
    }
    return {**by_reason, **{entry["ip"]: entry["packets"] for entry in told["entries"] if entry["packets"]}}


def pinned() -> set:
    """Return the names in the BPF file system, without the kernel's own files."""
    return {name for name in os.listdir(BPFFS) if not name.endswith(".debug")}


def assert_settled() -> None:
    assert pinned() == {"pingkiller"}
    assert ping("pk0", BLOCKED) == ping("pk1", BLOCKED) == "drop"


def test_an_upgrade_takes_everything_along_that_an_earlier_version_kept(earlier):
    entries, programs = held(), [program(each) for each in ("pk0", "pk1")]
    assert run("xdp_filter", check=True, **FILTERS)["changed"]
    assert told() == earlier
    changed("xdp_filter", **FILTERS)
    assert (told(), held()) == (earlier, entries)
    assert not set(programs) & {program(each) for each in ("pk0", "pk1")}
    assert not run("xdp_filter", **FILTERS)["changed"]
    changed("xdp_blocklist", ip="192.0.2.3")
    assert ping("pk0", "192.0.2.3") == "drop"
    assert_settled()


def test_an_upgrade_of_one_filter_takes_the_others_along(earlier):
    changed("xdp_filter", **{**FILTERS, "interface": "pk0"})
    assert told() == earlier
    assert not run("xdp_filter", **FILTERS)["changed"]
    assert_settled()


def test_an_upgrade_can_change_the_capacity_too(earlier):
    changed("xdp_filter", **{**FILTERS, "max_entries": 7})
    assert told() == {**earlier, "capacity": 7}
    assert_settled()


def test_lists_of_an_earlier_version_are_not_changed_before_the_upgrade(earlier, request):
    number = request.node.callspec.params["earlier"]
    for check in (True, False):
        said = run("xdp_blocklist", check=check, ip="192.0.2.3")["msg"]
        assert said.startswith(
            f"the maps on this host have schema {number} and this version of the collection changes schema 3: "
        )
    assert told() == earlier


def test_a_host_of_an_earlier_version_can_be_cleared(earlier):
    changed("xdp_filter", state="absent")
    assert pinned() == set()
    assert not program("pk0")


def test_a_host_of_a_later_version_is_left_alone_but_can_be_cleared():
    changed("xdp_filter", be_later, _sources=LATER_SOURCES, interface="pk0")
    changed("xdp_blocklist", be_later, ip=BLOCKED)
    for module, arguments in (("xdp_filter", {"interface": "pk0"}), ("xdp_blocklist", {"ip": OTHER})):
        for check in (True, False):
            said = run(module, check=check, **arguments)["msg"]
            assert said.startswith(
                "the maps on this host have schema 4 and this version of the collection knows 1 to 3: "
            )
    assert ping("pk0", BLOCKED) == "drop"
    changed("xdp_filter", state="absent")
    assert pinned() == set()


def test_what_is_counted_is_taken_to_other_places_in_larger_maps(earlier):
    changed("xdp_filter", **FILTERS)
    assert packets(told(be_later)) == packets(earlier)
    changed("xdp_filter", be_later, _sources=LATER_SOURCES, **FILTERS)
    assert packets(told(be_later)) == packets(earlier)
    assert_settled()
    ping("pk0", "203.0.113.3", 2)
    assert packets(told(be_later))["pk0"]["policy_drop"] == packets(earlier)["pk0"]["policy_drop"] + 2


@pytest.mark.parametrize(
    "kill",
    [
        die_instead_of(Pins, "swap"),
        die_instead_of(netlink, "replace_xdp"),
        die_instead_of(netlink, "replace_xdp", times=2),
        die_instead_of(migration, "carry_counts"),
        die_instead_of(migration.carry, "carry_filter_map", times=2),
        die_instead_of(Pins, "discard_old"),
    ],
)
def test_a_killed_upgrade_goes_on_filtering_and_loses_no_count(kill):
    changed("xdp_filter", **FILTERS)
    changed("xdp_blocklist", ip=BLOCKED)
    for interface, number in (("pk0", 3), ("pk1", 4)):
        ping(interface, BLOCKED, number)
    later = {"_sources": LATER_SOURCES, **FILTERS}
    assert killed("xdp_filter", be_later, kill, **later)
    assert ping("pk0", BLOCKED) == ping("pk1", BLOCKED) == "drop"
    assert not run("xdp_filter", be_later, **later).get("failed")
    assert packets(told(be_later)) == {"pk0": {"blocklist": 4}, "pk1": {"blocklist": 5}, BLOCKED: 9}
    assert not run("xdp_filter", be_later, **later)["changed"]
    assert_settled()


def test_an_upgrade_takes_a_listener_along_and_nobody_listens_when_it_has_gone(earlier):
    heard = []
    listener = threading.Thread(target=lambda: heard.append(events.listen(DEFAULT_BASE, duration=60, limit=1)))
    listener.start()
    while not listening():
        assert listener.is_alive()
    changed("xdp_filter", **FILTERS)
    assert listening()
    ping("pk0", BLOCKED)
    listener.join()
    assert [event["src"] for event in heard[0]["events"]] == [BLOCKED]
    assert not listening()


def listening() -> bool:
    with host_maps.opened(Pins(DEFAULT_BASE)) as host, contextlib.closing(control.Control(host.control)) as opened:
        return opened.listening
