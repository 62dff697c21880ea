# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the options of a filter, the definitions that the compiler gets, and the build id."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import (
    definitions,
    icmp_types,
    options,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.modules import xdp_facts, xdp_filter

settings.register_profile("unit", deadline=None)  # a busy machine is not a failure
settings.load_profile("unit")

CHECKOUT = Path(__file__).resolve().parents[2]
TOOL = CHECKOUT / "tools/options"
SOURCES = {"pingkiller.c": "int pingkiller;", "schema.h": "enum reason;"}
DEFINES = definitions.of(FilterOptions())
types = st.lists(st.tuples(st.sampled_from(["icmp", "icmpv6"]), st.integers(0, 255)), min_size=1, max_size=64)
CODES = range(16)


def condition(c_expression):
    """Compile a C condition as a Python expression."""
    return compile(c_expression.replace("||", " or ").replace("&&", " and "), "macro", "eval")


def filtered_codes(chosen, family):
    """Return the types and codes for which the C macro is true."""
    macro = condition(definitions.of(FilterOptions.checked(icmp_types=chosen))[f"FILTERS_ICMP{family}(t,c)"])
    return {(kind, code) for kind in range(256) for code in CODES if eval(macro, {"t": kind, "c": code})}


def filtered(chosen, family):
    """Return the types for which the C macro is true with every code."""
    found = filtered_codes(chosen, family)
    assert found == {(kind, code) for kind, _code in found for code in CODES}
    return {kind for kind, _code in found}


@pytest.mark.parametrize(
    ("name", "icmp4", "icmp6"),  # RFC 792, 1256 and 8335; RFC 4443, 4861, 3810 and 4620
    [
        ("echo-request", 8, 128),
        ("echo-reply", 0, 129),
        ("destination-unreachable", 3, 1),
        ("packet-too-big", None, 2),
        ("time-exceeded", 11, 3),
        ("parameter-problem", 12, 4),
        ("redirect", 5, 137),
        ("router-solicitation", 10, 133),
        ("router-advertisement", 9, 134),
        ("neighbour-solicitation", None, 135),
        ("neighbour-advertisement", None, 136),
        ("timestamp-request", 13, None),
        ("timestamp-reply", 14, None),
        ("address-mask-request", 17, None),
        ("address-mask-reply", 18, None),
        ("mld2-report", None, 143),
        ("extended-echo-request", 42, 160),
        ("extended-echo-reply", 43, 161),
    ],
)
def test_a_name_stands_for_the_type_of_each_family_that_has_it(name, icmp4, icmp6):
    assert filtered([name], 4) == ({icmp4} if icmp4 is not None else set())
    assert filtered([name], 6) == ({icmp6} if icmp6 is not None else set())


def test_no_two_names_mean_the_same_type():
    for family in zip(*icmp_types.ICMP_TYPES.values()):
        numbers = [number for number in family if number is not None]
        assert len(numbers) == len(set(numbers))


@given(types)
def test_exactly_the_types_asked_for_are_filtered(chosen):
    names = [f"{family}/{number}" for family, number in chosen]
    assert filtered(names, 4) == {number for family, number in chosen if family == "icmp"}
    assert filtered(names, 6) == {number for family, number in chosen if family == "icmpv6"}


@pytest.mark.parametrize(
    ("name", "icmp4", "icmp6"),  # RFC 792 and 1812; RFC 4443
    [
        ("destination-unreachable/network", {(3, 0)}, {(1, 0)}),
        ("destination-unreachable/host", {(3, 1)}, {(1, 3)}),
        ("destination-unreachable/protocol", {(3, 2)}, set()),
        ("destination-unreachable/port", {(3, 3)}, {(1, 4)}),
        ("destination-unreachable/prohibited", {(3, 13)}, {(1, 1)}),
        ("icmp/3/4", {(3, 4)}, set()),
        ("icmpv6/1/5", set(), {(1, 5)}),
    ],
)
def test_a_code_narrows_a_type_down(name, icmp4, icmp6):
    assert filtered_codes([name], 4) == icmp4
    assert filtered_codes([name], 6) == icmp6
    everything = {(3, code) for code in CODES}
    assert filtered_codes([name, "icmp/3"], 4) == everything


@pytest.mark.parametrize("chosen", [["all"], ["echo-request", "all"], ["all", "icmp/8"]])
def test_all_means_every_type(chosen):
    assert filtered(chosen, 4) == filtered(chosen, 6) == set(range(256))
    assert FilterOptions.checked(icmp_types=chosen).icmp_types == ("all",)


