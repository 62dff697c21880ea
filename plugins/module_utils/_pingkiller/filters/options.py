# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter's options, and what they become: definitions for the compiler and a build id."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..errors import PingKillerError, did_you_mean, quoted, shortened
from ..kernel import schema

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
#: Codes of destination unreachable.
UNREACHABLE_CODES = {
    "network": (0, 0),
    "host": (1, 3),
    "protocol": (2, None),
    "port": (3, 4),
    "prohibited": (13, 1),
}
ALL_TYPES = "all"
#: What ping(8), iptables, nftables and people call them.
_OTHER_NAMES = {
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

HOOKS = ("xdp", "tc_ingress", "tc_egress")
MODES = ("auto", "native", "generic")
POLICIES = ("pass", "drop")
EVENTS = ("none", "dropped", "all_icmp", "trace")
MAX_TYPES = 64  #: ICMP types by name
MAX_EXCLUDED = 64  #: addresses and networks that a trace may leave out

TypeAndCode = tuple  # of the type and the code, None for every code


class TypeSet(NamedTuple):
    """The ICMP types that policy and rate limit apply to, with codes; None for all of them."""

    icmp4: tuple[TypeAndCode, ...] | None
    icmp6: tuple[TypeAndCode, ...] | None


def parse_types(names: list[str]) -> TypeSet:
    """Raises PingKillerError for a name or number that is none."""
    if not names:
        raise PingKillerError("icmp_types is empty: name the types to filter, for example echo-request, or all")
    if ALL_TYPES in names:
        return TypeSet(None, None)
    if len(names) > MAX_TYPES:
        raise PingKillerError(f"icmp_types has {len(names)} entries and may have {MAX_TYPES}: use all")
    pairs = [_parse_type(str(name).strip()) for name in names]
    return TypeSet(_sorted_types(four for four, _six in pairs), _sorted_types(six for _four, six in pairs))


def _sorted_types(types) -> tuple[TypeAndCode, ...]:
    return tuple(
        sorted({each for each in types if each}, key=lambda each: (each[0], -1 if each[1] is None else each[1]))
    )


def _parse_type(name: str) -> tuple[TypeAndCode | None, TypeAndCode | None]:
    """What the name stands for in ICMP and in ICMPv6."""
    if name in ICMP_TYPES:
        four, six = ICMP_TYPES[name]
        return None if four is None else (four, None), None if six is None else (six, None)
    first, *numbers = name.split("/")
    if first == "destination-unreachable" and len(numbers) == 1 and numbers[0] in UNREACHABLE_CODES:
        four, six = UNREACHABLE_CODES[numbers[0]]
        return (3, four), None if six is None else (1, six)
    valid = all(number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < 256 for number in numbers)
    if first in ("icmp", "icmpv6") and valid and len(numbers) in (1, 2):
        found = (int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else None)
        return (found, None) if first == "icmp" else (None, found)
    codes = [f"destination-unreachable/{code}" for code in UNREACHABLE_CODES]
    meant = did_you_mean(name, [*ICMP_TYPES, *codes, ALL_TYPES], others=_OTHER_NAMES)
    raise PingKillerError(
        f"icmp_types: {quoted(name)} is no ICMP type{meant}: use all, icmp/TYPE or icmpv6/TYPE (also with /CODE; 0 to 255), "
        f"destination-unreachable/CODE ({', '.join(UNREACHABLE_CODES)}), or one of {', '.join(sorted(ICMP_TYPES))}"
    )


class FilterOptions(NamedTuple):
    """What the user chose for one filter. ``hook`` and ``mode`` are where and how it is attached, the rest is compiled in."""

    hook: str = "xdp"
    mode: str = "auto"
    policy: str = "pass"
    icmp_types: tuple[str, ...] = ("echo-request",)
    forwarded: bool = True
    strict: bool = True
    protect: bool = True
    protect_redirects: bool = False
    monitor: bool = False
    ratelimit_pps: int = 0  #: 0: no limit
    ratelimit_block_time: int = 60  #: seconds
    ratelimit_sources: int = 65536
    ratelimit_ipv6_prefix: int = 64
    timing_sample: int = 0  #: one frame in so many; 0: none
    events: str = "none"
    events_per_second: int = 1000  #: per CPU
    trace_exclude: tuple[str, ...] = ()

    @classmethod
    def checked(cls, **values) -> FilterOptions:
        """Raises PingKillerError for a value that does not exist. The order of types, and doubles, do not matter."""
        options = cls(**values)
        options = options._replace(
            ratelimit_block_time=durations.checked("ratelimit_block_time", options.ratelimit_block_time)
        )
        for name, choices in _CHOICES.items():
            if getattr(options, name) not in choices:
                value = str(getattr(options, name))
                raise PingKillerError(
                    f"{name}={quoted(value)} does not exist{did_you_mean(value, choices)}: use one of {', '.join(choices)}"
                )
        for name, (least, most) in _RANGES.items():
            value = getattr(options, name)
            if not least <= value <= most:
                raise PingKillerError(f"{name}={shortened(str(value))} is out of range: give {least} to {most}")
        if not options.forwarded and options.hook != "tc_egress":
            raise PingKillerError(
                f"forwarded=false is for hook=tc_egress, but hook is {options.hook}: what arrives is not forwarded yet"
            )
        for name in GO_WITH:
            if getattr(options, name) and not options.has_use_for(name):
                raise PingKillerError(f"{name} is for {purpose(name)}: set that too, or leave {name} out")
        parse_types(list(options.icmp_types))
        types = (ALL_TYPES,) if ALL_TYPES in options.icmp_types else tuple(sorted(set(options.icmp_types)))
        return options._replace(icmp_types=types, trace_exclude=_canonical(options.trace_exclude))

    def changed_by(self, given: dict) -> FilterOptions:
        """These options but for those given. Raises PingKillerError.

        What only goes with a choice that is now another one goes with it, unless it was given, too.
        """
        wanted = self._replace(**given)
        useless = {name for name in GO_WITH if name not in given and not wanted.has_use_for(name)}
        return self.checked(**wanted._replace(**{name: self._field_defaults[name] for name in useless})._asdict())

    def has_use_for(self, name: str) -> bool:
        """Whether the choice is made that one of GO_WITH is for."""
        other, value = GO_WITH[name]
        return getattr(self, other) == value

    @classmethod
    def from_dict(cls, stored: dict) -> FilterOptions:
        """The inverse of ``as_dict``; options that did not exist when it was stored have their defaults."""
        known = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items() if name in cls._fields}
        return cls(**known)

    def as_dict(self) -> dict:
        return {**self._asdict(), "icmp_types": list(self.icmp_types), "trace_exclude": list(self.trace_exclude)}


