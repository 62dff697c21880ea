# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter's options, what the compiler is told of them, and the build id."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import options, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.options import FilterOptions

settings.register_profile("unit", deadline=None)  # a busy machine is no failure
settings.load_profile("unit")

SOURCES = {"pingkiller.c": "int pingkiller;", "schema.h": "enum reason;"}
DEFINES = options.definitions(FilterOptions())
types = st.lists(st.tuples(st.sampled_from(["icmp", "icmpv6"]), st.integers(0, 255)), min_size=1)


def filtered(chosen, family):
    """The ICMP types that the C macro is true for, whatever their code."""
    macro = options.definitions(FilterOptions.checked(icmp_types=chosen))[f"FILTERS_ICMP{family}(t,c)"]
    condition = as_python(macro)
    found = [{number for number in range(256) if eval(condition, {"t": number, "c": code})} for code in (0, 4, 255)]
    assert found[0] == found[1] == found[2]
    return found[0]


def as_python(macro):
    return compile(macro.replace("||", " or ").replace("&&", " and "), "macro", "eval")


def filtered_codes(chosen, family):
    """The pairs of type and code that the C macro is true for."""
    condition = as_python(options.definitions(FilterOptions.checked(icmp_types=chosen))[f"FILTERS_ICMP{family}(t,c)"])
    pairs = itertools.product(range(256), range(256))
    return {pair for pair in pairs if eval(condition, dict(zip("tc", pair)))}


@pytest.mark.parametrize(
    ("name", "icmp4", "icmp6"),  # by RFC 792, 1256, 8335 and 4443, 4861, 3810, 4620
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
    for family in zip(*options.ICMP_TYPES.values()):
        numbers = [number for number in family if number is not None]
        assert len(numbers) == len(set(numbers))


@given(types)
def test_exactly_the_types_asked_for_are_filtered(chosen):
    names = [f"{family}/{number}" for family, number in chosen]
    assert filtered(names, 4) == {number for family, number in chosen if family == "icmp"}
    assert filtered(names, 6) == {number for family, number in chosen if family == "icmpv6"}


@pytest.mark.parametrize("chosen", [["all"], ["echo-request", "all"], ["all", "icmp/8"]])
def test_all_means_every_type(chosen):
    assert filtered(chosen, 4) == filtered(chosen, 6) == set(range(256))
    assert FilterOptions.checked(icmp_types=chosen).icmp_types == ("all",)


@pytest.mark.parametrize(
    "name",
    [
        "ping",
        "Echo-Request",
        "",
        "icmp/256",
        "icmp/-1",
        "icmp/",
        "icmp/\u0668",
        "icmp6/1",
        "8",
        "/8",
        "icmp/8/256",
        "icmp/8/",
        "icmp/8/0/0",
        "echo-request/0",
        "destination-unreachable/13",
        "destination-unreachable/",
        "icmp",
        "icmp//1",
    ],
)
def test_what_is_no_type_is_refused_with_those_that_exist(name):
    with pytest.raises(PingKillerError) as refusal:
        FilterOptions.checked(icmp_types=["echo-request", name])
    said = str(refusal.value)
    assert said.startswith(f"icmp_types: {name!r} is no ICMP type: use all, icmp/TYPE or icmpv6/TYPE ")
    assert all(known in said for known in [*options.ICMP_TYPES, *options.UNREACHABLE_CODES])


@pytest.mark.parametrize(
    ("name", "icmp4", "icmp6"),  # by RFC 792, 1812 and 4443
    [
        ("destination-unreachable/port", (3, 3), (1, 4)),
        ("destination-unreachable/host", (3, 1), (1, 3)),
        ("destination-unreachable/network", (3, 0), (1, 0)),
        ("destination-unreachable/prohibited", (3, 13), (1, 1)),
        ("destination-unreachable/protocol", (3, 2), None),
        ("icmp/3/9", (3, 9), None),
        ("icmpv6/1/5", None, (1, 5)),
    ],
)
def test_a_code_narrows_a_type_to_that_code(name, icmp4, icmp6):
    assert filtered_codes([name], 4) == ({icmp4} if icmp4 else set())
    assert filtered_codes([name], 6) == ({icmp6} if icmp6 else set())


def test_a_type_with_and_without_a_code_is_the_whole_type():
    assert filtered_codes(["icmp/3/9", "icmp/3", "icmp/8/1"], 4) == {(3, code) for code in range(256)} | {(8, 1)}


def test_no_type_at_all_is_refused():
    with pytest.raises(PingKillerError, match="^icmp_types is empty: name the types to filter"):
        FilterOptions.checked(icmp_types=[])


def test_order_and_doubles_of_types_do_not_matter():
    one = FilterOptions.checked(icmp_types=["redirect", "echo-request", "redirect"])
    assert one == FilterOptions.checked(icmp_types=("echo-request", "redirect"))
    assert one.as_dict()["icmp_types"] == ["echo-request", "redirect"]


def test_the_defaults_touch_ping_and_nothing_else():
    assert FilterOptions()[:6] == ("xdp", "auto", "pass", ("echo-request",), True, False)
    assert DEFINES == {
        "HOOK_TC": "0",
        "POLICY": "POLICY_PASS",
        "FILTERS_ICMP4(t,c)": "((t)==8)",
        "FILTERS_ICMP6(t,c)": "((t)==128)",
        "PROTECT": "1",
        "MONITOR": "0",
        "RATELIMIT_PPS": "0",
        "RATELIMIT_BLOCK_NS": "60000000000ULL",
        "RATELIMIT_IPV6_PREFIX": "64",
        "TIMING_SAMPLE": "0",
        "EVENTS": "0",
        "EVENTS_PER_SECOND": "1000",
        "TICKS_PER_SECOND": str(options.ticks_per_second()),
        "TRACE_EXCLUDES4(w)": "(0)",
        "TRACE_EXCLUDES6(w)": "(0)",
    }


def test_the_kernel_has_as_many_ticks_as_it_may_be_configured_for():
    assert options.ticks_per_second() in (100, 250, 300, 1000)


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ({"policy": "drop"}, {"POLICY": "POLICY_DROP"}),
        ({"protect": False}, {"PROTECT": "0"}),
        ({"monitor": True}, {"MONITOR": "1"}),
        ({"icmp_types": ("timestamp-request",)}, {"FILTERS_ICMP4(t,c)": "((t)==13)", "FILTERS_ICMP6(t,c)": "(0)"}),
        ({"hook": "tc_ingress"}, {"HOOK_TC": "1"}),
        ({"hook": "tc_egress"}, {"HOOK_TC": "1"}),
        ({"ratelimit_pps": 7}, {"RATELIMIT_PPS": "7"}),
        ({"ratelimit_block_time": 5}, {"RATELIMIT_BLOCK_NS": "5000000000ULL"}),
        ({"ratelimit_sources": 5}, {}),  # the size of a map
        ({"ratelimit_ipv6_prefix": 48}, {"RATELIMIT_IPV6_PREFIX": "48"}),
        ({"timing_sample": 100}, {"TIMING_SAMPLE": "100"}),
        ({"events": "dropped"}, {"EVENTS": "EVENTS_DROPPED"}),
        ({"events": "all_icmp"}, {"EVENTS": "EVENTS_ALL_ICMP"}),
        ({"events": "trace"}, {"EVENTS": "EVENTS_TRACE"}),
        ({"events_per_second": 5}, {"EVENTS_PER_SECOND": "5"}),
        ({"mode": "generic"}, {}),  # how to attach is not compiled in
    ],
)
def test_every_option_is_a_definition_of_its_own(option, changed):
    assert options.definitions(FilterOptions(**option)) == {**DEFINES, **changed}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"ratelimit_pps": -1}, "ratelimit_pps=-1 is out of range: give 0 to 10000000"),
        ({"ratelimit_sources": 0}, "ratelimit_sources=0 is out of range: give 1 to 16000000"),
        ({"ratelimit_ipv6_prefix": 0}, "ratelimit_ipv6_prefix=0 is out of range: give 1 to 128"),
        ({"ratelimit_ipv6_prefix": 129}, "ratelimit_ipv6_prefix=129 is out of range: give 1 to 128"),
        ({"timing_sample": -1}, "timing_sample=-1 is out of range: give 0 to 1000000000"),
        ({"events_per_second": 0}, "events_per_second=0 is out of range: give 1 to 10000000"),
        (
            {"ratelimit_block_time": "soon"},
            "ratelimit_block_time='soon' is not a duration: write a number of seconds above 0, or one like 90s, 10m, 1h or 2d",
        ),
        (
            {"events": "dropped", "trace_exclude": ("192.0.2.1",)},
            "trace_exclude is for events=trace: set that too, or leave trace_exclude out",
        ),
        (
            {"events": "trace", "trace_exclude": ("192.0.2.1/24",)},
            "trace_exclude: '192.0.2.1/24' has bits set behind its prefix: write 192.0.2.0/24 for the network or 192.0.2.1 "
            "for the one address",
        ),
        (
            {"events": "trace", "trace_exclude": tuple(f"192.0.2.{number}" for number in range(65))},
            "trace_exclude has 65 entries and may have 64: name networks instead",
        ),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(option, said):
    with pytest.raises(PingKillerError) as refusal:
        FilterOptions.checked(**option)
    assert str(refusal.value) == said


