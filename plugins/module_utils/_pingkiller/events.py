# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen to the events that the filters of a host report."""

from __future__ import annotations

import contextlib
import mmap
import socket
import struct
import time
from collections.abc import Iterator

from . import addresses, bpf, schema, state
from .errors import PingKillerError
from .lists import Control
from .lock import listener_lock
from .pins import Pins

_POLL_SECONDS = 0.05

_HEADER = struct.Struct("=II")  #: length with two flags, offset of the page
_BUSY, _DISCARDED = 1 << 31, 1 << 30


class RingBuffer:
    """The consumer's side of a BPF ring buffer (Documentation/bpf/ringbuf.rst of the kernel).

    The consumer's position is in the first page, the producer's in the second, and then the data, mapped twice in a row
    so that a record at the end goes on behind it.
    """

    def __init__(self, ring: bpf.Map) -> None:
        self.fd = ring.fd  #: to wait for, with poll(2); somebody else's to close
        self._size = ring.info.max_entries
        self._page = mmap.PAGESIZE
        self._mine = mmap.mmap(ring.fd, self._page)
        self._theirs = mmap.mmap(ring.fd, self._page + 2 * self._size, prot=mmap.PROT_READ, offset=self._page)
        self._position = memoryview(self._mine).cast("Q")
        self._produced = memoryview(self._theirs)[:8].cast("Q")

    def close(self) -> None:
        self._position.release()
        self._produced.release()
        self._mine.close()
        self._theirs.close()

    def skip(self) -> None:
        """Forget what is in the buffer."""
        self._position[0] = self._produced[0]

    def read(self) -> Iterator[bytes]:
        """The records that are complete, oldest first; each is given back to the producer once it has been taken."""
        while self._position[0] < self._produced[0]:
            start = self._page + self._position[0] % self._size
            length = _HEADER.unpack_from(self._theirs, start)[0]
            if length & _BUSY:
                return
            size = length & ~_DISCARDED
            record = self._theirs[start + _HEADER.size : start + _HEADER.size + size]
            self._position[0] += (_HEADER.size + size + 7) & ~7
            if not length & _DISCARDED:
                yield record


def listen(base: str, duration: float, limit: int) -> dict:
    """What happens in ``duration`` seconds, or until ``limit`` events have come. Raises PingKillerError."""
    state.require_bpf()
    if duration <= 0 or limit < 1:
        raise PingKillerError(f"duration={duration:g} and limit={limit} leave nothing to listen to: give both above 0")
    pins = Pins(base)
    pins.check_mount()
    ring_map = pins.open(pins.host("events"), schema.EVENTS_MAP)
    if ring_map is None:
        raise _nobody_reports()
    with ring_map, state.opened(pins) as host, listener_lock():
        if host is None:  # what an interrupted removal has left
            raise _nobody_reports()
        with contextlib.closing(RingBuffer(ring_map)) as ring, contextlib.closing(Control(host["control"])) as control:
            try:
                events = _collect(ring, control, time.monotonic() + duration, limit)
            finally:
                _end_listening(pins)
    return {"changed": False, "events": [_decode(event) for event in events], "count": len(events)}


def _nobody_reports() -> PingKillerError:
    return PingKillerError(
        "no filter on this host reports events: set events of xdp_filter to dropped, all_icmp or trace"
    )


def _end_listening(pins: Pins) -> None:
    """Also in a control map that has taken the place of the one in which it began."""
    with state.opened(pins) as host:
        if host:
            with contextlib.closing(Control(host["control"])) as control:
                control.listening = False


def _collect(ring: RingBuffer, control: Control, deadline: float, limit: int) -> list[bytes]:
    events: list[bytes] = []
    ring.skip()
    control.listening = True
    try:
        while len(events) < limit:
            for record in ring.read():
                events.append(record)
                if len(events) == limit:
                    break
            left = deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(_POLL_SECONDS, left))
    finally:
        control.listening = False
    return sorted(events, key=lambda record: schema.EVENT.unpack_from(record)[0])


def _decode(record: bytes) -> dict:
    (
        moment,
        interface,
        size,
        processing,
        vlan,
        family,
        protocol,
        icmp_type,
        code,
        has_type,
        reason,
        monitored,
        source,
        destination,
    ) = schema.EVENT.unpack(record)
    length = {"ipv4": 4, "ipv6": 16}.get(schema.FAMILIES[family])  # none where tags hide it
    return {
        "time": wall_clock(moment),
        "interface": _interface_name(interface),
        "family": schema.FAMILIES[family],
        "protocol": protocol,
        "type": icmp_type if has_type else None,
        "code": code if has_type else None,
        "verdict": "would_drop" if monitored else "drop" if reason >= schema.FIRST_DROP else "pass",
        "reason": schema.REASONS_BY_NUMBER.get(reason, f"reason {reason}"),
        "src": addresses.display(source[:length]) if length else None,
        "dst": addresses.display(destination[:length]) if length else None,
        "length": size,
        "vlan": None if vlan == schema.NO_VLAN else vlan,
        "processing_ns": processing or None,
    }


def wall_clock(monotonic: int) -> str:
    """UTC to the microsecond."""
    seconds, nanoseconds = divmod(time.time_ns() - time.monotonic_ns() + monotonic, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06d}Z"


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # gone since
        return str(index)
