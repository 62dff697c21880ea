# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that xdp_facts returns; reading them changes nothing and waits for no lock."""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from itertools import combinations

import pytest
import yaml
from machine import DEFAULT_BASE, PING_BYTES, ip, look, nothing_to_lock, ping, program
from running import Command, changed, facts, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema
from ansible_collections.pingkiller.fleet.plugins.modules import xdp_facts

EMPTY_LIST = {"count": 0, "capacity": 0, "truncated": False, "entries": [], "top": []}


def age(moment: str) -> float:
    """Return the seconds since a reported time."""
    return time.time() - calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))


def test_a_host_without_a_filter_has_empty_facts():
    assert facts() == {
        "schema": schema.SCHEMA_VERSION,
        "version": "0.1.0",
        "kernel": os.uname().release,
        "filters": {},
        "notes": [],
        "lists": {"blocklist": EMPTY_LIST, "allowlist": EMPTY_LIST},
    }


def test_everything_that_is_told_is_documented():
    """RETURN describes filters and lists in sentences that name each fact in C()."""
    changed("xdp_filter", interface="pk0", events="dropped", ratelimit_pps=1, timing_sample=1)
    changed("xdp_blocklist", ip="192.0.2.1")
    assert ping("pk0", "192.0.2.1") == "drop"
    documented = yaml.safe_load(xdp_facts.RETURN)["ansible_facts"]["contains"]["pingkiller"]["contains"]
    told = facts()
    assert told.keys() == documented.keys()
    for group, nested in (("filters", ("program", "ratelimit", "processing_time", "events")), ("lists", ("entries",))):
        named = set(re.findall(r"C\((?:\w+\.)?(\w+)\)", " ".join(documented[group]["description"])))
        for found in told[group].values():
            inner = [found[name][0] if isinstance(found[name], list) else found[name] for name in nested if found[name]]
            assert {name for each in (found, *inner) for name in each} <= named


def test_facts_are_facts_and_nothing_else():
    assert run("xdp_facts").keys() - {"invocation", "warnings"} == {"ansible_facts"}
    assert run("xdp_facts")["ansible_facts"].keys() == {"pingkiller"}


@pytest.mark.parametrize("check", [False, True])
def test_looking_changes_nothing_and_waits_for_nobody(filtered, check):
    changed("xdp_blocklist", ip="192.0.2.1")
    before = look()
    with nothing_to_lock():
        told = run("xdp_facts", check=check)["ansible_facts"]["pingkiller"]
    assert list(told["filters"]) == [filtered]
    assert look() == before


def test_a_filter_is_told_with_its_program_and_options(filtered):
    result = run("xdp_filter", interface=filtered)
    told = facts()["filters"][filtered]
    assert told["hook"] == "xdp"
    assert (told["mode"], told["mode_reason"]) == ("native", None)
    assert told["build_id"] == result["filters"][filtered]["build_id"]
    assert told["options"] == FilterOptions().as_dict()
    assert told["interface"] == filtered
    assert told["program"].keys() == {"id", "name", "tag", "loaded_at"}
    assert told["program"]["id"] == program(filtered)
    assert told["program"]["name"] == "pingkiller"
    assert len(told["program"]["tag"]) == 16
    assert -1 < age(told["program"]["loaded_at"]) < 60