@pytest.mark.parametrize(
    "name",
    [
        *("ping", "Echo-Request", "", "icmp/256", "icmp/-1", "icmp/", "icmp/\u0668", "icmp6/1", "8", "/8"),
        *("icmp/8/256", "icmp/8/0/0", "icmp//0", "icmp/8/", "destination-unreachable/8", "echo-request/0"),
    ],
)
def test_what_is_no_type_is_refused_with_those_that_exist(name):
    with pytest.raises(PingKillerError) as refusal:
        FilterOptions.checked(icmp_types=["echo-request", name])
    said = str(refusal.value)
    assert re.match(re.escape(f"icmp_types: {name!r} is no ICMP type") + r"( \(did you mean \S+\?\))?: use all, ", said)
    assert "use all, icmp/TYPE or icmpv6/TYPE (also with /CODE; 0 to 255)" in said
    assert all(known in said for known in (*icmp_types.ICMP_TYPES, *icmp_types.UNREACHABLE_CODES))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ping", "echo-request"),
        ("Echo_Request", "echo-request"),
        ("echo-requst", "echo-request"),
        ("neighbor-solicitation", "neighbour-solicitation"),
        ("port-unreachable", "destination-unreachable/port"),
        ("destination-unreachable/ports", "destination-unreachable/port"),
        ("ttl-exceeded", "time-exceeded"),
        ("any", "all"),
        ("icmp/256", None),
        ("tcp", None),
    ],
)
def test_a_type_that_somebody_misspelt_is_refused_with_the_one_that_was_meant(name, meant):
    with pytest.raises(PingKillerError) as refusal:
        icmp_types.parse_types([name])
    found = re.search(r" \(did you mean (\S+)\?\): use all", str(refusal.value))
    assert (found and found.group(1)) == meant


def test_every_name_that_other_tools_use_is_one_that_is_taken():
    for name in icmp_types.OTHER_NAMES.values():
        icmp_types.parse_types([name])


def test_options_that_are_not_given_stay():
    before = FilterOptions.checked(policy="drop", events="trace", trace_exclude=("192.0.2.1",))
    assert before.changed_by({}) == before
    assert before.changed_by({"monitor": True}) == before._replace(monitor=True)
    assert before.changed_by({"events": "none"}) == FilterOptions(policy="drop")
    with pytest.raises(PingKillerError, match="^trace_exclude is for events=trace"):
        before.changed_by({"events": "none", "trace_exclude": ("192.0.2.1",)})


def test_no_type_at_all_is_refused():
    with pytest.raises(PingKillerError, match="^icmp_types is empty: name the types to filter"):
        FilterOptions.checked(icmp_types=[])


def test_more_types_than_a_person_would_name_are_refused():
    names = [f"icmp/{number}" for number in range(65)]
    FilterOptions.checked(icmp_types=names[:64])
    with pytest.raises(PingKillerError, match="^icmp_types has 65 entries and may have 64: use all$"):
        FilterOptions.checked(icmp_types=names)


def test_order_and_doubles_of_types_do_not_matter():
    one = FilterOptions.checked(icmp_types=["redirect", "echo-request", "redirect"])
    assert one == FilterOptions.checked(icmp_types=("echo-request", "redirect"))
    assert one.as_dict()["icmp_types"] == ["echo-request", "redirect"]


