# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzz the files that root reads: each gives a right result or an error in one sentence.

Any other exception, a hang, and the use of too much memory fail. The seed is another one each day; ``--inputs-seed``
repeats
a failure.
"""

from __future__ import annotations

import contextlib
import copy
import ipaddress
import json
import os
import random
import resource
import signal
import socket
import struct
import tempfile
from pathlib import Path

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot import filters as boot_filters
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot import lists as boot_lists
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot.run import Outcome, Run
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.list_lines import Reading
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.files import deadline
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import (
    copies,
    entry_notes,
    entry_plan,
    filter_notes,
    filter_owners,
    filter_plan,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.entries_request import EntriesRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import netlink, routes, schema, tc
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.own_addresses import own_addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE

_HANG = 60  #: seconds; an input takes milliseconds
_MEMORY = 1 << 29  #: bytes in addition to what this process already uses

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the wanted state is root's")


@pytest.fixture
def made_up(request, monkeypatch):
    """Return a function that calls an action --inputs times, each with its own random generator.

    Memory and time are limited.
    """
    number, day = (request.config.getoption(f"--inputs{each}") for each in ("", "-seed"))
    monkeypatch.setattr(deadline, "within", lambda _seconds, call: call())  # a process for each would take minutes

    def call(action):
        for which in range(number):
            signal.alarm(_HANG)
            try:
                action(random.Random(f"{day} {which}"))
            except BaseException as error:
                error.args = (*error.args, f"file {which} of --inputs-seed={day}")
                raise
            finally:
                signal.alarm(0)

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, before[1]))
    yield call
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def memory():
    """A directory in memory, since a disk is waited for whenever a file is replaced. There are few above it, all of which are
    checked at each reading."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def judged(action, *arguments, **options):
    """Return the result of an action, or None if it failed with one sentence."""
    try:
        return action(*arguments, **options)
    except PingKillerError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        assert len(said) < 3000, said[:200]
        return None


# Wanted state

UNTIL = "2099-01-01T00:00:00Z"
DIGEST = copies.digest(copies.pack([b"\1\2\3\4"]))
SAMPLES = {
    "host": {"base": DEFAULT_BASE, "max_entries": 65536},
    "filters/lo": {hook: {**FilterOptions(hook=hook).as_dict(), "force": False} for hook in schema.HOOKS},
    "owners": {"lo": "inventory", "eth7/tc_egress": "inventory"},
    "entries/blocklist/adhoc": {
        "entries": {
            "192.0.2.1": {"direction": "src"},
            "2001:db8::/32": {"direction": "both", "until": UNTIL, "ttl": 60},
        },
        "sources": {
            "/dev/null": {"direction": "src", "format": "first_column"},
            "/list": {"direction": "dst", "until": UNTIL, "ttl": 60, "copies": {DIGEST: "src"}},
        },
    },
}
ODD = [
    *(
        None,
        True,
        0,
        -1,
        5,
        10**30,
        2**63,
        1.5,
        float("nan"),
        float("inf"),
        "",
        "\0",
        "\ud800",
        "\udcff",
        "x" * 100_000,
    ),
    *("src", "all", "1h", "/", "..", "192.0.2.0/24", UNTIL, [], {}, [[]], [{}], {"": {}}, ["src", 5], {"a": {"b": []}}),
]


def changed(chance: random.Random, value):
    """Return a document in which one value or key is replaced or missing."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.2:
        return copy.deepcopy(chance.choice(ODD))
    value = copy.copy(value)
    place = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    what = chance.random()
    if what < 0.7:
        value[place] = changed(chance, value[place])
    elif what < 0.85 or isinstance(value, list):
        del value[place]
    else:
        value[str(chance.choice(ODD))] = value.pop(place)
    return value


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Delete, double, replace or insert some bytes."""
    first, last = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    middle = chance.choice(
        [
            b"",
            data[first:last] * 2,
            chance.randbytes(chance.randrange(9)),
            chance.choice([b"[", b'{"a":', b"9", b" ", b"\r", b"\0", b"#", b"1.1.1.1-"])
            * chance.choice([1, 5000, 70_000]),
        ]
    )
    return data[:first] + middle + data[last:]


def write_wanted(chance: random.Random, directory) -> None:
    for name, content in SAMPLES.items():
        for _ in range(chance.choice([0, 1, 1, 2])):
            content = changed(chance, content)
        data = json.dumps(content, indent=chance.choice([None, 2])).encode()
        (directory / f"{name}.json").write_bytes(damaged(chance, data) if chance.random() < 0.3 else data)
    kept = copies.compress(copies.pack([b"\1\2\3\4"]))
    path = directory / f"entries/blocklist/adhoc.{DIGEST}.keys"
    path.write_bytes(damaged(chance, kept) if chance.random() < 0.5 else kept)


