# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen to the events that the filters of a host report."""

from __future__ import annotations

import contextlib
import socket
import time
from itertools import islice
from typing import Any

from ..durations import wall_clock
from ..entries import addresses
from ..errors import PingKillerError
from ..kernel import access, schema
from ..kernel.ring_buffer import RingBuffer
from ..store import host_maps
from ..store.control import Control
from ..store.lock import listener_lock
from ..store.pins import Pins

_POLL_SECONDS = 0.05


def listen(base: str, duration: float, limit: int) -> dict[str, Any]:
    """Return the events of the next ``duration`` seconds, or the first ``limit`` events. Raises PingKillerError."""
    access.require_bpf()
    if duration <= 0 or limit < 1:
        raise PingKillerError(f"duration={duration:g} and limit={limit} leave nothing to listen to: give both above 0")
    pins = Pins(base)
    pins.check_mount()
    ring_map = pins.open_map(pins.host_pin("events"), schema.EVENTS_MAP)
    if ring_map is None:
        raise _nobody_reports()
    with ring_map, host_maps.opened(pins) as host, listener_lock():
        if host is None:  # an interrupted removal has left the events only
            raise _nobody_reports()
        with contextlib.closing(RingBuffer(ring_map)) as ring, contextlib.closing(Control(host.control)) as control:
            try:
                records = _collect(ring, control, limit=limit, deadline=time.monotonic() + duration)
            finally:
                _end_listening(pins)
    records.sort(key=lambda record: schema.EVENT.unpack(record)["time"])  # CPUs write their records in any order
    events = [decode(record) for record in records]
    return {"changed": False, "events": events, "count": len(events)}


def _nobody_reports() -> PingKillerError:
    return PingKillerError(
        "no filter on this host reports events: set events of xdp_filter to dropped, all_icmp or trace"
    )


def _end_listening(pins: Pins) -> None:
    """Tell the filters that nobody listens. All maps may have been replaced meanwhile, so open them again."""
    with host_maps.opened(pins) as host:
        if host:
            with contextlib.closing(Control(host.control)) as control:
                control.listening = False


def _collect(ring: RingBuffer, control: Control, *, limit: int, deadline: float) -> list[bytes]:
    """Return the records that arrive until the deadline, up to ``limit``."""
    records: list[bytes] = []
    ring.skip()
    control.listening = True
    try:
        while len(records) < limit:
            records += islice(ring.read(), limit - len(records))
            left = deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(_POLL_SECONDS, left))
    finally:
        control.listening = False
    return records


def decode(record: bytes) -> dict[str, Any]:
    """Return an event as RETURN of the module xdp_events describes it, from ``schema.EVENT``."""
    event = schema.EVENT.unpack(record)
    family, reason = schema.FAMILIES[event["family"]], event["reason"]
    length = {"ipv4": 4, "ipv6": 16}.get(family)  # None if VLAN tags hide the addresses
    return {
        "time": wall_clock(event["time"]),
        "interface": _interface_name(event["interface"]),
        "family": family,
        "protocol": event["protocol"],
        "type": event["type"] if event["has_type"] else None,
        "code": event["code"] if event["has_type"] else None,
        "verdict": "would_drop" if event["monitored"] else "drop" if reason >= schema.FIRST_DROP else "pass",
        "reason": schema.REASONS_BY_NUMBER.get(reason, f"reason {reason}"),
        "src": addresses.display(event["source"][:length]) if length else None,
        "dst": addresses.display(event["destination"][:length]) if length else None,
        "length": event["bytes"],
        "vlan": None if event["vlan"] == schema.NO_VLAN else event["vlan"],
        "processing_ns": event["processing"] or None,
    }


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # removed since
        return str(index)
