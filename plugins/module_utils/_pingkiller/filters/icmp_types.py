# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of ICMP types, and the types and codes that they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

from ..errors import PingKillerError, did_you_mean, quoted

#: ICMP and ICMPv6 types by the names of the IANA registries; None where a family has no such type.
ICMP_TYPES = {
    "echo-reply": (0, 129),
    "destination-unreachable": (3, 1),
    "source-quench": (4, None),
    "packet-too-big": (None, 2),
    "redirect": (5, 137),
    "echo-request": (8, 128),
    "router-advertisement": (9, 134),
    "router-solicitation": (10, 133),
    "time-exceeded": (11, 3),
    "parameter-problem": (12, 4),
    "timestamp-request": (13, None),
    "timestamp-reply": (14, None),
    "information-request": (15, None),
    "information-reply": (16, None),
    "address-mask-request": (17, None),
    "address-mask-reply": (18, None),
    "mld-query": (None, 130),
    "mld-report": (None, 131),
    "mld-done": (None, 132),
    "neighbour-solicitation": (None, 135),
    "neighbour-advertisement": (None, 136),
    "node-information-query": (None, 139),
    "node-information-response": (None, 140),
    "mld2-report": (None, 143),
    "extended-echo-request": (42, 160),
    "extended-echo-reply": (43, 161),
}
WITH_CODES = "destination-unreachable"  #: the type whose codes have names
UNREACHABLE_CODES = {
    "network": (0, 0),
    "host": (1, 3),
    "protocol": (2, None),
    "port": (3, 4),
    "prohibited": (13, 1),
}
ALL_TYPES = "all"
#: Names from ping(8), iptables, nftables and everyday use, with our names.
OTHER_NAMES = {
    "ping": "echo-request",
    "pong": "echo-reply",
    "unreachable": "destination-unreachable",
    "port-unreachable": "destination-unreachable/port",
    "host-unreachable": "destination-unreachable/host",
    "network-unreachable": "destination-unreachable/network",
    "protocol-unreachable": "destination-unreachable/protocol",
    "communication-prohibited": "destination-unreachable/prohibited",
    "fragmentation-needed": "icmp/3/4",
    "frag-needed": "icmp/3/4",
    "ttl-exceeded": "time-exceeded",
    "ttl-zero-during-transit": "time-exceeded",
    "traceroute": "time-exceeded",
    "timestamp": "timestamp-request",
    "nd-neighbor-solicit": "neighbour-solicitation",
    "nd-neighbor-advert": "neighbour-advertisement",
    "nd-router-solicit": "router-solicitation",
    "nd-router-advert": "router-advertisement",
    "nd-redirect": "redirect",
    "mld-listener-query": "mld-query",
    "mld-listener-report": "mld-report",
    "mld-listener-done": "mld-done",
    "mld2-listener-report": "mld2-report",
    "any": ALL_TYPES,
}

MAX_TYPES = 64  #: names in one option

TypeAndCode = tuple[int, Optional[int]]  # code None: every code


class TypeSet(NamedTuple):
    """The ICMP types, with codes, to which policy and rate limit apply. None stands for all types."""

    icmp4: tuple[TypeAndCode, ...] | None
    icmp6: tuple[TypeAndCode, ...] | None


def parse_types(names: list[str]) -> TypeSet:
    """Parse names of ICMP types. Raises PingKillerError for an unknown name or number."""
    if not names:
        raise PingKillerError("icmp_types is empty: name the types to filter, for example echo-request, or all")
    if ALL_TYPES in names:
        return TypeSet(None, None)
    if len(names) > MAX_TYPES:
        raise PingKillerError(f"icmp_types has {len(names)} entries and may have {MAX_TYPES}: use all")
    pairs = [_parse_type(str(name).strip()) for name in names]
    return TypeSet(_sorted_types(four for four, _six in pairs), _sorted_types(six for _four, six in pairs))


def _sorted_types(types: Iterable[TypeAndCode | None]) -> tuple[TypeAndCode, ...]:
    return tuple(
        sorted({each for each in types if each}, key=lambda each: (each[0], -1 if each[1] is None else each[1]))
    )


def _parse_type(name: str) -> tuple[TypeAndCode | None, TypeAndCode | None]:
    """Return the type and code that a name stands for in ICMP and in ICMPv6; None if it does not exist there."""
    if name in ICMP_TYPES:
        four, six = ICMP_TYPES[name]
        return None if four is None else (four, None), None if six is None else (six, None)
    first, *numbers = name.split("/")
    if first == WITH_CODES and len(numbers) == 1 and numbers[0] in UNREACHABLE_CODES:
        four, six = UNREACHABLE_CODES[numbers[0]]
        return (3, four), None if six is None else (1, six)
    valid = all(number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < 256 for number in numbers)
    if first in ("icmp", "icmpv6") and valid and len(numbers) in (1, 2):
        found = (int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else None)
        return (found, None) if first == "icmp" else (None, found)
    codes = [f"{WITH_CODES}/{code}" for code in UNREACHABLE_CODES]
    meant = did_you_mean(name, [*ICMP_TYPES, *codes, ALL_TYPES], others=OTHER_NAMES)
    raise PingKillerError(
        f"icmp_types: {quoted(name)} is no ICMP type{meant}: use all, icmp/TYPE or icmpv6/TYPE (also with /CODE; 0 to 255), "
        f"{WITH_CODES}/CODE ({', '.join(UNREACHABLE_CODES)}), or one of {', '.join(sorted(ICMP_TYPES))}"
    )