def use_wanted(store: Store) -> None:
    """Use the files in every way that asks nothing of the kernel."""
    outcome = Outcome(changed=[], absent=[], warnings=[], errors=[], lost=[])
    run = Run(store=store, sources={}, base=DEFAULT_BASE, capacity=None, check=True, lock_timeout=0, outcome=outcome)
    judged(filter_notes.host, store)
    judged(filter_owners.owners, store)
    judged(filter_notes.check_there, store)
    judged(boot_filters.lost, run)
    for hook, options in (judged(filter_notes.filters, store, "lo") or {}).items():
        judged(boot_filters.filter_request, run, "lo", hook=hook, options=options)
    owned = judged(boot_lists.read_owned, store, "blocklist", "adhoc")
    for part in [*owned.kept, *owned.elsewhere] if owned else []:
        judged(list, part)
    use_plans(store)


def use_plans(store: Store) -> None:
    """Make the plans that the modules make from the files."""
    plans = [
        judged(filter_plan.plan_forgetting, store),
        judged(filter_plan.plan_filters, store, {"base": "/b"}, {"lo": None}),
    ]
    plans.append([judged(filter_owners.plan_owner, store, ["lo"], owner="me", own_name=lambda name: name)])
    for edits in plans:
        for when in ("before", "after"):
            json.dumps(filter_plan.describe_filters([edit for edit in edits or [] if edit is not None], when))
    for options in ({"persist": True}, {"absent": True}, {"persist": False}):
        request = ListRequest("blocklist", ip=["192.0.2.1", "2001:db8::/32"], store=store, **options)
        asked = EntriesRequest(request, read_demand(request).requested)
        for edit in judged(entry_plan.plan_entries, store, asked) or []:
            json.dumps([bool(edit), *(entry_notes.describe_entries(edit, when) for when in ("before", "after"))])


@pytest.mark.slow
def test_wanted_state_of_any_kind_is_understood_or_named(made_up, memory):
    store = Store(str(memory / "pingkiller"))
    for name, content in SAMPLES.items():
        store.write(name, content)

    def act(chance):
        write_wanted(chance, memory / "pingkiller")
        use_wanted(store)

    made_up(act)


# List files

WORDS = [
    *(
        "192.0.2.1",
        "10.0.0.0/8",
        "10.0.0.1/8",
        "2001:db8::1",
        "2001:DB8::/32",
        "::ffff:192.0.2.1",
        "::ffff:0:0/96",
        "0.0.0.0/0",
    ),
    *(
        "192.0.2.1/32",
        "192.0.2.0/024",
        "010.0.0.1",
        "192.0.2.1/33",
        "1.2.3",
        "fe80::1%eth0",
        "192.0.2.9-192.0.2.1",
        "//",
        "-",
    ),
    *(
        "direction=src",
        "direction=up",
        "ttl=1h",
        "ttl=",
        "ttl=99999999999d",
        "# comment",
        "; comment",
        ",",
        "|",
        "\ufeff",
        "é",
    ),
    *(
        "192.0.2.1-192.0.2.77",
        "::1-::ffff:ffff",
        "0.0.0.0-255.255.255.255",
        "1.1.1.1-::1",
        "{",
        "<",
        "add x 192.0.2.1",
        "\x85",
    ),
]
ENDS = ["\n", "\n", "\n", "\r\n", "\r", "\n\n", " ", "\t", "\v", "\x1c", "\u2028"]


def some_list(chance: random.Random) -> bytes:
    plain = chance.random() < 0.3
    words = [
        f"{chance.choice(['192.0.2.', '2001:db8::'])}{chance.randrange(99)}\n" for _ in range(chance.randrange(50))
    ]
    if not plain:
        words = [chance.choice(WORDS) + chance.choice(ENDS) for _ in range(chance.randrange(12))]
    data = "".join(words).encode()
    return damaged(chance, data) if chance.random() < 0.4 else data


def expected(data: bytes, mask: bool) -> set:
    """Parse a list with the standard library only. Raises ValueError unless each line is an address or a network."""
    found = set()
    for line in (
        data.decode(errors="surrogateescape")
        .removeprefix("\ufeff")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .split("\n")
    ):
        words = line.partition("#")[0].partition(";")[0].split()
        if words:
            found.add(ipaddress.ip_network(words[0], strict=not mask))
    return found