def test_a_duration_is_kept_in_seconds():
    assert FilterOptions.checked(ratelimit_block_time="10m").ratelimit_block_time == 600


def test_options_are_read_as_they_were_stored():
    chosen = FilterOptions.checked(events="trace", trace_exclude=("::1", "10.0.0.0/8"), icmp_types=("redirect",))
    assert FilterOptions.from_dict(json.loads(json.dumps(chosen.as_dict()))) == chosen


def test_options_stored_by_an_older_version_have_the_defaults_of_today():
    assert FilterOptions.from_dict({"policy": "drop", "no_longer": 1}) == FilterOptions(policy="drop")


def excludes(text, address):
    """Whether the C macro leaves the address out."""
    words = struct.unpack(f"={len(address) // 4}I", address)
    chosen = FilterOptions.checked(events="trace", trace_exclude=(text,))
    macro = options.definitions(chosen)["TRACE_EXCLUDES4(w)" if len(address) == 4 else "TRACE_EXCLUDES6(w)"]
    return bool(eval(as_python(re.sub(r"(\d)u", r"\1", macro)), {"w": words}))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.data())
def test_a_trace_leaves_out_exactly_the_network_asked_for(address, data):
    length = data.draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network((address, length), strict=False)
    if network.version == 6 and network.network_address.ipv4_mapped:
        return  # means an IPv4 network
    assert excludes(str(network), network.network_address.packed)
    assert excludes(str(network), network.broadcast_address.packed)
    if length:
        bit = 1 << (address.max_prefixlen - data.draw(st.integers(1, length)))
        outside = int(address) ^ bit
        assert not excludes(str(network), outside.to_bytes(len(address.packed), "big"))
    assert not excludes(str(network), bytes(16 if address.version == 4 else 4))


def build_id(sources=SOURCES, defines=DEFINES, bcc="0.26.0"):
    return options.build_id(sources, defines, bcc)


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
