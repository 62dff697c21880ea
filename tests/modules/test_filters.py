# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xdp_filter attaches, changes and keeps filters as requested."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile

import built
import pytest
from machine import (
    BPFFS,
    held,
    ip,
    look,
    modes,
    mount,
    ping,
    program,
    put_foreign_program,
    umount,
)
from running import SOURCES, changed, facts, refused, run, unchanged
from schemas import replaced

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import netlink

_CHANGES_OF_LINKS = 1  # RTMGRP_LINK of linux/rtnetlink.h

REFUSED_NATIVE = (
    "lo runs in generic mode, which is slower, because the driver refused native mode: "
    "Underlying driver does not support XDP in native mode; mode auto tries again once the MTU is smaller, or if you run "
    "xdp_filter with mode=native"
)


LOOPBACK = (
    "the filter on lo sees only what the host sends to itself, and nothing that arrives from others: name the interfaces that "
    "packets arrive on, or none for those of the default routes"
)


def temporary_files_in(directory):
    """Return a function that makes the module's process put its temporary files there."""
    return lambda: setattr(tempfile, "tempdir", str(directory))


def counters(interface: str, reason: str) -> int:
    """Return how many IPv4 packets a filter counted under a reason."""
    return facts()["filters"][interface]["counters"]["reasons"][reason]["ipv4"]["packets"]


@contextlib.contextmanager
def never_without_a_program(*interfaces: str):
    """Check by the kernel's reports that every change of a link brought another program and none left it without."""
    for interface in interfaces:
        ip("link", "set", interface, "addrgenmode", "none", "up")  # sends nothing, so counters stay exact
    before = {interface: program(interface) for interface in interfaces}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as told:
        told.bind((0, _CHANGES_OF_LINKS))
        yield
        changes: list[netlink.Message] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                changes += netlink.messages(told.recv(1 << 16))
    links = [netlink.decode_link(change.body) for change in changes]
    for interface in interfaces:
        programs = [next(iter(link.programs.values()), None) for link in links if link.name == interface]
        assert set(programs) - {before[interface]} == {program(interface)}


def give_default_route(interface: str, metric: str = "0", family: str = "-4"):
    address, gateway = ("192.0.2.1/24", "192.0.2.254") if family == "-4" else ("2001:db8::1/64", "2001:db8::fe")
    ip("link", "set", interface, "up")
    ip(family, "addr", "add", address, "dev", interface, *(["nodad"] if family == "-6" else []))
    ip(family, "route", "add", "default", "via", gateway, "dev", interface, "metric", metric)


def test_a_filter_runs_natively_and_drops_what_is_listed():
    result = changed("xdp_filter", interface="pk0")
    assert result["filters"]["pk0"]["mode"] == "native"
    assert result["filters"]["pk0"]["program"]["id"] == program("pk0")
    assert result["filters"]["pk0"]["program"]["name"] == "pingkiller"
    assert result["warnings"] == []
    changed("xdp_blocklist", ip="192.0.2.1")
    assert [ping("pk0", source) for source in ("192.0.2.1", "192.0.2.2")] == ["drop", "pass"]


@pytest.mark.parametrize(
    "routes",
    [
        [("pk0", "0", "-4")],
        [("pk0", "0", "-6")],
        [("pk1", "200", "-4"), ("pk0", "100", "-4")],
    ],
)
def test_the_interface_is_that_of_the_default_route(routes):
    for route in routes:
        give_default_route(*route)
    assert list(run("xdp_filter", check=True)["filters"]) == ["pk0"]


def test_a_filter_without_a_named_interface_is_on_the_default_route():
    give_default_route("pk1")
    changed("xdp_filter")
    assert program("pk1")
    assert not program("pk0")
    unchanged("xdp_filter")


@pytest.mark.parametrize("interface", ["pk0,pk1", ["pk0", "pk1"], "pk1,pk0,pk1"])
def test_several_interfaces_are_a_list_or_a_string_with_commas(interface):
    assert sorted(run("xdp_filter", interface=interface, check=True)["filters"]) == ["pk0", "pk1"]


def test_several_interfaces_have_a_filter_each():
    changed("xdp_filter", interface="pk0,pk1")
    assert program("pk0") != program("pk1")
    changed("xdp_blocklist", ip="192.0.2.1")
    ping("pk0", "192.0.2.1", 2)
    ping("pk1", "192.0.2.1", 3)
    assert (counters("pk0", "blocklist"), counters("pk1", "blocklist")) == (2, 3)
    unchanged("xdp_filter", interface="pk1")


