# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces and the XDP programs on them, by rtnetlink.

BCC attaches a program where there is none. It cannot replace or remove exactly one program and no other, which keeps
foreign programs safe; so those two are here. Constants are from linux/if_link.h, linux/rtnetlink.h and linux/netlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from .layout import Layout

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_NLM_F_REQUEST, _NLM_F_MULTI, _NLM_F_DUMP_INTR = 1, 2, 0x10
ACK, DUMP, REPLACE, EXCLUSIVE, CREATE = 4, 0x300, 0x100, 0x200, 0x400  #: flags of a request
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
MODE_FLAGS = {"generic": 2, "native": 4}
_KERNEL = 0  #: the port that the kernel sends from
_ATTEMPTS = 100  #: at a dump, where interfaces come and go all the time

_HEADER = Layout("len:I", "type:H", "flags:H", "seq:I", "pid:I")  #: struct nlmsghdr
_LINK = Layout("family:B", ":x", "type:H", "index:i", "flags:I", "change:I")  #: struct ifinfomsg
_ERROR = Layout("error:i", "len:I")  #: the start of struct nlmsgerr: a negated errno, and of the request that failed
_ATTRIBUTE = struct.Struct("=HH")  #: length, type
_U32 = struct.Struct("=I")
_FD = struct.Struct("=i")

_ETHERNET, _LOOPBACK = 1, 772  #: ARPHRD_ETHER and ARPHRD_LOOPBACK of linux/if_arp.h


class Link(NamedTuple):
    """A network interface."""

    name: str  #: its own one, never an alternative name
    ifindex: int
    ethernet: bool  #: frames begin with an Ethernet header
    loopback: bool  #: carries the packets that the host sends to itself
    mtu: int
    programs: dict[str, int]  #: id of the attached XDP program by mode


class Message(NamedTuple):
    """A message of the kernel's."""

    kind: int
    flags: int
    body: bytes


class NetlinkError(OSError):
    """An error answer, with the kernel's own explanation in ``strerror`` where it gave one."""


class _Interrupted(Exception):
    """The interfaces or routes changed during a dump of them."""


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Raise NetlinkError where the code below decodes an answer that is too short."""
    try:
        yield
    except (struct.error, IndexError):
        raise NetlinkError(errno.EBADMSG, "an answer about its interfaces that cannot be decoded") from None


def attribute(kind: int, payload: bytes) -> bytes:
    """Return an attribute of a message, padded to four bytes."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and the payload of each attribute."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def request(kind: int, flags: int, payload: bytes) -> list[bytes]:
    """Send one message and return the bodies of the answers; those of a dump are of one moment. Raises NetlinkError."""
    for _attempt in range(_ATTEMPTS):
        with contextlib.suppress(_Interrupted):
            return _request(kind, flags, payload)
    raise NetlinkError(errno.EINTR, "the interfaces or routes kept changing while they were read")


