# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as lines of text."""

from __future__ import annotations

from ..filters.icmp_types import ICMP_TYPES, UNREACHABLE_CODES, WITH_CODES
from .output import Found

_ICMP, _ICMP6 = 1, 58  #: the numbers of the protocols
_PROTOCOLS = {_ICMP: "icmp", 2: "igmp", 6: "tcp", 17: "udp", _ICMP6: "icmpv6"}


def event_line(event: Found) -> str:
    """Write an event: time, interface, verdict, reason, source and destination, what it is, its length."""
    way = f"{event['src'] or '?'} > {event['dst'] or '?'}"
    return f"{_head(event)} {way}  {_what(event)}, {event['length']} bytes"


def group_line(group: Found) -> str:
    """Write a group of events, as ``--aggregate`` makes them."""
    return f"{_head(group)} {group['src'] or '?'}  {group['count']} events, {group['bytes']} bytes"


def missed_line(found: Found) -> str:
    """Write what a listener did not get."""
    return f"# {found['suppressed']} events suppressed, {found['lost']} lost since this began"


def _head(event: Found) -> str:
    return f"{event['time']} {event['interface']:<8} {event['verdict']:<10} {event['reason']:<11}"


def _what(event: Found) -> str:
    tagged = "" if event["vlan"] is None else f", VLAN {event['vlan']}"
    if event["type"] is not None:
        return _type_name(event) + tagged
    protocol = event["protocol"]
    return _PROTOCOLS.get(protocol, f"protocol {protocol}") + tagged


def _type_name(event: Found) -> str:
    """Return the name of a type as the option icmp_types has it."""
    column = int(event["protocol"] == _ICMP6)
    for name, numbers in ICMP_TYPES.items():
        if numbers[column] == event["type"]:
            return name + (_code_name(event["code"], column) if name == WITH_CODES else "")
    return f"{'icmpv6' if column else 'icmp'}/{event['type']}/{event['code']}"


def _code_name(code: int, column: int) -> str:
    return "/" + next((name for name, codes in UNREACHABLE_CODES.items() if codes[column] == code), str(code))
