# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces and the XDP programs on them, by rtnetlink.

BCC attaches a program where there is none. It cannot say "replace this one and no other" or "remove this one and no
other", which is what keeps foreign programs safe, so those two are here. Constants are from linux/if_link.h,
linux/rtnetlink.h and linux/netlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_NLM_F_REQUEST, _NLM_F_MULTI, _NLM_F_DUMP_INTR = 1, 2, 0x10
ACK, DUMP, REPLACE, EXCLUSIVE, CREATE = 4, 0x300, 0x100, 0x200, 0x400  #: what a request may ask for
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLMSGERR_ATTR_MSG = 1
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_SOL_NETLINK, _NETLINK_EXT_ACK = 270, 11
NESTED = 0x8000

_IFLA_IFNAME, _IFLA_MTU, _IFLA_XDP, _IFLA_ALT_IFNAME = 3, 4, 43, 53
_ALT_NAME_SIZE = 128
_XDP_FD, _XDP_ATTACHED, _XDP_FLAGS, _XDP_PROG_ID, _XDP_EXPECTED_FD = 1, 2, 3, 4, 8
_XDP_PROG_IDS = {"native": 5, "generic": 6, "offload": 7}
_XDP_ATTACHED_MODES = {1: "native", 2: "generic", 3: "offload"}

FLAG_NOEXIST, FLAG_REPLACE = 1, 16
_KERNEL = 0  #: the port that it sends from
_DUMPS = 100  #: how often to ask again, where interfaces come and go all the time
MODE_FLAGS = {"generic": 2, "native": 4}

_HEADER = struct.Struct("=IHHII")  #: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  #: family, device type, index, flags, change mask
_ATTRIBUTE = struct.Struct("=HH")  #: length, type

_ETHERNET, _LOOPBACK = 1, 772  #: ARPHRD_ETHER and ARPHRD_LOOPBACK of linux/if_arp.h


class Link(NamedTuple):
    """An interface as the kernel has it."""

    name: str  #: its own one, never an alternative name
    index: int
    ethernet: bool  #: frames begin with an Ethernet header
    loopback: bool  #: carries what the host sends to itself
    mtu: int
    programs: dict  #: id of the attached XDP program by mode


class NetlinkError(OSError):
    """An error answer, with the kernel's own explanation in ``strerror`` where it gave one."""


class _Interrupted(Exception):
    """What was to be told has changed while it was told."""


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Around all that decodes. Raises NetlinkError for an answer that is shorter than what should be in it."""
    try:
        yield
    except (struct.error, IndexError):
        raise NetlinkError(errno.EBADMSG, "an answer about its interfaces that cannot be understood") from None


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
    """Send one message; the payloads of the answers, of a dump as at one moment. Raises NetlinkError."""
    for _attempt in range(_DUMPS):
        with contextlib.suppress(_Interrupted):
            return _request(kind, flags, payload)
    raise NetlinkError(errno.EINTR, "what there is went on changing while it was asked for")


def _request(kind: int, flags: int, payload: bytes) -> list[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        netlink.send(_HEADER.pack(_HEADER.size + len(payload), kind, _NLM_F_REQUEST | flags, 1, 0) + payload)
        answers: list[bytes] = []
        while True:
            data, (sender, _groups) = netlink.recvfrom(1 << 18)
            if sender == _KERNEL and _collect(data, answers):
                return answers


def _collect(data: bytes, answers: list[bytes]) -> bool:
    """Split a datagram into messages; whether the last one has come."""
    while len(data) >= _HEADER.size:
        length, kind, flags, _sequence, _port = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            raise NetlinkError(errno.EBADMSG, "an answer of no length")
        body = data[_HEADER.size : length]
        if flags & _NLM_F_DUMP_INTR:
            raise _Interrupted
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
    with understood():
        number = -struct.unpack_from("=i", body)[0]
    if not number:
        return
    explanation = os.strerror(number)
    if flags & _NLM_F_ACK_TLVS:
        with understood():
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
            name = os.fsdecode(value.rstrip(b"\0"))
        elif kind == _IFLA_MTU:
            mtu = struct.unpack("=I", value)[0]
        elif kind == _IFLA_XDP:
            programs = _decode_xdp(dict(attributes(value)))
    loopback = device_type == _LOOPBACK
    return Link(name, index, loopback or device_type == _ETHERNET, loopback, mtu, programs)


def _decode_xdp(nested: dict) -> dict:
    """Program ids by mode; kernels that know one mode only do not list them apart."""
    programs = {mode: struct.unpack("=I", nested[kind])[0] for mode, kind in _XDP_PROG_IDS.items() if kind in nested}
    mode = _XDP_ATTACHED_MODES.get(nested.get(_XDP_ATTACHED, b"\0")[0])
    if mode and not programs and _XDP_PROG_ID in nested:
        programs[mode] = struct.unpack("=I", nested[_XDP_PROG_ID])[0]
    return programs


def link(name: str) -> Link | None:
    """The interface of this name, be it its own or an alternative one, or None. Raises NetlinkError."""
    if not 0 < len(os.fsencode(name)) < _ALT_NAME_SIZE:  # the kernel calls a longer one an error of the message
        return None
    payload = _LINK.pack(0, 0, 0, 0, 0) + attribute(_IFLA_ALT_IFNAME, os.fsencode(name) + b"\0")
    try:
        with understood():
            return _decode(request(_RTM_GETLINK, 0, payload)[0])
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def links() -> list[Link]:
    """All interfaces of this network namespace."""
    with understood():
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
