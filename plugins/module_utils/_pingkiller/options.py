# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter's options, and what they become: definitions for the compiler and a build id."""

from __future__ import annotations

import hashlib
import json
import os
from typing import NamedTuple

from . import schema
from .errors import PingKillerError

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
ALL_TYPES = "all"

MODES = ("auto", "native", "generic")
POLICIES = ("pass", "drop")


class TypeSet(NamedTuple):
    """The ICMP types that policy and rate limit apply to; None for all of them."""

    icmp4: tuple[int, ...] | None
    icmp6: tuple[int, ...] | None


def parse_types(names: list[str]) -> TypeSet:
    """Raises PingKillerError for a name or number that is none."""
    if not names:
        raise PingKillerError("icmp_types is empty: name the types to filter, for example echo-request, or all")
    if ALL_TYPES in names:
        return TypeSet(None, None)
    pairs = [_parse_type(str(name).strip()) for name in names]
    return TypeSet(
        tuple(sorted({four for four, _six in pairs if four is not None})),
        tuple(sorted({six for _four, six in pairs if six is not None})),
    )


def _parse_type(name: str) -> tuple[int | None, int | None]:
    if name in ICMP_TYPES:
        return ICMP_TYPES[name]
    family, _slash, number = name.partition("/")
    if family in ("icmp", "icmpv6") and number.isascii() and number.isdigit() and int(number) < 256:
        return (int(number), None) if family == "icmp" else (None, int(number))
    raise PingKillerError(
        f"icmp_types: {name!r} is no ICMP type: use all, icmp/NUMBER or icmpv6/NUMBER (0 to 255), or one of "
        f"{', '.join(sorted(ICMP_TYPES))}"
    )


class FilterOptions(NamedTuple):
    """What the user chose for one filter. ``mode`` is how to attach it, the rest is compiled in."""

    mode: str = "auto"
    policy: str = "pass"
    icmp_types: tuple[str, ...] = ("echo-request",)
    protect: bool = True
    monitor: bool = False

    @classmethod
    def checked(cls, **values) -> FilterOptions:
        """Raises PingKillerError for a value that does not exist. The types' order and doubles do not matter."""
        options = cls(**values)
        parse_types(list(options.icmp_types))
        types = (ALL_TYPES,) if ALL_TYPES in options.icmp_types else tuple(sorted(set(options.icmp_types)))
        return options._replace(icmp_types=types)

    def as_dict(self) -> dict:
        return {**self._asdict(), "icmp_types": list(self.icmp_types)}


def _type_test(types: tuple[int, ...] | None) -> str:
    if types is None:
        return "1"
    return "(" + ("||".join(f"(t)=={number}" for number in types) or "0") + ")"


def definitions(options: FilterOptions) -> dict[str, str]:
    """What bpf/pingkiller.c asks for, but for the pin directories."""
    types = parse_types(list(options.icmp_types))
    return {
        "POLICY": "POLICY_" + options.policy.upper(),
        "FILTERS_ICMP4(t,c)": _type_test(types.icmp4),
        "FILTERS_ICMP6(t,c)": _type_test(types.icmp6),
        "PROTECT": str(int(options.protect)),
        "MONITOR": str(int(options.monitor)),
    }


def build_id(sources: dict[str, str], defines: dict[str, str], bcc_version: str) -> str:
    """Hash of everything that decides the program, 16 hexadecimal digits."""
    parts = [sources, defines, schema.SCHEMA_VERSION, bcc_version, os.uname().release]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
