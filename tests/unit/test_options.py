# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter's options, what the compiler is told of them, and the build id."""

from __future__ import annotations

import os

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
    """The ICMP types that the C macro is true for."""
    macro = options.definitions(FilterOptions.checked(icmp_types=chosen))[f"FILTERS_ICMP{family}(t,c)"]
    condition = compile(macro.replace("||", " or "), "macro", "eval")
    return {number for number in range(256) if eval(condition, {"t": number})}


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
    ["ping", "Echo-Request", "", "icmp/256", "icmp/-1", "icmp/", "icmp/\u0668", "icmp6/1", "8", "icmp/8/0", "/8"],
)
def test_what_is_no_type_is_refused_with_those_that_exist(name):
    with pytest.raises(PingKillerError) as refusal:
        FilterOptions.checked(icmp_types=["echo-request", name])
    said = str(refusal.value)
    assert said.startswith(f"icmp_types: {name!r} is no ICMP type: use all, icmp/NUMBER or icmpv6/NUMBER (0 to 255), ")
    assert all(known in said for known in options.ICMP_TYPES)


def test_no_type_at_all_is_refused():
    with pytest.raises(PingKillerError, match="^icmp_types is empty: name the types to filter"):
        FilterOptions.checked(icmp_types=[])


def test_order_and_doubles_of_types_do_not_matter():
    one = FilterOptions.checked(icmp_types=["redirect", "echo-request", "redirect"])
    assert one == FilterOptions.checked(icmp_types=("echo-request", "redirect"))
    assert one.as_dict()["icmp_types"] == ["echo-request", "redirect"]


def test_the_defaults_touch_ping_and_nothing_else():
    assert FilterOptions() == ("auto", "pass", ("echo-request",), True, False)
    assert DEFINES == {
        "POLICY": "POLICY_PASS",
        "FILTERS_ICMP4(t,c)": "((t)==8)",
        "FILTERS_ICMP6(t,c)": "((t)==128)",
        "PROTECT": "1",
        "MONITOR": "0",
    }


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ({"policy": "drop"}, {"POLICY": "POLICY_DROP"}),
        ({"protect": False}, {"PROTECT": "0"}),
        ({"monitor": True}, {"MONITOR": "1"}),
        ({"icmp_types": ("timestamp-request",)}, {"FILTERS_ICMP4(t,c)": "((t)==13)", "FILTERS_ICMP6(t,c)": "(0)"}),
        ({"mode": "generic"}, {}),  # how to attach is not compiled in
    ],
)
def test_every_option_is_a_definition_of_its_own(option, changed):
    assert options.definitions(FilterOptions(**option)) == {**DEFINES, **changed}


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
