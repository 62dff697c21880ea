# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registered results of the module xdp_status_info, as a fleet of any size gives them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

#: Names that do harm where they are not escaped or cut: to a terminal, a page, a table.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><h1>",
    "\x1b[31mred\x1b]0;title\x07",
    "txt\u202egpj.exe",
    "{{ 7 * 7 }}",
    "host-with-a-name-of-" + "very-" * 40 + "many-letters",
    "工作站",
)
_GROUPS = ("web", "db", "mail", "dns", "edge")
_SOURCES = [f"203.0.113.{number}" for number in range(1, 40)] + [
    f"2001:db8:bad:{number:x}::/64" for number in range(20)
]
#: How many of a hundred hosts are in each state.
_SHARES = {"fine": 88, "monitoring": 4, "drifted": 3, "unwanted": 2, "unfiltered": 1, "failed": 1, "unreachable": 1}


def fleet(number: int, seed: int, *, details: bool = False) -> dict[str, dict[str, Any]]:
    """Return answers of so many hosts by name. Up to 7 hosts are all in different states; from 20 on, some names are hostile."""
    chance = random.Random(seed)
    states = [*_SHARES, *chance.choices(list(_SHARES), list(_SHARES.values()), k=number)][:number]
    return {host: answer(state, chance, details=details) for host, state in zip(_names(number), states)}


def answer(state: str, chance: random.Random, *, details: bool = False) -> dict[str, Any]:
    """Return the answer of a host in a state of _statuses.STATES."""
    if state == "unreachable":
        return {
            "changed": False,
            "unreachable": True,
            "msg": "Failed to connect to the host via ssh: ssh: connect to host 192.0.2.7 port 22: Connection timed out",
        }
    if state == "failed":
        return {"changed": False, "failed": False, "msg": "xdp_status_info needs root: run the play with become: true."}
    return {"changed": False, "failed": False, "status": _status(state, chance, details=details)}


def _names(number: int) -> list[str]:
    hostile = HOSTILE if number >= 20 else ()
    usual = (
        f"{group}{count // len(_GROUPS) + 1:03}.example.net"
        for count, group in enumerate(islice(cycle(_GROUPS), number))
    )
    return [*islice(usual, number - len(hostile)), *hostile]


def _status(state: str, chance: random.Random, *, details: bool) -> dict[str, Any]:
    wanted = state != "unwanted"
    interfaces = (
        chance.sample(["eth0", "eth1", "bond0.100", "eth0/tc_egress"], chance.choice([1, 1, 1, 2])) if wanted else []
    )
    sources = list(_sources(chance)) if wanted else []
    packets = sum(each["packets"] for each in sources)
    filters = {name: _filter(chance, 0, monitor=state == "monitoring") for name in interfaces[1:]}
    if state == "unfiltered":
        filters = {interfaces[0]: {"wanted": True, "mode": "none", "policy": None, "monitor": False}, **filters}
    elif wanted:
        filters = {interfaces[0]: _filter(chance, packets, monitor=state == "monitoring"), **filters}
    passed, dropped, would_drop = (
        sum(each.get(name, 0) for each in filters.values()) for name in ("passed", "dropped", "would_drop")
    )
    found = {
        "version": "0.1.0" if wanted else None,
        "kernel": chance.choice(["5.10.0-28-amd64", "6.1.0-18-amd64", "6.12.6-amd64"]),
        "wanted": wanted,
        "filters": filters,
        "filters_left_out": 0,
        "drift": _drift(state, interfaces, chance),
        "drift_left_out": 0,
        "lists": {
            "blocklist": {"count": chance.randrange(60_000), "capacity": 65_536},
            "allowlist": {"count": chance.randrange(20), "capacity": 65_536},
        }
        if wanted
        else {},
        "counts": {"passed": passed, "dropped": dropped, "would_drop": would_drop, "reasons": _reasons(dropped)},
        "recent": {
            "seconds": 1.0,
            "passed": 3,
            "dropped": dropped // 1000,
            "would_drop": 0,
            "reasons": _reasons(dropped // 1000),
        },
        "sources": sources,
        "notes": ["the BPF file system is open to everybody"] if chance.random() < 0.02 else [],
    }
    return {**found, **_details(dropped, sources, chance)} if details else found


def _filter(chance: random.Random, dropped: int, *, monitor: bool) -> dict[str, Any]:
    return {
        "wanted": True,
        "mode": chance.choice(["native", "native", "generic", "tc"]),
        "policy": chance.choice(["pass", "pass", "drop"]),
        "monitor": monitor,
        "passed": chance.randrange(1_000_000),
        "dropped": 0 if monitor else dropped,
        "would_drop": dropped if monitor else 0,
    }


def _drift(state: str, interfaces: list[str], chance: random.Random) -> list[str]:
    if state == "unfiltered":
        return [f"filter {interfaces[0]}: it is missing, the inventory wants it"]
    drifts = [
        f"filter {interfaces[0] if interfaces else 'eth0'}: policy is pass, the inventory wants drop",
        "blocklist: the inventory's list is not the one on the host",
        "the command pingkiller is not the one that a deploy installs",
    ]
    return drifts[: chance.randint(1, 3)] if state == "drifted" else []


def _reasons(dropped: int) -> dict[str, int]:
    blocked = dropped * 3 // 4
    return {"blocklist": blocked, "ratelimit": dropped - blocked} if dropped else {}


def _sources(chance: random.Random) -> Iterator[dict[str, Any]]:
    for ip in chance.sample(_SOURCES, chance.randrange(10)):
        packets = int(chance.paretovariate(0.6))
        limited = chance.random() < 0.2
        yield {
            "ip": ip,
            "packets": packets,
            "recent": packets // 1000,
            "reason": "ratelimit" if limited else "blocklist",
            "owners": [] if limited else chance.choice([["inventory"], ["local"], ["fail2ban.sshd", "inventory"]]),
        }


def _details(dropped: int, sources: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    times = {
        "count": dropped,
        "average": chance.randrange(60, 400),
        "p50": 80,
        "p99": 900,
        "buckets": [0] * 5 + [dropped // 2, dropped // 4, dropped // 8, dropped // 16, 1],
    }
    return {
        "reasons": {
            **{reason: {"ipv4": count - count // 5, "ipv6": count // 5} for reason, count in _reasons(dropped).items()},
            "not_icmp": {"ipv4": 1_000_000, "other": 5},
        },
        "processing": {"passed": times, "dropped": times} if chance.random() < 0.5 else None,
        "owners": {"blocklist": {"inventory": 40, "local": 3}, "allowlist": {"inventory": 2}},
        "comments": {each["ip"]: chance.choice(["scans every night", *HOSTILE]) for each in sources[:3]},
    }