def shown(key: bytes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(addresses.display(key))


def unmapped(network):
    inside = network.version == 6 and network.subnet_of(ipaddress.ip_network("::ffff:0:0/96"))
    if not inside:
        return network
    return ipaddress.ip_network((network.network_address.packed[12:], network.prefixlen - 96))


@pytest.mark.slow
def test_a_list_of_any_kind_is_read_right_or_refused(made_up, memory):
    path = memory / "list"

    def act(chance):
        data = some_list(chance)
        path.write_bytes(data)
        how = Reading(
            *(chance.choice(each) for each in (["plain", "first_column"], ["fail", "skip"], ["refuse", "mask"]))
        )
        request = ListRequest("blocklist", src=str(path), reading=how, ttl=chance.choice([None, "1h"]))
        demand = judged(read_demand, request)
        text = data.decode(errors="surrogateescape")
        again = judged(read_demand, request._replace(src=None, content=text))
        assert (demand is None) == (again is None)
        if demand is None:
            return
        assert demand.requested.keys == again.requested.keys
        if how.on_invalid == "fail" and how.format == "plain" and b"-" not in data:
            assert {shown(key) for key in demand.requested.keys} == set(map(unmapped, expected(data, how.masks)))

    made_up(act)


def test_of_what_is_made_up_some_is_taken_and_some_refused():
    taken = 0
    for which in range(300):
        text = some_list(random.Random(which)).decode(errors="surrogateescape")
        with contextlib.suppress(PingKillerError):
            taken += bool(read_demand(ListRequest("blocklist", content=text)).requested.keys)
    assert 30 < taken < 270


# Netlink answers


ASKED = {
    "links": netlink.links,
    "link": lambda: netlink.link("lo"),
    "default routes": routes.default_interfaces,
    "classifiers": lambda: tc.classifiers(1, "tc_ingress"),
    "disciplines": lambda: tc.has_clsact(1),
    "addresses": lambda: list(own_addresses()),
}
END = struct.pack("=IHHII", 16, 3, 2, 1, 0)


class Recorder(socket.socket):
    """A socket that records the kernel's answers."""

    heard: list

    def recvfrom(self, size):
        data, sender = super().recvfrom(size)
        self.heard.append(data)
        return data, sender


class Repeater:
    """A fake socket that returns the given answers and then the end of the dump."""

    def __init__(self, said):
        self.said = [*said, END]

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def setsockopt(self, *_option):
        pass

    def send(self, _request):
        pass

    def recvfrom(self, _size):
        return self.said.pop(0) if self.said else END, (0, 0)


def recorded(monkeypatch, ask) -> list[bytes]:
    heard: list = []
    with monkeypatch.context() as patch:
        patch.setattr(netlink.socket, "socket", type("Heard", (Recorder,), {"heard": heard}))
        ask()
    return heard


def bit_flipped(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 9)):
        changed[chance.randrange(len(changed))] = chance.choice([0, 1, 4, 0x7F, 0xFF, chance.randrange(256)])
    return bytes(changed)


@pytest.mark.parametrize("what", ASKED)
def test_whatever_is_said_of_interfaces_is_understood_or_an_error_that_says_so(made_up, monkeypatch, what):
    heard = recorded(monkeypatch, ASKED[what])
    assert heard

    def act(chance):
        said = [chance.choice([damaged, bit_flipped])(chance, each) for each in heard]
        with monkeypatch.context() as patch, contextlib.suppress(netlink.NetlinkError):
            patch.setattr(netlink.socket, "socket", lambda *_arguments: Repeater(said))
            ASKED[what]()

    made_up(act)


def test_what_changes_while_it_is_told_is_asked_for_again(monkeypatch):
    heard = recorded(monkeypatch, netlink.links)
    length, kind, flags, *rest = struct.unpack_from("=IHHII", heard[0])
    interrupted = struct.pack("=IHHII", length, kind, flags | 0x10, *rest) + heard[0][16:]
    answers = [[interrupted], [interrupted], heard]
    with monkeypatch.context() as patch:
        patch.setattr(netlink.socket, "socket", lambda *_arguments: Repeater(answers.pop(0)))
        found = netlink.links()
    assert found == netlink.links()
    assert not answers


def test_what_others_than_the_kernel_send_is_passed_over(monkeypatch):
    heard = recorded(monkeypatch, netlink.links)
    said = [(END, (4711, 0)), *((each, (0, 0)) for each in heard)]
    with monkeypatch.context() as patch:
        patch.setattr(Repeater, "recvfrom", lambda _self, _size: said.pop(0))
        patch.setattr(netlink.socket, "socket", lambda *_arguments: Repeater([]))
        found = netlink.links()
    assert found == netlink.links()
