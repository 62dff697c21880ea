# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flood of echo requests over a veth pair, from a listed and an unlisted address, that accounts for every packet.

The next pings are sent once all pings of the unlisted address have been answered. So no queue of a slow machine
overflows, and every missing answer is a lost packet.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

from machine import ip

LISTED, UNLISTED, HERE = "198.18.77.66", "198.18.77.2", "198.18.77.1"
HERE_MAC, THERE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:07"
FAR = "pkfar"
BURST = 8  #: pings of each address in flight at once
PATIENCE = 5  #: seconds without an answer after which packets count as lost
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL, _ETHTOOL_SGRO = 0x8946, 0x2C
_libc = ctypes.CDLL(None, use_errno=True)


class Flood:
    """Pings sent and answers received, by address."""

    def __init__(self, wire: socket.socket) -> None:
        self.sent = dict.fromkeys((LISTED, UNLISTED), 0)
        self.answered = dict.fromkeys((LISTED, UNLISTED), 0)
        self._wire = wire
        self._frames = {source: _echo_request(source) for source in self.sent}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for source in (LISTED, UNLISTED) * BURST:
                self._wire.send(self._frames[source])
                self.sent[source] += 1
            self._collect(self.answered[UNLISTED] + BURST)
            time.sleep(0.001)  # leaves the processor to others

    def _collect(self, expected: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.answered[UNLISTED] < expected and time.monotonic() < deadline:
            with contextlib.suppress(socket.timeout):
                frame = self._wire.recv(2000)
                if frame[23] == socket.IPPROTO_ICMP and frame[34] == 0:
                    self.answered[socket.inet_ntoa(frame[30:34])] += 1


@contextlib.contextmanager
def cable() -> Iterator[Flood]:
    """Connect pk0 with another network namespace, and yield a flood that comes from there."""
    os.makedirs("/run/netns", exist_ok=True)
    ip("netns", "add", FAR)
    ip("link", "set", "pk1", "netns", FAR, "address", THERE_MAC)
    ip("link", "set", "pk0", "address", HERE_MAC)
    _keep_receiving("pk0")
    ip("addr", "add", f"{HERE}/24", "dev", "pk0")
    ip("link", "set", "pk0", "up")
    ip("-n", FAR, "link", "set", "pk1", "up")
    for address in (LISTED, UNLISTED):
        ip("neigh", "add", address, "lladdr", THERE_MAC, "dev", "pk0")
    try:
        with contextlib.closing(_far_socket()) as wire:
            _wait_until_answered(wire)
            yield Flood(wire)
    finally:
        ip("netns", "del", FAR)


def _wait_until_answered(wire: socket.socket) -> None:
    """Wait until both ends of the cable are up, which is a moment after the commands for that."""
    for _time in range(100):
        wire.send(_echo_request(UNLISTED))
        with contextlib.suppress(socket.timeout):
            wire.recv(2000)
            break
    with contextlib.suppress(socket.timeout):
        while wire.recv(2000):
            pass


def _keep_receiving(interface: str) -> None:
    """Enable GRO, with which veth does not discard its receive queue when a native program is detached."""
    value = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_SGRO, 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), ctypes.addressof(value)))


def _far_socket() -> socket.socket:
    """Return a socket in the other namespace: a socket stays in the namespace where it was made."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{FAR}", os.O_RDONLY)
    try:
        _libc.setns(there, _CLONE_NEWNET)
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        wire.bind(("pk1", 0x0800))
        wire.settimeout(0.2)
        return wire
    finally:
        _libc.setns(home, _CLONE_NEWNET)
        os.close(there)
        os.close(home)


def _echo_request(source: str) -> bytes:
    ethernet = bytes.fromhex((HERE_MAC + THERE_MAC).replace(":", "")) + b"\x08\x00"
    header = struct.pack(">BBHHHBB2x4s4s", 0x45, 0, 28, 0, 0, 64, 1, socket.inet_aton(source), socket.inet_aton(HERE))
    return ethernet + _with_checksum(header, 10) + _with_checksum(b"\x08\0\0\0\0\1\0\1", 2)


def _with_checksum(data: bytes, offset: int) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:offset] + struct.pack(">H", ~total & 0xFFFF) + data[offset + 2 :]