def test_filters_may_have_options_of_their_own(filtered):
    running = program(filtered)
    changed("xdp_filter", interface="pk1", policy="drop")
    assert program(filtered) == running
    assert [ping(name, "192.0.2.1") for name in ("pk0", "pk1")] == ["pass", "drop"]
    unchanged("xdp_filter", interface="pk0")
    unchanged("xdp_filter", interface="pk1", policy="drop")


def test_another_option_replaces_the_program_without_a_gap_and_keeps_lists_and_counters(filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    changed("xdp_allowlist", ip="192.0.2.2")
    for source, number in (("192.0.2.1", 3), ("192.0.2.2", 2), ("192.0.2.3", 4)):
        ping(filtered, source, number)
    before, lists = facts(), held()
    with never_without_a_program(filtered):
        result = changed("xdp_filter", interface=filtered, policy="drop")
    after = facts()
    assert after["filters"][filtered]["program"]["id"] == result["filters"][filtered]["program"]["id"]
    assert result["filters"][filtered]["program"]["id"] != before["filters"][filtered]["program"]["id"]
    assert after["filters"][filtered]["counters"] == before["filters"][filtered]["counters"]
    assert after["filters"][filtered]["options"]["policy"] == "drop"
    assert held() == lists
    assert [ping(filtered, f"192.0.2.{host}") for host in (1, 2, 3)] == ["drop", "pass", "drop"]
    assert [counters(filtered, reason) for reason in ("blocklist", "allowlist", "policy_pass", "policy_drop")] == [
        4,
        3,
        4,
        1,
    ]
    entries = facts()["lists"]["blocklist"]["entries"]
    assert [(each["ip"], each["packets"]) for each in entries] == [("192.0.2.1", 4)]


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"policy": "drop", "monitor": True}, "pass"),
        ({"policy": "drop", "icmp_types": ["timestamp-request"]}, "pass"),
        ({"policy": "drop", "icmp_types": "icmp/8,icmpv6/1"}, "drop"),
        ({"policy": "drop", "icmp_types": "all", "protect": False}, "drop"),
    ],
)
def test_an_option_does_what_it_says(options, verdict):
    changed("xdp_filter", interface="pk0", **options)
    assert ping("pk0", "192.0.2.1") == verdict
    unchanged("xdp_filter", interface="pk0", **options)


def test_what_is_not_named_stays_as_it_is():
    changed("xdp_filter", interface="pk0", policy="drop", icmp_types="timestamp-request", ratelimit_pps=9)
    result = changed("xdp_filter", interface="pk0", events="dropped")
    assert result["warnings"] == []
    kept = {"policy": "drop", "icmp_types": ["timestamp-request"], "ratelimit_pps": 9}
    assert result["filters"]["pk0"]["kept"] == kept
    assert result["diff"]["before"]["filters"]["pk0"].items() >= {**kept, "events": "none"}.items()
    assert result["diff"]["after"]["filters"]["pk0"].items() >= {**kept, "events": "dropped"}.items()
    options = facts()["filters"]["pk0"]["options"]
    assert options == {**FilterOptions().as_dict(), **kept, "events": "dropped"}
    unchanged("xdp_filter", interface="pk0")
    unchanged("xdp_filter", interface="pk0", policy="drop")


def test_a_change_of_a_filter_that_goes_on_to_monitor_says_that_it_drops_nothing():
    changed("xdp_filter", interface="pk0", monitor=True)
    said = ["the filter on pk0 still only monitors, so it drops nothing: give monitor=false, too, to have it drop"]
    assert run("xdp_filter", interface="pk0", policy="drop", check=True)["warnings"] == said
    assert changed("xdp_filter", interface="pk0", policy="drop")["warnings"] == said
    assert changed("xdp_filter", interface="pk0", monitor=False)["warnings"] == []


def test_a_new_filter_has_the_defaults_whatever_another_has():
    changed("xdp_filter", interface="pk0", policy="drop", ratelimit_pps=9)
    changed("xdp_filter", interface="pk0,pk1", events="dropped")
    told = facts()["filters"]
    assert [told[name]["options"]["policy"] for name in ("pk0", "pk1")] == ["drop", "pass"]
    changed("xdp_filter", interface="pk0", hook="tc_ingress")
    assert facts()["filters"]["pk0/tc_ingress"]["options"]["policy"] == "pass"
    changed("xdp_filter", interface="pk0", state="absent")
    assert changed("xdp_filter", interface="pk0")["filters"]["pk0"]["options"]["policy"] == "pass"