def test_the_defaults_touch_ping_and_nothing_else():
    chosen = FilterOptions()
    assert (chosen.hook, chosen.mode, chosen.policy, chosen.icmp_types) == ("xdp", "auto", "pass", ("echo-request",))
    assert (chosen.protect, chosen.monitor) == (True, False)
    assert (chosen.ratelimit_pps, chosen.timing_sample, chosen.events) == (0, 0, "none")
    assert {
        "HOOK_TC": "0",
        "POLICY": "POLICY_PASS",
        "FILTERS_ICMP4(t,c)": "((t)==8)",
        "FILTERS_ICMP6(t,c)": "((t)==128)",
        "FILTERS_ALL": "0",
        "FORWARDED": "1",
        "STRICT": "1",
        "PROTECT": "1",
        "PROTECT_REDIRECTS": "0",
        "MONITOR": "0",
        "RATELIMIT_PPS": "0",
        "RATELIMIT_BLOCK_NS": "60000000000ULL",
        "RATELIMIT_IPV6_PREFIX": "64",
        "SWITCHING": "0",
        "TIMING_SAMPLE": "0",
        "EVENTS": "0",
        "EVENTS_PER_SECOND": "1000",
        "TICKS_PER_SECOND": str(definitions.ticks_per_second()),
        "TRACE_EXCLUDES4(w)": "(0)",
        "TRACE_EXCLUDES6(w)": "(0)",
    } == DEFINES


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ({"policy": "drop"}, {"POLICY": "POLICY_DROP"}),
        ({"forwarded": False}, {"FORWARDED": "0"}),
        ({"strict": False}, {"STRICT": "0"}),
        ({"protect": False}, {"PROTECT": "0"}),
        ({"protect_redirects": True}, {"PROTECT_REDIRECTS": "1"}),
        ({"icmp_types": ("all",)}, {"FILTERS_ICMP4(t,c)": "1", "FILTERS_ICMP6(t,c)": "1", "FILTERS_ALL": "1"}),
        ({"monitor": True}, {"MONITOR": "1"}),
        ({"icmp_types": ("timestamp-request",)}, {"FILTERS_ICMP4(t,c)": "((t)==13)", "FILTERS_ICMP6(t,c)": "(0)"}),
        ({"ratelimit_pps": 5}, {"RATELIMIT_PPS": "5"}),
        ({"ratelimit_block_time": 90}, {"RATELIMIT_BLOCK_NS": "90000000000ULL"}),
        ({"ratelimit_ipv6_prefix": 56}, {"RATELIMIT_IPV6_PREFIX": "56"}),
        ({"timing_sample": 100}, {"TIMING_SAMPLE": "100"}),
        ({"events": "dropped"}, {"EVENTS": "EVENTS_DROPPED"}),
        ({"events": "all_icmp"}, {"EVENTS": "EVENTS_ALL_ICMP"}),
        ({"events": "trace"}, {"EVENTS": "EVENTS_TRACE"}),
        ({"events_per_second": 7}, {"EVENTS_PER_SECOND": "7"}),
        ({"hook": "tc_ingress"}, {"HOOK_TC": "1"}),
        ({"hook": "tc_egress"}, {"HOOK_TC": "1"}),
        ({"mode": "generic"}, {}),  # the mode is not compiled in
        ({"ratelimit_sources": 5}, {}),  # the size of a map is not compiled in
    ],
)
def test_every_option_is_a_definition_of_its_own(option, changed):
    assert definitions.of(FilterOptions(**option)) == {**DEFINES, **changed}


def test_options_survive_being_noted():
    chosen = FilterOptions.checked(icmp_types=["redirect"], events="trace", trace_exclude=["192.0.2.1"], policy="drop")
    noted = json.loads(json.dumps(chosen.as_dict()))
    assert FilterOptions.from_dict(noted) == chosen
    assert FilterOptions.from_dict({"policy": "drop", "of_another_version": 1}) == FilterOptions(policy="drop")


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("ratelimit_pps", 0, 10_000_000),
        ("ratelimit_sources", 1, 16_000_000),
        ("ratelimit_ipv6_prefix", 1, 128),
        ("timing_sample", 0, 1_000_000_000),
        ("events_per_second", 1, 10_000_000),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(name, least, most):
    for number in (least, most):
        assert getattr(FilterOptions.checked(**{name: number}), name) == number
    for number in (least - 1, most + 1):
        with pytest.raises(PingKillerError, match=f"^{name}={number} is out of range: give {least} to {most}$"):
            FilterOptions.checked(**{name: number})


@pytest.mark.parametrize(("written", "seconds"), [("60s", 60), ("90", 90), (90, 90), ("10m", 600), ("1h", 3600)])
def test_a_block_time_is_a_duration(written, seconds):
    assert FilterOptions.checked(ratelimit_block_time=written).ratelimit_block_time == seconds


@pytest.mark.parametrize("written", ["", "0", "soon", "-5"])
def test_any_other_block_time_is_refused(written):
    with pytest.raises(PingKillerError) as refusal:
        FilterOptions.checked(ratelimit_block_time=written)
    assert str(refusal.value).startswith(f"ratelimit_block_time={written!r} is not a duration: write ")


@pytest.mark.parametrize("hook", ["xdp", "tc_ingress"])
def test_what_arrives_is_not_forwarded_yet(hook):
    with pytest.raises(PingKillerError, match=f"^forwarded=false is for hook=tc_egress, but hook is {hook}: "):
        FilterOptions.checked(hook=hook, forwarded=False)


