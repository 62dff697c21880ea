# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller explain``: what it says of an address is what the attached filters do with its pings."""

from __future__ import annotations

import itertools
import json
import random
import socket
import struct
import subprocess
import time

import pytest
from machine import BPFFS, CONFIG, echo_request, held, ip, mount, nothing_to_lock, umount
from running import changed

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.explain import explain
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.listed import Listed
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import filter_programs
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.entry_list import opened_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.records import Records

FINE, ERROR = 0, 1
ADDRESS = "203.0.113.9"
_PASSING = {"xdp": 2, "tc_ingress": 0xFFFFFFFF, "tc_egress": 0xFFFFFFFF}
_ICMP6 = 58


def ping_between(source: bytes, destination: bytes) -> bytes:
    """Return an echo request from one address to another."""
    if len(source) == 4:
        frame = echo_request(socket.inet_ntoa(source))
        return frame[:30] + destination + frame[34:]
    ipv6 = struct.pack(">IHBB", 0x60000000, 8, _ICMP6, 64) + source + destination
    return bytes(12) + b"\x86\xdd" + ipv6 + b"\x80" + bytes(7)


def counted(pins: Pins, name: str) -> dict:
    """Return what a filter has counted, by reason."""
    sums: dict = {}
    with pins.open_map(pins.filter_pin(name, "counters")) as counters:
        for cpu in map(schema.LAYOUTS["counters"].unpack, counters.lookup_percpu(schema.ZERO)):
            for field, number in cpu.items():
                if field.endswith(".packets"):
                    reason = field.rpartition(".")[0].rpartition(".")[0]
                    sums[reason] = sums.get(reason, 0) + number
    return sums


_number = itertools.count()


def _other(size: int) -> bytes:
    """Return an address that is on no list, and that no rate limit has counted yet."""
    number = struct.pack(">H", next(_number))
    return b"\xc6\x12" + number if size == 4 else b"\x3f\xff" + number + bytes(12)


def in_the_kernel(name: str, text: str, side: int) -> tuple:
    """Return the verdict and reason of the attached filter for a ping with an address on one side."""
    address = addresses.split(addresses.parse(text)).address
    other = _other(len(address))
    frame = ping_between(address, other) if side == schema.SOURCE else ping_between(other, address)
    pins = Pins(DEFAULT_BASE)
    found, before = filter_programs.running(pins, name), counted(pins, name)
    with bpf.Program.from_id(found.info.id) as program:
        verdict = program.test_run(frame).verdict
    (reason,) = (reason for reason, number in counted(pins, name).items() if number > before[reason])
    monitored = reason.startswith("would_drop.")
    passes = verdict == _PASSING[name.partition("/")[2] or "xdp"]
    assert passes or not monitored
    return "would_drop" if monitored else "pass" if passes else "drop", reason.rpartition(".")[2]


def packets(entry: Listed | None) -> int:
    """Return how many packets have been counted on an entry."""
    if entry is None:
        return 0
    with opened_list(Pins(DEFAULT_BASE), entry.list_name) as entries:
        return entries.records.counts(entries.slot_of(entry.key)).packets


def explained(*texts: str) -> list:
    return explain(DEFAULT_BASE, Store(CONFIG), texts)


def must_agree(texts: list[str]):
    """Compare the explanation of each address with what each filter does with its pings, as source and destination."""
    assert texts
    for text, found in zip(texts, explained(*texts)):
        assert found.filters
        for judged in found.filters:
            for side, verdict in ((schema.SOURCE, judged.source), (schema.DESTINATION, judged.destination)):
                before = packets(verdict.entry)
                kernel = in_the_kernel(judged.name, text, side)
                assert packets(verdict.entry) == before + bool(verdict.entry), (text, judged.name, side)
                assert (text, judged.name, side, verdict.verdict, verdict.reason) == (text, judged.name, side, *kernel)


def attach_all():
    """Attach filters with different options on all hooks."""
    changed("xdp_filter", interface="pk0", policy="drop")
    changed("xdp_filter", interface="pk1", monitor=True, icmp_types="timestamp-request,echo-reply")
    changed("xdp_filter", interface="pk0", hook="tc_egress", policy="drop", icmp_types="all", monitor=True)
    changed("xdp_filter", interface="pk1", hook="tc_ingress", icmp_types="icmp/8/0,icmpv6/128/1", policy="drop")


