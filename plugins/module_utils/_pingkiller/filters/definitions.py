# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert a filter's options to the definitions that bpf/pingkiller.c needs, and compute its build id."""

from __future__ import annotations

import json
import os
import struct
import time

from ..kernel import schema
from .icmp_types import TypeAndCode, TypeSet, parse_types
from .options import FilterOptions

_CLOCK_MONOTONIC_COARSE = 6  #: linux/time.h; the module time has no name for it


def ticks_per_second() -> int:
    """Return the kernel's HZ. The coarse clocks advance once per tick (clock_getres(2))."""
    return round(1 / time.clock_getres(_CLOCK_MONOTONIC_COARSE))


def _type_test(types: tuple[TypeAndCode, ...] | None) -> str:
    if types is None:
        return "1"
    tests = [f"(t)=={number}" if code is None else f"((t)=={number}&&(c)=={code})" for number, code in types]
    return "(" + ("||".join(tests) or "0") + ")"


def _exclusion_tests(texts: tuple[str, ...]) -> dict[int, str]:
    """Return C expressions over the words of an address, by the length of the address in bytes."""
    tests: dict[int, list[str]] = {4: [], 16: []}
    for text in texts:
        import ipaddress  # few filters leave anything out, and it takes longer to import than the rest here

        network = ipaddress.ip_network(text)
        size = len(network.network_address.packed)
        pairs = zip(_words(network.netmask.packed), _words(network.network_address.packed))
        tests[size].append("&&".join(f"((w)[{i}]&{mask}u)=={word}u" for i, (mask, word) in enumerate(pairs)))
    return {size: "(" + ("||".join(f"({test})" for test in each) or "0") + ")" for size, each in tests.items()}


def _words(packed: bytes) -> tuple[int, ...]:
    """Return an address as the words that the program loads: bytes in network order, read in host byte order."""
    return struct.unpack(f"={len(packed) // 4}I", packed)


def of(options: FilterOptions) -> dict[str, str]:
    """Return the definitions that bpf/pingkiller.c needs, without the pin directories."""
    types = parse_types(list(options.icmp_types))
    excluded = _exclusion_tests(options.trace_exclude)
    return {
        "HOOK_TC": str(int(options.hook != schema.XDP)),
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


def digest(sources: dict[str, str]) -> str:
    """Hash the C sources, by their path below bpf/. Returns 64 hexadecimal digits."""
    return _hash(sources)


def build_id(sources_digest: str, defines: dict[str, str], bcc_version: str) -> str:
    """Hash everything that determines the program. Returns 16 hexadecimal digits."""
    return _hash([sources_digest, defines, schema.SCHEMA_VERSION, bcc_version, os.uname().release])[:16]


def _hash(value: object) -> str:
    import hashlib  # loads OpenSSL, which a host without filters does not need

    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