def test_what_a_trace_leaves_out_is_for_a_trace():
    with pytest.raises(PingKillerError, match="^protect_redirects is for protect=true: set that too, or leave"):
        FilterOptions.checked(protect=False, protect_redirects=True)
    with pytest.raises(PingKillerError, match="^trace_exclude is for events=trace: set that too, or leave"):
        FilterOptions.checked(trace_exclude=["192.0.2.1"], events="dropped")


def test_what_a_trace_leaves_out_has_a_canonical_form():
    written = ["2001:DB8::1/128", "192.0.2.1/32", "10.0.0.0/8", "::ffff:192.0.2.1"]
    chosen = FilterOptions.checked(events="trace", trace_exclude=written)
    assert chosen.trace_exclude == ("10.0.0.0/8", "192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize("written", ["300.1.1.1", "10.0.0.1/8", ""])
def test_a_trace_leaves_out_addresses_only(written):
    with pytest.raises(PingKillerError) as refusal:
        FilterOptions.checked(events="trace", trace_exclude=["192.0.2.1", written])
    assert str(refusal.value).startswith(f"trace_exclude: {written!r} ")


def test_a_trace_leaves_out_so_many_addresses_and_no_more():
    written = [f"192.0.2.{host}" for host in range(65)]
    FilterOptions.checked(events="trace", trace_exclude=written[:64])
    with pytest.raises(PingKillerError, match="^trace_exclude has 65 entries and may have 64: name networks instead$"):
        FilterOptions.checked(events="trace", trace_exclude=written)


@st.composite
def networks(draw):
    address = draw(st.ip_addresses())
    return ipaddress.ip_network(f"{address}/{draw(st.integers(0, address.max_prefixlen))}", strict=False)


@given(st.lists(networks(), min_size=1, max_size=8), st.ip_addresses(), st.data())
def test_a_trace_leaves_out_exactly_the_packets_of_the_networks_named(excluded, address, data):
    # Half of the time, draw an address from one of the networks. Chance alone would hardly ever do so.
    if data.draw(st.booleans()):
        network = data.draw(st.sampled_from(excluded))
        address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    chosen = FilterOptions(events="trace", trace_exclude=tuple(map(str, excluded)))
    macro = definitions.of(chosen)[f"TRACE_EXCLUDES{address.version}(w)"]
    words = struct.unpack(f"={len(address.packed) // 4}I", address.packed)
    found = eval(condition(re.sub(r"(\d)u", r"\1", macro)), {"w": words})
    assert bool(found) == any(address in network for network in excluded)


def build_id(sources=SOURCES, defines=DEFINES, bcc="0.26.0"):
    return definitions.build_id(definitions.digest(sources), defines, bcc)


def test_a_build_id_is_sixteen_digits_that_stay():
    reordered = dict(reversed(SOURCES.items())), dict(reversed(DEFINES.items()))
    assert build_id() == build_id(*reordered)
    assert len(build_id()) == 16
    assert int(build_id(), 16)


def test_everything_that_decides_the_program_changes_the_build_id(monkeypatch):
    ids = [
        build_id(),
        build_id({**SOURCES, "schema.h": "enum reason ;"}),
        build_id({**SOURCES, "more.h": ""}),
        build_id({"pingkiller.c": "enum reason;", "schema.h": "int pingkiller;"}),
        build_id(bcc="0.31.0"),
        *(build_id(defines={**DEFINES, name: "x"}) for name in DEFINES),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        ids.append(build_id())
    with monkeypatch.context() as patch:
        patch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "5.10.0-other", "#1", "x86_64")))
        ids.append(build_id())
    assert len(set(ids)) == len(ids)
    assert build_id() == ids[0]


# Documentation of the options


def test_what_make_options_writes_is_what_is_there():
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_option_is_declared_and_documented_by_the_module():
    assert list(options.OPTIONS) == list(FilterOptions._fields)
    documented = yaml.safe_load(xdp_filter.DOCUMENTATION)["options"]
    for name, about in options.argument_spec().items():
        described = {key: value for key, value in documented[name].items() if key != "description"}
        assert described == about, name


def test_a_place_without_marks_is_told_and_not_passed_over():
    tool = runpy.run_path(str(TOOL))
    with pytest.raises(ValueError, match=r"^0 places in the file are marked"):
        tool["renewed"]("| `policy` | `pass` |\n", "")


def test_every_reason_is_documented_where_facts_and_packets_are():
    facts_text, house = xdp_facts.RETURN, (CHECKOUT / "docs/architecture.md").read_text()
    for reason in schema.REASONS:
        assert f"C({reason})" in facts_text, reason
        assert re.search(rf"\b{reason}\b", house), reason