LISTED = (ADDRESS, "203.0.113.0/24", "203.0.0.0/16", "2001:db8::9", "2001:db8::/32", "0.0.0.0/0", "::/0")
SITUATIONS = {
    "nothing is listed": (),
    "listed exactly": (("xdp_blocklist", {"ip": ADDRESS}),),
    "listed for the other direction": (("xdp_blocklist", {"ip": ADDRESS, "direction": "dst"}),),
    "listed for both directions": (("xdp_blocklist", {"ip": f"{ADDRESS},2001:db8::/32", "direction": "both"}),),
    "allowed in a blocked network": (("xdp_blocklist", {"ip": "203.0.113.0/24"}), ("xdp_allowlist", {"ip": ADDRESS})),
    "blocked in an allowed network": (("xdp_allowlist", {"ip": "203.0.0.0/16"}), ("xdp_blocklist", {"ip": ADDRESS})),
    "allowed as what it is not": (
        ("xdp_blocklist", {"ip": "203.0.113.0/24", "direction": "both"}),
        ("xdp_allowlist", {"ip": ADDRESS, "direction": "dst"}),
    ),
    "a narrower network for the other direction": (
        ("xdp_blocklist", {"ip": "203.0.0.0/16", "direction": "src"}),
        ("xdp_blocklist", {"ip": f"203.0.113.0/24,{ADDRESS}", "direction": "dst"}),
    ),
    "everybody is blocked as a destination": (("xdp_blocklist", {"ip": "0.0.0.0/0,::/0", "direction": "dst"}),),
    "everybody is blocked as the other side": (
        ("xdp_blocklist", {"ip": f"{ADDRESS},2001:db8::9"}),
        ("xdp_blocklist", {"ip": "0.0.0.0/0,::/0", "direction": "dst"}),
    ),
    "everybody is allowed as a source": (
        ("xdp_allowlist", {"ip": "0.0.0.0/0"}),
        ("xdp_blocklist", {"ip": f"{ADDRESS},2001:db8::9", "direction": "both"}),
    ),
}


def test_the_verdict_is_the_kernels_in_every_situation():
    attach_all()
    for name, tasks in SITUATIONS.items():
        for module, arguments in tasks:
            changed(module, **arguments)
        try:
            must_agree(
                [ADDRESS, "203.0.113.8", "203.0.112.1", "198.51.100.1", "2001:db8::9", "2001:db8:1::1", "fc00::1"]
            )
        except AssertionError as error:
            raise AssertionError(name) from error
        for module in ("xdp_blocklist", "xdp_allowlist"):
            if held()[module[len("xdp_") :]]:
                changed(module, ip=list(LISTED), state="absent")


def test_the_verdict_is_the_kernels_for_lists_made_up():
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    attach_all()
    for _round in range(3):
        tops = [bytes(chance.choices((10, 11), k=4)), bytes([32, 1, 13, 184, *chance.choices((0, 128), k=12)])]
        keys = [addresses.network(top, length) for top in tops for length in range(0, len(top) * 8 + 1, 4)]
        for module in ("xdp_blocklist", "xdp_allowlist"):
            for direction in schema.DIRECTIONS:
                some = [addresses.display(key) for key in chance.sample(keys[1:], 6)]
                changed(module, ip=some, direction=direction, owner=direction, exclusive=True)
        near = [_near(chance, top) for top in tops for _address in range(12)]
        try:
            must_agree(near)
        except AssertionError as error:
            raise AssertionError(f"with seed {seed}") from error


def _near(chance: random.Random, top: bytes) -> str:
    """Return an address that has the first bits of ``top``."""
    bits = len(top) * 8 - chance.randrange(len(top) * 8 + 1)
    flipped = int.from_bytes(top, "big") ^ (chance.getrandbits(len(top) * 8) & ((1 << (len(top) * 8 - bits)) - 1))
    return addresses.display(flipped.to_bytes(len(top), "big"))


def test_an_expired_entry_does_not_decide(filtered):
    changed("xdp_blocklist", ip=ADDRESS, ttl="1s")
    changed("xdp_blocklist", ip="203.0.113.0/24")
    (found,) = explained(ADDRESS)
    while in_the_kernel(filtered, ADDRESS, schema.SOURCE) and found.filters[0].source.entry.key == addresses.parse(
        ADDRESS
    ):
        (found,) = explained(ADDRESS)
    assert [addresses.display(entry.key) for entry in found.covers] == ["203.0.113.0/24"]
    must_agree([ADDRESS])