def _request(kind: int, flags: int, payload: bytes) -> list[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        header = _HEADER.pack(len=_HEADER.size + len(payload), type=kind, flags=_NLM_F_REQUEST | flags, seq=1)
        netlink.send(header + payload)
        answers: list[bytes] = []
        while True:
            data, (sender, _groups) = netlink.recvfrom(1 << 18)
            if sender == _KERNEL and _collect(data, answers):
                return answers


def messages(data: bytes) -> Iterator[Message]:
    """Split a datagram into its messages. Raises NetlinkError for a message without length."""
    while len(data) >= _HEADER.size:
        header = _HEADER.unpack(data)
        length = header["len"]
        if length < _HEADER.size:
            raise NetlinkError(errno.EBADMSG, "an answer without a length")
        yield Message(kind=header["type"], flags=header["flags"], body=data[_HEADER.size : length])
        data = data[(length + 3) & ~3 :]


def _collect(data: bytes, answers: list[bytes]) -> bool:
    """Add the answers of a datagram. Return whether the last one has come. Raises NetlinkError."""
    for message in messages(data):
        if message.flags & _NLM_F_DUMP_INTR:
            raise _Interrupted
        if message.kind == _NLMSG_ERROR:
            _raise_for(message)
            return True
        if message.kind == _NLMSG_DONE:
            return True
        answers.append(message.body)
        if not message.flags & _NLM_F_MULTI:
            return True
    return False


def _raise_for(message: Message) -> None:
    """Raise NetlinkError for an error message, unless it only acknowledges."""
    with understood():
        number = -_ERROR.unpack(message.body)["error"]
    if number:
        raise NetlinkError(number, _explanation(message) or os.strerror(number))


def _explanation(message: Message) -> str:
    """Return the kernel's explanation of an error, or an empty text."""
    if not message.flags & _NLM_F_ACK_TLVS:
        return ""
    with understood():  # the request that failed comes back before the attributes, whole or only its header
        whole = (_ERROR.unpack(message.body)["len"] + 3) & ~3
    echoed = _HEADER.size if message.flags & _NLM_F_CAPPED else whole
    found = dict(attributes(message.body[4 + echoed :]))
    return found.get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")


def decode_link(body: bytes) -> Link:
    """Return the interface that a message is about. Raises struct.error if it is too short."""
    header, found = _LINK.unpack(body), dict(attributes(body[_LINK.size :]))
    loopback = header["type"] == _LOOPBACK
    return Link(
        name=os.fsdecode(found.get(_IFLA_IFNAME, b"").rstrip(b"\0")),
        ifindex=header["index"],
        ethernet=loopback or header["type"] == _ETHERNET,
        loopback=loopback,
        mtu=u32(found[_IFLA_MTU]) if _IFLA_MTU in found else 0,
        programs=_decode_xdp(dict(attributes(found.get(_IFLA_XDP, b"")))),
    )


def u32(value: bytes) -> int:
    """Return the number in the payload of an attribute. Raises struct.error if it has another size."""
    number: int = _U32.unpack(value)[0]
    return number


def _decode_xdp(nested: dict[int, bytes]) -> dict[str, int]:
    """Return program ids by mode. Kernels that allow one program on an interface do not list them by mode."""
    programs = {mode: u32(nested[kind]) for mode, kind in _XDP_PROG_IDS.items() if kind in nested}
    mode = _XDP_ATTACHED_MODES.get(nested.get(_XDP_ATTACHED, b"\0")[0])
    if mode and not programs and _XDP_PROG_ID in nested:
        programs[mode] = u32(nested[_XDP_PROG_ID])
    return programs


def link(name: str) -> Link | None:
    """Return the interface with this name, its own or an alternative one, or None. Raises NetlinkError."""
    if not 0 < len(os.fsencode(name)) < _ALT_NAME_SIZE:  # the kernel calls a longer one an error of the message
        return None
    payload = _LINK.pack() + attribute(_IFLA_ALT_IFNAME, os.fsencode(name) + b"\0")
    try:
        with understood():
            return decode_link(request(_RTM_GETLINK, 0, payload)[0])
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def links() -> list[Link]:
    """Return all interfaces of this network namespace. Raises NetlinkError."""
    with understood():
        return [decode_link(body) for body in request(_RTM_GETLINK, DUMP, _LINK.pack())]


def attach_xdp(ifindex: int, fd: int, mode: str) -> None:
    """Attach a program where none is. Raises NetlinkError with the driver's reason, EBUSY if a program is there."""
    _set_xdp(ifindex, fd=fd, expected_fd=None, mode=mode)


def replace_xdp(ifindex: int, *, new_fd: int, old_fd: int, mode: str) -> None:
    """Put one program in another's place without a moment between. Raises NetlinkError EEXIST if another is there."""
    _set_xdp(ifindex, fd=new_fd, expected_fd=old_fd, mode=mode)


def detach_xdp(ifindex: int, old_fd: int, mode: str) -> None:
    """Take exactly this program off. Raises NetlinkError EEXIST if another is there."""
    _set_xdp(ifindex, fd=-1, expected_fd=old_fd, mode=mode)


def _set_xdp(ifindex: int, *, fd: int, expected_fd: int | None, mode: str) -> None:
    """Attach ``fd``; -1 detaches. ``expected_fd`` is the program that must be there, None if none may be there."""
    flags = MODE_FLAGS[mode] | (FLAG_NOEXIST if expected_fd is None else FLAG_REPLACE)
    nested = attribute(_XDP_FD, _FD.pack(fd)) + attribute(_XDP_FLAGS, _U32.pack(flags))
    if expected_fd is not None:
        nested += attribute(_XDP_EXPECTED_FD, _FD.pack(expected_fd))
    request(_RTM_SETLINK, ACK, _LINK.pack(index=ifindex) + attribute(_IFLA_XDP | NESTED, nested))