def test_a_reset_puts_back_what_is_not_named():
    changed("xdp_filter", interface="pk0", policy="drop", ratelimit_pps=9)
    result = changed("xdp_filter", interface="pk0", events="dropped", reset=True)
    assert result["filters"]["pk0"]["options"] == {**FilterOptions().as_dict(), "events": "dropped"}
    assert result["filters"]["pk0"]["kept"] == {}
    unchanged("xdp_filter", interface="pk0", events="dropped", reset=True)


def test_what_is_not_named_stays_though_the_pins_are_gone():
    changed("xdp_filter", interface="pk0", policy="drop")
    umount(BPFFS)
    assert run("xdp_filter", interface="pk0", check=True)["filters"]["pk0"]["options"]["policy"] == "drop"
    assert run("xdp_filter", interface="pk0")["filters"]["pk0"]["options"]["policy"] == "drop"


def test_addresses_left_out_of_a_trace_go_with_the_trace_and_that_is_said():
    changed("xdp_filter", interface="pk0", events="trace", trace_exclude="192.0.2.0/24")
    changed("xdp_filter", interface="pk0", trace_exclude="192.0.2.1")
    said = "the filter on pk0 no longer has its trace_exclude, which is for events=trace only"
    assert run("xdp_filter", interface="pk0", events="dropped", check=True)["warnings"] == [said]
    assert changed("xdp_filter", interface="pk0", events="dropped")["warnings"] == [said]
    assert facts()["filters"]["pk0"]["options"]["trace_exclude"] == []
    assert "trace_exclude is for events=trace" in refused("xdp_filter", interface="pk0", trace_exclude="192.0.2.1")


def test_protected_redirects_go_with_the_protection_and_that_is_said():
    changed("xdp_filter", interface="pk0", protect_redirects=True)
    said = "the filter on pk0 no longer has its protect_redirects, which is for protect=true only"
    assert changed("xdp_filter", interface="pk0", protect=False)["warnings"] == [said]
    assert not facts()["filters"]["pk0"]["options"]["protect_redirects"]


def test_filters_that_a_new_capacity_takes_along_are_not_among_those_asked_for():
    changed("xdp_filter", interface="pk0,pk1")
    for check in (True, False):
        told = run("xdp_filter", interface="pk0", max_entries=100, check=check)
        assert list(told["filters"]) == ["pk0"]
        assert told["diff"]["after"]["filters"].keys() == {"pk0", "pk1"}


def test_bad_options_are_refused_before_anything_is_put_right(filtered):
    umount(BPFFS)
    assert "is out of range" in refused("xdp_filter", interface=filtered, ratelimit_pps=-1)
    assert not os.path.ismount(BPFFS)


def test_other_sources_replace_the_program(filtered):
    before = run("xdp_filter", interface=filtered)["filters"][filtered]
    newer = {**SOURCES, "pingkiller.c": SOURCES["pingkiller.c"] + "/* of the next version */\n"}
    after = changed("xdp_filter", interface=filtered, _sources=newer)["filters"][filtered]
    assert after["build_id"] != before["build_id"]
    assert after["program"]["id"] == program(filtered) != before["program"]["id"]


@pytest.mark.parametrize("there", [False, True])
def test_sources_that_do_not_compile_leave_everything_as_it_was(there, tmp_path):
    if there:
        changed("xdp_filter", interface="pk0", policy="drop")
    before = look()
    broken = replaced(SOURCES, ("verdict.h", "return REASON_NOT_ICMP;", "return NO_SUCH_REASON;"))
    said = run("xdp_filter", temporary_files_in(tmp_path), interface="pk0", _sources=broken)["msg"]
    assert said.startswith("the filter does not compile or load on this host (")
    assert "verdict.h:" in said
    assert "use of undeclared identifier 'NO_SUCH_REASON'" in said
    assert look() == before
    assert os.listdir(tmp_path) == []


def test_a_program_that_the_verifier_refuses_leaves_everything_as_it_was(filtered):
    before = look()
    unsafe = replaced(SOURCES, ("pingkiller.c", "return drop;", "return *(int *)8 + drop;"))
    said = run("xdp_filter", interface=filtered, _sources=unsafe)["msg"]
    assert said.startswith("the filter does not compile or load on this host (")
    assert "invalid mem access" in said
    assert look() == before