@pytest.mark.parametrize("monitor", [False, True])
@pytest.mark.parametrize("source", [ADDRESS, "2001:db8::9"])
def test_a_source_that_the_rate_limit_blocks_is_told_with_the_time_that_is_left(command, source, monitor):
    changed("xdp_filter", interface="pk0", ratelimit_pps=2, ratelimit_block_time="1h", monitor=monitor)
    while in_the_kernel("pk0", source, schema.SOURCE)[1] != "ratelimit":
        pass
    must_agree([source, "203.0.113.10", "2001:db8:0:1::9"])
    (found,) = explained(source)
    assert found.filters[0].source.reason == "ratelimit"
    assert 3500 < found.filters[0].blocked_for <= 3600
    said = command("explain", source).stdout.splitlines()
    assert "it sent more than 2 packets in one second, and is blocked for" in said[0]
    assert found.verdict == ("would_drop" if monitor else "drop")


def test_an_ipv6_source_is_blocked_with_its_prefix_and_no_wider_network_is():
    changed("xdp_filter", interface="pk0", ratelimit_pps=1, ratelimit_ipv6_prefix=56)
    while in_the_kernel("pk0", "2001:db8::9", schema.SOURCE)[1] != "ratelimit":
        pass
    must_agree(["2001:db8:0:ff::1", "2001:db8:0:100::1"])
    seconds = [
        found.filters[0].blocked_for for found in explained("2001:db8::/56", "2001:db8::/55", "2001:db8:0:100::1")
    ]
    assert 0 < seconds[0] <= 60
    assert seconds[1:] == [None, 0]


def test_a_host_without_filters_filters_nothing(command):
    done = command("explain", ADDRESS)
    assert (done.returncode, done.stderr) == (FINE, "")
    assert done.stdout.splitlines()[0] == (
        f"{ADDRESS}: passed, since no filter is attached on this host: nothing is filtered"
    )


def test_a_filter_that_was_taken_off_drops_nothing(command, filtered):
    changed("xdp_blocklist", ip=ADDRESS)
    ip("link", "set", "dev", filtered, "xdp", "off")
    (found,) = json.loads(command("explain", "--json", ADDRESS).stdout)["explained"]
    assert (found["verdict"], found["filters"]["pk0"]["from"]["reason"]) == ("pass", "not_attached")


def test_what_is_not_known_is_not_made_up(filtered):
    pins = Pins(DEFAULT_BASE)
    with pins.open_map(pins.filter_pin(filtered, "meta")) as meta:
        meta.update(schema.ZERO, bytes(schema.META_SIZE))
    (found,) = explained(ADDRESS)
    assert (found.verdict, found.filters[0].main.reason) == ("unknown", "not_noted")


def test_an_address_is_told_with_its_entries_owners_and_counts(command, filtered):
    changed("xdp_blocklist", ip="203.0.113.0/24", owner="inventory")
    changed("xdp_blocklist", ip="203.0.113.0/24", ttl="1h", direction="dst")
    in_the_kernel(filtered, ADDRESS, schema.SOURCE)
    (found,) = json.loads(command("explain", "--json", ADDRESS).stdout)["explained"]
    (entry,) = found["entries"]
    assert entry.pop("last_seen")
    assert entry.pop("since")
    left = entry["owners"]["adhoc"].pop("expires_in")
    assert 3500 < left <= 3600
    assert entry == {
        "list": "blocklist",
        "ip": "203.0.113.0/24",
        "direction": "both",
        "expires_in": None,
        "packets": 1,
        "bytes": 42,
        "owners": {
            "adhoc": {"direction": "dst", "comment": ""},
            "inventory": {"direction": "src", "expires_in": None, "comment": ""},
        },
    }
    first = command("explain", ADDRESS).stdout.splitlines()[0]
    assert (
        first
        == f"{ADDRESS}: pings from it are dropped on pk0, since the blocklist has 203.0.113.0/24 (owner adhoc, inventory)"
    )


def test_filters_that_differ_are_told_apart(command, filtered):
    changed("xdp_filter", interface="pk1", monitor=True)
    changed("xdp_blocklist", ip=ADDRESS)
    first = command("explain", ADDRESS).stdout.splitlines()[0]
    assert first == (
        f"{ADDRESS}: pings from it are dropped on pk0, since the blocklist has {ADDRESS} (owner adhoc); not on pk1"
    )


