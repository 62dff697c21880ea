# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces and the XDP programs on them, by rtnetlink.

BCC attaches a program where there is none. It cannot say "replace this one and no other" or "remove this one and no
other", which is what keeps foreign programs safe, so those two are here. Constants are from linux/if_link.h,
linux/rtnetlink.h and linux/netlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_NLM_F_REQUEST, _NLM_F_MULTI = 1, 2
ACK, DUMP, REPLACE, EXCLUSIVE, CREATE = 4, 0x300, 0x100, 0x200, 0x400  #: what a request may ask for
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLMSGERR_ATTR_MSG = 1
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_SOL_NETLINK, _NETLINK_EXT_ACK = 270, 11
NESTED = 0x8000

_IFLA_IFNAME, _IFLA_MTU, _IFLA_XDP = 3, 4, 43
_XDP_FD, _XDP_ATTACHED, _XDP_FLAGS, _XDP_PROG_ID, _XDP_EXPECTED_FD = 1, 2, 3, 4, 8
_XDP_PROG_IDS = {"native": 5, "generic": 6, "offload": 7}
_XDP_ATTACHED_MODES = {1: "native", 2: "generic", 3: "offload"}

FLAG_NOEXIST, FLAG_REPLACE = 1, 16
MODE_FLAGS = {"generic": 2, "native": 4}

_HEADER = struct.Struct("=IHHII")  #: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  #: family, device type, index, flags, change mask
_ATTRIBUTE = struct.Struct("=HH")  #: length, type

#: ARPHRD_ETHER and ARPHRD_LOOPBACK: devices whose frames begin with an Ethernet header.
_ETHERNET_TYPES = (1, 772)


class Link(NamedTuple):
    """An interface as the kernel has it."""

    name: str
    index: int
    ethernet: bool  #: frames begin with an Ethernet header
    mtu: int
    programs: dict  #: id of the attached XDP program by mode


class NetlinkError(OSError):
    """An error answer, with the kernel's own explanation in ``strerror`` where it gave one."""


def attribute(kind: int, payload: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def request(kind: int, flags: int, payload: bytes) -> list[bytes]:
    """Send one message; the payloads of the answers. Raises NetlinkError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        netlink.send(_HEADER.pack(_HEADER.size + len(payload), kind, _NLM_F_REQUEST | flags, 1, 0) + payload)
        answers: list[bytes] = []
        while not _collect(netlink.recv(1 << 18), answers):
            pass
        return answers


def _collect(data: bytes, answers: list[bytes]) -> bool:
    """Split a datagram into messages; whether the last one has come."""
    while len(data) >= _HEADER.size:
        length, kind, flags, _sequence, _port = _HEADER.unpack_from(data)
        body = data[_HEADER.size : length]
        if kind == _NLMSG_ERROR:
            _raise_for(body, flags)
            return True
        if kind == _NLMSG_DONE:
            return True
        answers.append(body)
        if not flags & _NLM_F_MULTI:
            return True
        data = data[(length + 3) & ~3 :]
    return False


def _raise_for(body: bytes, flags: int) -> None:
    number = -struct.unpack_from("=i", body)[0]
    if not number:
        return
    explanation = os.strerror(number)
    if flags & _NLM_F_ACK_TLVS:
        echoed = _HEADER.size if flags & _NLM_F_CAPPED else (struct.unpack_from("=I", body, 4)[0] + 3) & ~3
        for kind, value in attributes(body[4 + echoed :]):
            if kind == _NLMSGERR_ATTR_MSG:
                explanation = value.rstrip(b"\0").decode(errors="replace")
    raise NetlinkError(number, explanation)


def _decode(body: bytes) -> Link:
    _family, device_type, index, _flags, _change = _LINK.unpack_from(body)
    name, mtu, programs = "", 0, {}
    for kind, value in attributes(body[_LINK.size :]):
        if kind == _IFLA_IFNAME:
            name = value.rstrip(b"\0").decode(errors="replace")
        elif kind == _IFLA_MTU:
            mtu = struct.unpack("=I", value)[0]
        elif kind == _IFLA_XDP:
            programs = _decode_xdp(dict(attributes(value)))
    return Link(name, index, device_type in _ETHERNET_TYPES, mtu, programs)


def _decode_xdp(nested: dict) -> dict:
    """Program ids by mode; kernels that know one mode only do not list them apart."""
    programs = {mode: struct.unpack("=I", nested[kind])[0] for mode, kind in _XDP_PROG_IDS.items() if kind in nested}
    mode = _XDP_ATTACHED_MODES.get(nested.get(_XDP_ATTACHED, b"\0")[0])
    if mode and not programs and _XDP_PROG_ID in nested:
        programs[mode] = struct.unpack("=I", nested[_XDP_PROG_ID])[0]
    return programs


def link(name: str) -> Link | None:
    """The interface of this name, or None. Raises NetlinkError."""
    if not 0 < len(os.fsencode(name)) < 16:  # IFNAMSIZ; the kernel calls a longer one an error of the message
        return None
    payload = _LINK.pack(0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
    try:
        return _decode(request(_RTM_GETLINK, 0, payload)[0])
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def links() -> list[Link]:
    """All interfaces of this network namespace."""
    return [_decode(body) for body in request(_RTM_GETLINK, DUMP, _LINK.pack(0, 0, 0, 0, 0))]


def _set_xdp(index: int, fd: int, expected_fd: int | None, mode: str) -> None:
    """``expected_fd`` is of the program that must be there; None: no program may be there."""
    flags = MODE_FLAGS[mode] | (FLAG_NOEXIST if expected_fd is None else FLAG_REPLACE)
    nested = attribute(_XDP_FD, struct.pack("=i", fd)) + attribute(_XDP_FLAGS, struct.pack("=I", flags))
    if expected_fd is not None:
        nested += attribute(_XDP_EXPECTED_FD, struct.pack("=i", expected_fd))
    payload = _LINK.pack(0, 0, index, 0, 0) + attribute(_IFLA_XDP | NESTED, nested)
    request(_RTM_SETLINK, ACK, payload)


def attach_xdp(index: int, fd: int, mode: str) -> None:
    """Attach where no program is. Raises NetlinkError with the driver's reason, EBUSY if a program is there."""
    _set_xdp(index, fd, None, mode)


def replace_xdp(index: int, new_fd: int, old_fd: int, mode: str) -> None:
    """Put one program in another's place without a moment between. Raises NetlinkError EEXIST if another is there."""
    _set_xdp(index, new_fd, old_fd, mode)


def detach_xdp(index: int, old_fd: int, mode: str) -> None:
    """Take exactly this program off. Raises NetlinkError EEXIST if another is there."""
    _set_xdp(index, -1, old_fd, mode)


def default_interfaces() -> list[str]:
    """The interfaces of the default routes with the lowest metric, IPv4 first; empty without a default route."""
    found = _default_ipv4() or _default_ipv6()
    best = min((metric for metric, _name in found), default=0)
    return sorted({name for metric, name in found if metric == best})


def _default_ipv4() -> list[tuple[int, str]]:
    with open("/proc/net/route") as file:
        rows = [line.split() for line in file][1:]
    return [(int(row[6]), row[0]) for row in rows if row[1] == "00000000" and row[7] == "00000000"]


def _default_ipv6() -> list[tuple[int, str]]:
    try:
        with open("/proc/net/ipv6_route") as file:
            rows = [line.split() for line in file]
    except FileNotFoundError:
        return []
    zero = "0" * 32
    return [(int(row[5], 16), row[9]) for row in rows if row[0] == zero and row[1] == "00" and row[9] != "lo"]