def test_lists_of_another_size_keep_their_entries_and_counts(filtered):
    changed("xdp_filter", interface="pk1", policy="drop")
    changed("xdp_blocklist", ip="192.0.2.1,198.51.100.0/24,2001:db8::/32")
    changed("xdp_blocklist", ip="192.0.2.1", owner="feed", direction="both")
    changed("xdp_allowlist", ip="192.0.2.7")
    for source, times in (("192.0.2.1", 3), ("198.51.100.9", 2), ("192.0.2.7", 4)):
        ping(filtered, source, times)
    lists = held()
    for size in (70000, 3):
        before = facts()
        with never_without_a_program(filtered, "pk1"):
            assert changed("xdp_filter", interface=filtered, max_entries=size)["max_entries"] == size
        after = facts()
        assert held() == lists
        for name in ("blocklist", "allowlist"):
            assert after["lists"][name] == {**before["lists"][name], "capacity": size}
        for interface in (filtered, "pk1"):
            now, then = (told["filters"][interface] for told in (after, before))
            assert now["program"]["id"] != then["program"]["id"]
            assert (now["counters"], now["options"]) == (then["counters"], then["options"])
            verdicts = [ping(interface, source) for source in ("192.0.2.1", "198.51.100.9", "192.0.2.7")]
            assert verdicts == ["drop", "drop", "pass"]
        unchanged("xdp_filter", interface=filtered, max_entries=size)
        unchanged("xdp_filter", interface="pk1", policy="drop")
    assert [each["packets"] for each in facts()["lists"]["blocklist"]["entries"]] == [3 + 4, 2 + 4, 0]


def test_lists_keep_their_size_if_no_other_is_asked_for():
    changed("xdp_filter", interface="pk0", max_entries=10)
    unchanged("xdp_filter", interface="pk0")
    assert run("xdp_filter", interface="pk0", policy="drop", check=True)["max_entries"] == 10


def test_auto_falls_back_to_generic_mode_and_says_why_every_time():
    first = changed("xdp_filter", interface="lo")
    assert first["filters"]["lo"]["mode"] == "generic"
    assert first["warnings"] == [LOOPBACK, REFUSED_NATIVE]
    assert unchanged("xdp_filter", interface="lo")["warnings"] == [LOOPBACK, REFUSED_NATIVE]
    assert changed("xdp_filter", interface="lo", policy="drop")["warnings"] == [LOOPBACK, REFUSED_NATIVE]
    assert unchanged("xdp_filter", interface="lo", policy="drop")["warnings"] == [LOOPBACK, REFUSED_NATIVE]
    told = facts()["filters"]["lo"]
    assert (told["mode"], told["mode_reason"]) == ("generic", "Underlying driver does not support XDP in native mode")


def test_auto_tries_native_mode_again_when_the_mtu_is_smaller():
    ip("link", "set", "pk1", "mtu", "9000")
    ip("link", "set", "pk0", "mtu", "9000")
    first = changed("xdp_filter", interface="pk0")
    assert first["filters"]["pk0"]["mode"] == "generic", first
    unchanged("xdp_filter", interface="pk0")
    for name in ("pk0", "pk1"):
        ip("link", "set", name, "mtu", "1500")
    assert run("xdp_filter", interface="pk0", check=True)["changed"]
    result = changed("xdp_filter", interface="pk0")
    assert (result["filters"]["pk0"]["mode"], result["warnings"]) == ("native", [])
    unchanged("xdp_filter", interface="pk0")


def test_generic_mode_that_was_asked_for_needs_no_explanation():
    changed("xdp_filter", interface="lo")
    assert run("xdp_filter", interface="lo", mode="generic")["warnings"] == [LOOPBACK]
    assert facts()["filters"]["lo"]["mode_reason"] is None