def test_a_filter_of_the_other_direction_is_told_with_the_pings_that_it_judges(command, filtered):
    changed("xdp_filter", interface="pk0", hook="tc_egress")
    changed("xdp_blocklist", ip=ADDRESS)
    first = command("explain", ADDRESS).stdout.splitlines()[0]
    assert first == (
        f"{ADDRESS}: pings from it are dropped on pk0, since the blocklist has {ADDRESS} (owner adhoc); "
        "pings to it are passed on pk0/tc_egress"
    )


def test_of_a_network_what_covers_it_and_what_lies_inside_is_told(command, filtered):
    inside = [f"198.51.100.{number}" for number in range(12)]
    changed(
        "xdp_blocklist",
        ip=[
            *inside,
            "198.51.100.128/25",
            "198.51.100.0/24",
            "198.51.0.0/16",
            "198.51.101.0",
            "198.51.99.255",
            "2001:db8::1",
        ],
    )
    changed("xdp_allowlist", ip="198.51.100.255", ttl="1h")
    (found,) = json.loads(command("explain", "--json", "198.51.100.0/24").stdout)["explained"]
    assert [entry["ip"] for entry in found["entries"]] == ["198.51.100.0/24", "198.51.0.0/16"]
    assert {name: each["count"] for name, each in found["inside"].items()} == {"allowlist": 1, "blocklist": 13}
    assert [entry["ip"] for entry in found["inside"]["blocklist"]["entries"]] == inside[:10]
    said = command("explain", "198.51.100.0/24").stdout.splitlines()
    assert said[0].endswith("; entries inside it may decide otherwise: 1 on the allowlist, 13 on the blocklist")
    assert said[-2].strip() == "and 3 more"


def test_what_comes_back_at_boot_is_told_with_what_differs_from_now(command, filtered, tmp_path):
    listed = tmp_path / "list"
    listed.write_text("203.0.113.0/24\n192.0.2.0/24\n")
    changed("xdp_blocklist", src=str(listed), owner="feed", persist=True)
    changed("xdp_blocklist", ip=ADDRESS, persist=False)
    changed("xdp_allowlist", ip=ADDRESS, persist=True, owner="gone", ttl="1h")
    changed("xdp_filter", interface=filtered, policy="drop", persist=True)
    changed("xdp_allowlist", ip=ADDRESS, owner="other")
    changed("xdp_allowlist", ip=ADDRESS, owner="gone", persist=True, direction="both")
    with_notes = json.loads(command("explain", "--json", ADDRESS).stdout)["explained"][0]["at_boot"]
    told = {(each["list"], each["ip"], each["owner"], each["src"], each["present"]) for each in with_notes["entries"]}
    assert told == {
        ("blocklist", "203.0.113.0/24", "feed", str(listed), True),
        ("allowlist", ADDRESS, "gone", None, True),
        ("allowlist", ADDRESS, "other", None, True),
    }
    assert "    at boot, other than now:" in command("explain", ADDRESS).stdout.splitlines()
    assert with_notes["lost"] == [{"list": "blocklist", "ip": ADDRESS, "owner": "adhoc"}]
    ip("link", "set", "dev", filtered, "xdp", "off")
    umount(BPFFS)
    mount("bpf", BPFFS)
    after = json.loads(command("explain", "--json", ADDRESS).stdout)["explained"][0]["at_boot"]
    assert [each["present"] for each in after["entries"]] == [False] * 3


def test_what_a_boot_restores_as_it_is_now_is_told_as_that(command, filtered):
    changed("xdp_blocklist", ip=ADDRESS, persist=True)
    assert command("explain", ADDRESS).stdout.splitlines()[-2:] == [
        "    at boot, as now:",
        f"        {ADDRESS} comes back on the blocklist direction=src (owner adhoc)",
    ]
    assert command("explain", "198.51.100.1").stdout.splitlines()[-1] == "    at boot: nothing that covers it"


def test_a_damaged_note_hides_nothing_else(command, filtered):
    changed("xdp_blocklist", ip=ADDRESS, persist=True)
    changed("xdp_blocklist", ip=ADDRESS, persist=True, owner="other")
    with open(f"{CONFIG}/entries/blocklist/other.json", "w") as note:
        note.write("{")
    done = command("explain", "--json", ADDRESS)
    (found,) = json.loads(done.stdout)["explained"]
    assert (done.returncode, found["verdict"]) == (FINE, "drop")
    assert [each["owner"] for each in found["at_boot"]["entries"]] == ["adhoc"]
    assert "is not JSON" in found["at_boot"]["faults"][0]