def test_every_packet_is_counted_once_under_its_reason(filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    changed("xdp_allowlist", ip="192.0.2.2")
    for host, number in ((1, 5), (2, 3), (3, 2)):
        ping(filtered, f"192.0.2.{host}", number)
    counters = facts()["filters"][filtered]["counters"]
    assert set(counters["reasons"]) == set(schema.REASONS)
    assert counters["reasons"]["not_icmp"].keys() == {"other", "ipv4", "ipv6"}
    counted = {
        (reason, family): (cell["packets"], cell["bytes"])
        for reason, families in counters["reasons"].items()
        for family, cell in families.items()
        if cell["packets"]
    }
    assert counted == {
        ("blocklist", "ipv4"): (5, 5 * PING_BYTES),
        ("allowlist", "ipv4"): (3, 3 * PING_BYTES),
        ("policy_pass", "ipv4"): (2, 2 * PING_BYTES),
    }
    assert counters["passed"] == {"packets": 5, "bytes": 5 * PING_BYTES}
    assert counters["dropped"] == {"packets": 5, "bytes": 5 * PING_BYTES}


def test_an_entry_is_told_with_what_it_met(filtered):
    changed("xdp_blocklist", ip="192.0.2.1,2001:db8::/32", direction="both")
    ping(filtered, "192.0.2.1", 5)
    met, other = facts()["lists"]["blocklist"]["entries"]
    assert -1 < age(met.pop("last_seen")) < 60
    assert met == {
        "ip": "192.0.2.1",
        "owners": ["adhoc"],
        "direction": "both",
        "expires_in": None,
        "packets": 5,
        "bytes": 5 * PING_BYTES,
    }
    assert (other["ip"], other["packets"], other["bytes"], other["last_seen"]) == ("2001:db8::/32", 0, 0, None)


def test_the_entries_that_met_the_most_packets_are_on_top(filtered):
    changed("xdp_blocklist", ip=[f"192.0.2.{host}" for host in range(1, 7)])
    for host, number in ((2, 3), (4, 7), (6, 5)):
        ping(filtered, f"192.0.2.{host}", number)

    def top(**arguments):
        return [(each["ip"], each["packets"]) for each in facts(**arguments)["lists"]["blocklist"]["top"]]

    assert top() == [("192.0.2.4", 7), ("192.0.2.6", 5), ("192.0.2.2", 3)]
    assert top(top=2) == [("192.0.2.4", 7), ("192.0.2.6", 5)]
    assert top(top=0) == []


def test_a_long_list_is_told_in_part_and_counted_in_full():
    changed("xdp_allowlist", ip=[f"10.0.{number >> 8}.{number & 255}" for number in range(301)])
    told = facts()["lists"]["allowlist"]
    assert (told["count"], told["capacity"], len(told["entries"]), told["truncated"]) == (301, 65536, 100, True)
    told = facts(list_limit=301)["lists"]["allowlist"]
    assert (len(told["entries"]), told["truncated"]) == (301, False)
    assert facts(list_limit=0)["lists"]["allowlist"]["entries"] == []


@pytest.mark.parametrize("name", ["list_limit", "top"])
def test_a_negative_number_of_entries_is_refused(name):
    assert refused("xdp_facts", **{name: -1}) == f"{name}=-1 must not be negative: give 0 or more"


def test_entries_are_told_in_order():
    ordered = ["10.0.0.0/8", "10.0.0.1", "192.0.2.1", "2001:db8::1", "2001:db8:1::/48"]
    changed("xdp_blocklist", ip=list(reversed(ordered)))
    assert [each["ip"] for each in facts()["lists"]["blocklist"]["entries"]] == ordered


def test_a_filter_whose_program_has_gone_keeps_its_counters(filtered):
    ping(filtered, "192.0.2.1", 3)
    ip("link", "set", "dev", filtered, "xdp", "off")
    told = facts()["filters"][filtered]
    assert (told["mode"], told["program"]) == ("none", None)
    assert told["counters"]["passed"]["packets"] == 3


def test_a_filter_whose_interface_has_gone_is_still_told_of(filtered):
    ip("link", "del", filtered)
    assert facts()["filters"][filtered]["mode"] == "none"
    unchanged("xdp_facts")


def test_as_many_options_as_there_can_be_are_remembered():
    types = [f"icmpv6/{number}/255" for number in range(100, 164)]
    networks = [f"2001:db8:1111:2222:3333:4444:5555:{number:x}" for number in range(0x1000, 0x1040)]
    options = {"icmp_types": types, "events": "trace", "trace_exclude": networks}
    changed("xdp_filter", interface="pk0", **options)
    told = facts()["filters"]["pk0"]["options"]
    assert {name: sorted(told[name]) for name in ("icmp_types", "trace_exclude")} == {
        "icmp_types": sorted(types),
        "trace_exclude": sorted(networks),
    }
    unchanged("xdp_filter", interface="pk0", **options)


# Parts of the facts

ALWAYS = {"schema", "version", "kernel"}
OF_A_FILTER = {
    "filters": {"mode", "mode_reason", "program", "build_id", "options"},
    "counters": {"counters", "processing_time", "events"},
    "ratelimit": {"ratelimit"},
    "lists": None,
}


@pytest.mark.parametrize("number", range(1, 5))
def test_only_what_is_asked_for_is_returned_and_it_is_the_same_as_of_all(filtered, number):
    changed("xdp_filter", interface="pk1", ratelimit_pps=1, timing_sample=1, events="dropped")
    changed("xdp_blocklist", ip="192.0.2.1")
    for host in (1, 2, 2, 2):
        assert ping("pk1", f"192.0.2.{host}")
    whole = without_seconds(facts())
    for gather in combinations(OF_A_FILTER, number):
        told = without_seconds(facts(gather=list(gather)))
        of_filters = [OF_A_FILTER[part] for part in gather if part != "lists"]
        assert told.keys() == ALWAYS | ({"filters"} if of_filters else set()) | {"lists"}.intersection(gather) | (
            {"notes"} if "filters" in gather else set()
        )
        for name, each in told.get("filters", {}).items():
            assert each.keys() == {"interface", "hook"}.union(*of_filters)
            assert {key: whole["filters"][name][key] for key in each} == each
        assert {key: whole[key] for key in told if key != "filters"} == {
            key: value for key, value in told.items() if key != "filters"
        }


def without_seconds(told):
    """Leave out for how long sources are still blocked, which is less each second."""
    for each in told.get("filters", {}).values():
        for source in (each.get("ratelimit") or {}).get("blocked", ()):
            del source["seconds_left"]
    return told


def test_the_state_of_filters_is_small():
    """Four filters on two interfaces, in at most 4 KB."""
    for interface in ("pk0", "pk1"):
        for hook in ("xdp", "tc_egress"):
            changed("xdp_filter", interface=interface, hook=hook, ratelimit_pps=5, timing_sample=1, events="dropped")
    told = facts(gather="filters")
    assert len(told["filters"]) == 4
    assert len(json.dumps(told)) <= 4096


def test_a_list_that_is_not_asked_for_is_not_opened(filtered):
    """Whoever opens a list finds that this map is not one of its own, and says so."""
    changed("xdp_blocklist", ip="192.0.2.1")
    path = f"{DEFAULT_BASE}/lists/blocklist/exact4"
    os.unlink(path)
    with bpf.Map.create("odd", bpf.MapInfo(type=bpf.ARRAY, key_size=4, value_size=8, max_entries=1, flags=0)) as odd:
        odd.pin(path)
    for gather in ("filters,lists", "lists"):
        assert path in run("xdp_facts", gather=gather)["msg"]
    assert facts(gather=["filters", "counters", "ratelimit"])["filters"][filtered]["mode"] == "native"


def test_the_sources_of_a_rate_limit_are_not_read_unless_asked_for():
    changed("xdp_filter", interface="pk0", ratelimit_pps=5)

    def read_no_map():
        bpf.Map.read_all = None

    for gather in ("ratelimit", "filters,ratelimit"):
        with pytest.raises(AssertionError, match="TypeError"):
            facts(read_no_map, gather=gather)
    assert facts(read_no_map, gather="filters,counters")["filters"].keys() == {"pk0"}


def test_notes_are_warned_of_where_they_are_gathered(filtered):
    os.unlink(f"{DEFAULT_BASE}/lists/blocklist/records")
    result = run("xdp_facts", gather="filters")
    assert "reads other lists" in result["warnings"][0]
    assert result["ansible_facts"]["pingkiller"]["notes"] == result["warnings"]
    assert run("xdp_facts", gather="counters")["warnings"] == []


# The summary


def summary(**arguments) -> list[str]:
    result = run("xdp_facts", view="summary", **arguments)
    assert result.keys() == {"summary", "warnings"}, result
    return result["summary"]


def test_a_summary_says_whether_it_is_on_and_what_was_dropped_and_why(filtered):
    changed("xdp_filter", interface="pk1", ratelimit_pps=7, policy="drop", monitor=True)
    changed("xdp_blocklist", ip="192.0.2.1,198.51.100.0/24", owner="inventory")
    ping("pk0", "192.0.2.1", 5)
    ping("pk0", "198.51.100.9")
    ping("pk1", "192.0.2.1", 2)
    ping("pk1", "192.0.2.9", 3)
    assert summary() == [
        "pk0: on (native), policy=pass",
        "pk1: on (native), policy=drop, at most 7 packets a second, monitors only and drops nothing",
        "dropped 6 packets in all (blocklist 6); passed 5 of any protocol; would have dropped 5 (policy_drop 3, blocklist 2)",
        "busiest: 192.0.2.1, 7 packets (owner inventory)",
        "busiest: 198.51.100.0/24, 1 packet (owner inventory)",
        "blocklist 2 of 65,536, allowlist 0 of 65,536",
    ]


def test_a_summary_of_a_host_without_a_filter_says_so():
    assert summary() == summary(window=0.1) == ["no filter: nothing is filtered on this host"]


def test_a_summary_tells_of_a_filter_that_was_taken_off(filtered):
    ip("link", "set", "dev", filtered, "xdp", "off")
    assert summary()[0] == "pk0: not attached, filters nothing"


@pytest.mark.parametrize("check", [False, True])
def test_a_window_tells_what_was_dropped_in_it(filtered, check):
    """The module's own process sends the pings while the module waits."""
    changed("xdp_blocklist", ip="192.0.2.1")
    ping(filtered, "192.0.2.1", 5)

    def drop_meanwhile():
        time.sleep = lambda seconds: ping(filtered, "192.0.2.1", int(seconds))

    before, recent = summary_in(check, drop_meanwhile, window=3)[1:3]
    assert before == "dropped 8 packets in all (blocklist 8); passed 0 of any protocol"
    assert re.fullmatch(
        r"dropped 3 packets in the last [\d.]+ s, [\d.]+ a second \(blocklist 3\); passed 0 of any protocol", recent
    )


def summary_in(check, *prepare, **arguments) -> list[str]:
    return run("xdp_facts", *prepare, check=check, view="summary", **arguments)["summary"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"window": 5}, "window=5 is for view=summary: set that too, or leave window out"),
        ({"window": 0, "view": "summary"}, "window=0 is out of range: give more than 0 and at most 3600 seconds"),
        ({"window": "nan", "view": "summary"}, "window=nan is out of range: give more than 0 and at most 3600 seconds"),
        (
            {"view": "summary", "dest": "/x"},
            "dest is for view=full: leave it out, or leave out view=summary and explain",
        ),
        (
            {"gather": []},
            "gather is empty: name some of filters, counters, ratelimit, lists, or leave gather out to gather all",
        ),
        (
            {"gather": ["filters"], "explain": "192.0.2.1"},
            "gather is for view=full: leave it out, or leave out view=summary and explain",
        ),
        (
            {"view": "summary", "list_limit": 100},
            "list_limit is for view=full: leave it out, or leave out view=summary and explain",
        ),
        (
            {"gather": ["filters", "counters"], "list_limit": 5},
            "list_limit is for lists and ratelimit, which gather leaves out: leave list_limit out, or gather lists or ratelimit too",
        ),
        (
            {"gather": ["ratelimit"], "top": 10},
            "top is for lists, which gather leaves out: leave top out, or gather lists too",
        ),
        (
            {"gather": ["filters"], "dest": "/x"},
            "dest is for lists, which gather leaves out: leave dest out, or gather lists too",
        ),
        ({"explain": "192.0.2"}, "'192.0.2' is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, complaint):
    assert refused("xdp_facts", **arguments) == complaint


@pytest.mark.parametrize("gather", ["all", "", "!lists", ["filters", "options"]])
def test_a_part_that_there_is_not_is_refused_with_those_that_there_are(gather):
    assert "gather must be one or more of: filters, counters, ratelimit, lists. Got no match for: " in refused(
        "xdp_facts", gather=gather
    )


def test_a_summary_is_ten_lines_at_most_and_an_ad_hoc_command_prints_fifteen(tmp_path):
    for number in range(5):
        ip("link", "add", f"many{number}", "type", "veth", "peer", "name", f"more{number}")
        changed("xdp_filter", interface=f"many{number}")
    changed("xdp_blocklist", ip=[f"192.0.2.{number}" for number in range(9)])
    for number in range(9):
        ping("many0", f"192.0.2.{number}")
    printed = Command(tmp_path)("ansible", "localhost", "-m", "xdp_facts", "-a", "view=summary window=0.1").stdout
    assert "and 3 more filters" in printed
    assert len(printed.splitlines()) <= 15


# Explanations


def test_an_explanation_is_what_the_command_says_and_takes_the_place_of_the_facts(filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    result = run("xdp_facts", explain="192.0.2.1,192.0.2.2")
    assert result.keys() == {"explained", "warnings"}
    blocked, other = result["explained"]
    assert (blocked["ip"], blocked["verdict"], other["ip"], other["verdict"]) == (
        "192.0.2.1",
        "drop",
        "192.0.2.2",
        "pass",
    )
    assert blocked["reason"] == "pings from it are dropped on pk0, since the blocklist has 192.0.2.1 (owner adhoc)"
    (line,) = (each for each in blocked["details"] if each.startswith("    blocklist 192.0.2.1 direction=src, since "))
    assert line.endswith("Z, 0 packets, 0 bytes (adhoc)")


def test_an_explanation_comes_with_a_summary_if_both_are_asked_for(filtered):
    assert run("xdp_facts", explain="192.0.2.1", view="summary").keys() == {"explained", "summary", "warnings"}


def test_what_an_explanation_returns_is_documented(filtered):
    documented = yaml.safe_load(xdp_facts.RETURN)["explained"]["contains"]
    assert run("xdp_facts", explain="192.0.2.1")["explained"][0].keys() == documented.keys()


def test_an_ad_hoc_command_prints_the_explanation(filtered, tmp_path):
    changed("xdp_blocklist", ip="192.0.2.0/24")
    told = Command(tmp_path).module("xdp_facts", "explain=192.0.2.1")
    assert told["explained"][0]["verdict"] == "drop"


def test_facts_tell_the_version_of_the_collection():
    with open(os.path.join(os.path.dirname(__file__), "../../galaxy.yml")) as file:
        assert f"version: {facts()['version']}\n" in file.read()