class Use(NamedTuple):
    """When an option is of any use."""

    holds: Callable[[FilterOptions], bool]
    said: str  #: as users write it


_WITH_LIMIT = Use(lambda options: options.ratelimit_pps > 0, "ratelimit_pps")
#: Options that may be set and then do nothing, because others are as they are.
OF_USE_WITH = {
    "mode": Use(lambda options: options.hook == "xdp", "hook=xdp"),
    "ratelimit_block_time": _WITH_LIMIT,
    "ratelimit_sources": _WITH_LIMIT,
    "ratelimit_ipv6_prefix": _WITH_LIMIT,
    "events_per_second": Use(lambda options: options.events != "none", "events"),
}

#: Options that have a meaning only with a choice of another one.
GO_WITH = {"protect_redirects": ("protect", True), "trace_exclude": ("events", "trace")}


def purpose(name: str) -> str:
    """The choice that one of GO_WITH is for, as users write it."""
    other, value = GO_WITH[name]
    return f"{other}={str(value).lower()}"


_CHOICES = {"hook": HOOKS, "mode": MODES, "policy": POLICIES, "events": EVENTS}
_RANGES = {
    "ratelimit_pps": (0, 10_000_000),
    "ratelimit_sources": (1, 16_000_000),
    "ratelimit_ipv6_prefix": (1, 128),
    "timing_sample": (0, 1_000_000_000),
    "events_per_second": (1, 10_000_000),
}