def test_the_mode_changes_both_ways_and_the_counters_stay(filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    for number, (mode, expected) in enumerate((("generic", "generic"), ("auto", "native"))):
        ping(filtered, "192.0.2.1")
        result = changed("xdp_filter", interface=filtered, mode=mode)
        assert result["filters"][filtered]["mode"] == expected
        assert counters(filtered, "blocklist") == number + 1
        unchanged("xdp_filter", interface=filtered, mode=mode)


def test_an_interface_that_cannot_stays_free_beside_one_that_can():
    assert "'lo' cannot take the filter in native mode" in run("xdp_filter", interface="pk0,lo", mode="native")["msg"]
    assert list(facts()["filters"]) == ["pk0"]
    assert ping("pk0", "192.0.2.1") == "pass"
    unchanged("xdp_filter", interface="pk0", mode="native")


def test_a_program_that_the_kernel_keeps_for_a_device_above_goes_on_and_the_way_out_is_named(filtered):
    ip("link", "add", "above", "type", "bridge")
    ip("link", "set", filtered, "master", "above")
    changed("xdp_filter", interface="above")
    before = program(filtered)
    said = run("xdp_filter", interface=filtered, policy="drop")["msg"]
    assert "take the filter off that device, or give it hook tc_ingress, and run again" in said
    assert program(filtered) == before
    changed("xdp_filter", interface="above", state="absent")
    changed("xdp_filter", interface="above", hook="tc_ingress")
    changed("xdp_filter", interface=filtered, policy="drop")


def test_an_interface_with_a_dot_in_its_name_can_have_a_filter():
    ip("link", "set", "pk0", "name", "pk0.100")
    changed("xdp_filter", interface="pk0.100")
    changed("xdp_blocklist", ip="192.0.2.1")
    assert ping("pk0.100", "192.0.2.1") == "drop"
    assert list(facts()["filters"]) == ["pk0.100"]
    unchanged("xdp_filter", interface="pk0.100")
    changed("xdp_filter", interface="pk0.100", policy="drop")
    changed("xdp_filter", interface="pk0.100", state="absent")
    assert not program("pk0.100")
    assert facts()["filters"] == {}


def test_pins_are_for_root_alone_whatever_the_umask():
    changed("xdp_filter", lambda: os.umask(0), interface="pk0")
    changed("xdp_filter", lambda: os.umask(0), interface="pk0", max_entries=100)
    found = modes()
    assert len(found) == 1 + 2 + 3 + 2 * 6 + 3  # base, directories, host maps, both lists, the filter
    assert set(found.values()) == {(True, 0o700), (False, 0o600)}


@pytest.mark.parametrize("base", [f"{BPFFS}/one/two", "/run/bpf/three"])
def test_another_base_is_another_set_of_lists(base):
    os.mkdir("/run/bpf")
    mount("bpf", "/run/bpf")
    changed("xdp_filter", lambda: os.umask(0), interface="pk0", base=base)
    changed("xdp_blocklist", ip="192.0.2.1", base=base)
    assert ping("pk0", "192.0.2.1") == "drop"
    assert facts(base=base)["filters"]["pk0"]["mode"] == "native"
    assert held(base)["blocklist"]
    assert facts()["filters"] == {}
    assert os.stat(os.path.dirname(base)).st_mode & 0o777 == 0o700
    # A filter that reads other lists counts as foreign.
    assert "name pingkiller" in refused("xdp_filter", interface="pk0")
    changed("xdp_filter", state="absent", base=base)
    assert not os.path.exists(base)


def test_a_filter_that_somebody_took_off_comes_back_with_its_counters(filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    ping(filtered, "192.0.2.1")
    ip("link", "set", "dev", filtered, "xdp", "off")
    changed("xdp_filter", interface=filtered)
    assert ping(filtered, "192.0.2.1") == "drop"
    assert counters(filtered, "blocklist") == 2


def test_an_interface_that_was_made_anew_gets_its_filter_with_its_counters(filtered):
    ping(filtered, "192.0.2.1")
    ip("link", "del", filtered)
    ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")
    assert "no filter is attached on this host" in changed("xdp_blocklist", ip="192.0.2.1")["warnings"][0]
    changed("xdp_filter", interface=filtered)
    assert ping(filtered, "192.0.2.1") == "drop"
    assert counters(filtered, "policy_pass") == 1


def test_a_filter_that_somebody_replaced_is_not_put_back_by_force(filtered):
    ip("link", "set", "dev", filtered, "xdp", "off")
    foreign = put_foreign_program(filtered)
    assert "name somebody_else" in refused("xdp_filter", interface=filtered)
    changed("xdp_filter", state="absent")
    assert program(filtered) == foreign.id


def test_nothing_of_the_compiler_is_left(tmp_path):
    changed("xdp_filter", built.anew, temporary_files_in(tmp_path), interface="pk0")
    assert os.listdir(tmp_path) == os.listdir("/run") == []
