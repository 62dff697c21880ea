# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen to the events that the filters of a host report."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from ..durations import wall_clock
from ..entries import addresses
from ..errors import PingKillerError
from ..kernel import schema
from . import listening, verdicts

#: Says whether an event, as ``schema.EVENT`` packs it, is asked for.
Wanted = Callable[[bytes], bool]


def listen(base: str, duration: float, limit: int, wanted: Wanted | None = None) -> dict[str, Any]:
    """Return the events of the next ``duration`` seconds, or the first ``limit`` events. Raises PingKillerError.

    Without ``wanted`` all events are. Those that were suppressed or lost are counted in any case.
    """
    if duration <= 0 or limit < 1:
        raise PingKillerError(f"duration={duration:g} and limit={limit} leave nothing to listen to: give both above 0")
    deadline = time.monotonic() + duration
    records: list[bytes] = []
    with listening.opened(base) as listener:
        while True:
            records += filter(wanted, listener.read())
            left = deadline - time.monotonic()
            if left <= 0 or len(records) >= limit:
                break
            time.sleep(min(listening.PAUSE, left))
        missed = listener.missed()
    events = [decode(record) for record in sorted(records[:limit], key=listening.time_of)]
    return {"changed": False, "events": events, "count": len(events), **missed._asdict()}


def decode(record: bytes) -> dict[str, Any]:
    """Return an event as RETURN of the module xdp_events describes it, from ``schema.EVENT``."""
    event = schema.EVENT.unpack(record)
    family, reason = schema.FAMILIES[event["family"]], event["reason"]
    verdict = verdicts.DROP if reason >= schema.FIRST_DROP else verdicts.PASS
    length = {"ipv4": 4, "ipv6": 16}.get(family)  # None if VLAN tags hide the addresses
    return {
        "time": wall_clock(event["time"]),
        "interface": interface_name(event["interface"]),
        "family": family,
        "protocol": event["protocol"],
        "type": event["type"] if event["has_type"] else None,
        "code": event["code"] if event["has_type"] else None,
        "verdict": verdicts.WOULD_DROP if event["monitored"] else verdict,
        "reason": reason_name(reason),
        "src": addresses.display(event["source"][:length]) if length else None,
        "dst": addresses.display(event["destination"][:length]) if length else None,
        "length": event["bytes"],
        "vlan": None if event["vlan"] == schema.NO_VLAN else event["vlan"],
        "processing_ns": event["processing"] or None,
    }


def reason_name(number: int) -> str:
    return schema.REASONS_BY_NUMBER.get(number, f"reason {number}")


def interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # removed since
        return str(index)