def _canonical(texts: tuple[str, ...]) -> tuple[str, ...]:
    """What a trace leaves out, in canonical form. Raises PingKillerError."""
    if len(texts) > MAX_EXCLUDED:
        raise PingKillerError(
            f"trace_exclude has {len(texts)} entries and may have {MAX_EXCLUDED}: name networks instead"
        )
    keys = set()
    for text in texts:
        try:
            keys.add(addresses.parse(str(text).strip()))
        except ValueError as error:
            raise PingKillerError(f"trace_exclude: {quoted(str(text))} {error}") from None
    return tuple(addresses.display(key) for key in sorted(keys, key=addresses.sort_key))


def _type_test(types: tuple[TypeAndCode, ...] | None) -> str:
    if types is None:
        return "1"
    tests = [f"(t)=={number}" if code is None else f"((t)=={number}&&(c)=={code})" for number, code in types]
    return "(" + ("||".join(tests) or "0") + ")"


def _exclusion_tests(texts: tuple[str, ...]) -> dict[int, str]:
    """C expressions over the words of an address, by the address's length in bytes."""
    tests: dict[int, list[str]] = {4: [], 16: []}
    for text in texts:
        network = ipaddress.ip_network(text)
        size = len(network.network_address.packed)
        pairs = zip(_words(network.netmask.packed), _words(network.network_address.packed))
        tests[size].append("&&".join(f"((w)[{i}]&{mask}u)=={word}u" for i, (mask, word) in enumerate(pairs)))
    return {size: "(" + ("||".join(f"({test})" for test in each) or "0") + ")" for size, each in tests.items()}


def _words(packed: bytes) -> tuple[int, ...]:
    """An address as the words that the program loads: bytes in network order, read in the host's."""
    return struct.unpack(f"={len(packed) // 4}I", packed)


_CLOCK_MONOTONIC_COARSE = 6  #: linux/time.h; Python does not name it


def ticks_per_second() -> int:
    """The kernel's HZ: the coarse clocks advance once a tick (clock_getres(2))."""
    return round(1 / time.clock_getres(_CLOCK_MONOTONIC_COARSE))


def definitions(options: FilterOptions) -> dict[str, str]:
    """What bpf/pingkiller.c asks for, but for the pin directories."""
    types = parse_types(list(options.icmp_types))
    excluded = _exclusion_tests(options.trace_exclude)
    return {
        "HOOK_TC": str(int(options.hook != "xdp")),
        "POLICY": "POLICY_" + options.policy.upper(),
        "FILTERS_ICMP4(t,c)": _type_test(types.icmp4),
        "FILTERS_ICMP6(t,c)": _type_test(types.icmp6),
        "FILTERS_ALL": str(int(types == TypeSet(None, None))),
        "FORWARDED": str(int(options.forwarded)),
        "STRICT": str(int(options.strict)),
        "PROTECT": str(int(options.protect)),
        "PROTECT_REDIRECTS": str(int(options.protect_redirects)),
        "MONITOR": str(int(options.monitor)),
        "RATELIMIT_PPS": str(options.ratelimit_pps),
        "RATELIMIT_BLOCK_NS": f"{options.ratelimit_block_time * 1_000_000_000}ULL",
        "RATELIMIT_IPV6_PREFIX": str(options.ratelimit_ipv6_prefix),
        "SWITCHING": "0",
        "TIMING_SAMPLE": str(options.timing_sample),
        "EVENTS": {"none": "0"}.get(options.events, "EVENTS_" + options.events.upper()),
        "EVENTS_PER_SECOND": str(options.events_per_second),
        "TICKS_PER_SECOND": str(ticks_per_second()),
        "TRACE_EXCLUDES4(w)": excluded[4],
        "TRACE_EXCLUDES6(w)": excluded[16],
    }


def build_id(sources: dict[str, str], defines: dict[str, str], bcc_version: str) -> str:
    """Hash of everything that decides the program, 16 hexadecimal digits."""
    parts = [sources, defines, schema.SCHEMA_VERSION, bcc_version, os.uname().release]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
