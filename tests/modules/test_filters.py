# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters come onto interfaces, change and stay, as xdp_filter is asked to."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile

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
)
from running import SOURCES, changed, facts, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import netlink

_CHANGES_OF_LINKS = 1  # RTMGRP_LINK of linux/rtnetlink.h

REFUSED_NATIVE = (
    "lo runs in generic mode, which is slower, because the driver refused native mode: "
    "Underlying driver does not support XDP in native mode"
)


def temporary_files_in(directory):
    """What lets the module's process put its temporary files there."""
    return lambda: setattr(tempfile, "tempdir", str(directory))


def counters(interface: str, reason: str) -> int:
    """Packets that a filter counted, of IPv4."""
    return facts()["filters"][interface]["counters"]["reasons"][reason]["ipv4"]["packets"]


@contextlib.contextmanager
def never_without_a_program(*interfaces: str):
    """The kernel tells of every change of a link that is up: each brought another program, and none left it without."""
    for interface in interfaces:
        ip("link", "set", interface, "addrgenmode", "none", "up")  # and silent, for the sake of its counters
    before = {interface: program(interface) for interface in interfaces}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as told:
        told.bind((0, _CHANGES_OF_LINKS))
        yield
        changes: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                netlink._collect(told.recv(1 << 16), changes)
    links = [netlink._decode(change) for change in changes]
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
        [("pk1", "100", "-6"), ("pk0", "200", "-4")],
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
    broken = {**SOURCES, "verdict.h": SOURCES["verdict.h"].replace("return NOT_ICMP;", "return NO_SUCH_REASON;")}
    said = run("xdp_filter", temporary_files_in(tmp_path), interface="pk0", _sources=broken)["msg"]
    assert said.startswith("the filter does not compile or load on this host (")
    assert "verdict.h:" in said
    assert "use of undeclared identifier 'NO_SUCH_REASON'" in said
    assert look() == before
    assert os.listdir(tmp_path) == []


def test_a_program_that_the_verifier_refuses_leaves_everything_as_it_was(filtered):
    before = look()
    unsafe = {
        **SOURCES,
        "pingkiller.c": SOURCES["pingkiller.c"].replace("return reason >=", "return *(int *)8 + reason >="),
    }
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
    assert first["warnings"] == [REFUSED_NATIVE]
    assert unchanged("xdp_filter", interface="lo")["warnings"] == [REFUSED_NATIVE]
    assert changed("xdp_filter", interface="lo", policy="drop")["warnings"] == [REFUSED_NATIVE]
    assert unchanged("xdp_filter", interface="lo", policy="drop")["warnings"] == [REFUSED_NATIVE]
    told = facts()["filters"]["lo"]
    assert (told["mode"], told["mode_reason"]) == ("generic", "Underlying driver does not support XDP in native mode")


def test_generic_mode_that_was_asked_for_needs_no_explanation():
    changed("xdp_filter", interface="lo")
    assert run("xdp_filter", interface="lo", mode="generic")["warnings"] == []
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


def test_a_base_that_somebody_opened_is_closed_again():
    changed("xdp_blocklist", ip="192.0.2.1")
    os.chmod("/sys/fs/bpf/pingkiller", 0o777)
    changed("xdp_blocklist", ip="192.0.2.2")
    assert modes()["/sys/fs/bpf/pingkiller"] == (True, 0o700)


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
    assert os.stat(os.path.dirname(base)).st_mode & 0o777 == (0o700 if "one" in base else 0o777)
    # A filter that reads other lists is not ours to change.
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
    changed("xdp_filter", temporary_files_in(tmp_path), interface="pk0")
    assert os.listdir(tmp_path) == os.listdir("/run") == []