def test_an_entry_for_an_address_of_this_host_is_told(filtered):
    ip("addr", "add", "192.0.2.77/24", "dev", "pk1")
    changed("xdp_blocklist", ip="192.0.2.0/24", direction="dst")
    (found,) = explained(ADDRESS)
    (note,) = found.notes
    assert note.startswith(
        "192.0.2.77 is an address of this host, and 192.0.2.0/24 on the blocklist matches it as the destination"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("203.0.113", "'203.0.113' is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"),
        ("203.0.113.9/24", "'203.0.113.9/24' has bits set behind its prefix: write 203.0.113.0/24 for the network"),
        ("fe80::1%eth0", "'fe80::1%eth0' has a zone id"),
        ("\x1b[31m", "'\\x1b[31m' is not an IPv4 or IPv6 address"),
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence(command, text, complaint):
    done = command("explain", ADDRESS, text)
    assert (done.returncode, done.stdout) == (ERROR, "")
    assert done.stderr.startswith(f"pingkiller: {complaint}")
    assert done.stderr.count("\n") == 1


def test_explaining_waits_for_nobody_and_changes_nothing(command, filtered):
    changed("xdp_blocklist", ip=f"{ADDRESS},198.51.100.0/24")
    before = held()
    with nothing_to_lock():
        done = command("explain", ADDRESS, "198.51.0.0/16")
    assert (done.returncode, done.stderr, held()) == (FINE, "", before)


def test_an_address_is_looked_up_without_reading_the_list(filtered, monkeypatch):
    changed("xdp_blocklist", ip=f"{ADDRESS},203.0.0.0/16")

    def read(*_arguments):
        raise AssertionError("reads the whole list")

    for method in ("used", "alike", "busy"):
        monkeypatch.setattr(Records, method, read)
    assert explained(ADDRESS)[0].verdict == "drop"


def test_a_full_disk_is_told_in_one_sentence(pingkiller):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [pingkiller, "explain", ADDRESS], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == ERROR
    assert done.stderr.startswith("pingkiller: a system call failed")
    assert done.stderr.count("\n") == 1


def since_of(command) -> str | None:
    (told,) = json.loads(command("explain", "--json", ADDRESS).stdout)["explained"]
    (entry,) = told["entries"]
    return entry["since"]


def set_since(seconds: int) -> None:
    """Write when the entry was put on the list, as CLOCK_BOOTTIME in s."""
    with opened_list(Pins(DEFAULT_BASE), "blocklist") as entries:
        records, slot = entries.records, entries.slot_of(addresses.parse(ADDRESS))
        start = records.place(slot) * schema.RECORD.size + schema.RECORD.offsets["since"]
        records.as_u8[start : start + 4] = struct.pack("=I", seconds)


def test_since_when_an_entry_is_on_its_list_is_told_and_stays_over_changes(filtered, command):
    before = durations.iso(time.time() - 2)
    changed("xdp_blocklist", ip=ADDRESS)
    assert before <= since_of(command) <= durations.iso(time.time() + 1)
    set_since(durations.boot_time() // 10**9 - 3600)
    written = durations.from_iso(since_of(command))
    assert abs(written - (time.time() - 3600)) < 60
    changed("xdp_blocklist", ip=ADDRESS, ttl="1h")  # edits the entry
    changed("xdp_filter", interface="pk0", max_entries=1000)  # puts all entries into a new map
    assert abs(durations.from_iso(since_of(command)) - written) <= 1
    assert f"direction=src, since {since_of(command)[:10]}" in command("explain", ADDRESS).stdout
    changed("xdp_blocklist", ip=ADDRESS, state="absent")
    changed("xdp_blocklist", ip=ADDRESS)
    assert durations.from_iso(since_of(command)) > written + 60


def test_since_when_is_not_made_up_for_an_entry_that_does_not_say_it(filtered, command):
    changed("xdp_blocklist", ip=ADDRESS)
    set_since(0)
    assert since_of(command) is None
    assert " since 2" not in command("explain", ADDRESS).stdout.partition("entries that cover it")[2]
