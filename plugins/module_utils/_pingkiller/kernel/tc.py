# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter as a classifier of a clsact queueing discipline, by rtnetlink.

Several classifiers live side by side, so nobody has to make room for ours, and ours lets pass by saying nothing.
Constants are from linux/pkt_sched.h, linux/pkt_cls.h and linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

from ..errors import PingKillerError
from . import netlink
from .schema import TC_EGRESS, TC_INGRESS

_NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_NEWTFILTER, _DELTFILTER, _GETTFILTER = 44, 45, 46
_TCA_KIND, _TCA_OPTIONS = 1, 2
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_CLSACT_PARENT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
_PARENTS = {TC_INGRESS: 0xFFFFFFF2, TC_EGRESS: 0xFFFFFFF3}
_ALL_PROTOCOLS = 0x0003  #: ETH_P_ALL
#: Ours to choose from; a smaller one comes first.
PRIORITIES, EARLY_PRIORITIES = range(1000, 1016), range(1, 16)
_HANDLE = 1
#: What a kernel says, the older the more of these, where there is no such queueing discipline, or no interface.
_NOT_THERE = (errno.EINVAL, errno.ENOENT, errno.ENODEV)

_MESSAGE = struct.Struct("=BxHiIII")  #: family, padding, interface, handle, parent, priority and protocol


class Classifier(NamedTuple):
    """A BPF classifier on an interface."""

    hook: str
    priority: int
    handle: int
    program_id: int


def _info(priority: int) -> int:
    return priority << 16 | struct.unpack("=H", struct.pack(">H", _ALL_PROTOCOLS))[0]


def classifiers(index: int, hook: str) -> list[Classifier]:
    """The BPF classifiers of one side of an interface."""
    with netlink.understood():
        found = (_decode(answer, hook) for answer in _filters(index, hook) or ())
        return [classifier for classifier in found if classifier]


def _filters(index: int, hook: str) -> list[bytes] | None:
    """Whatever filters one side of an interface; None without the queueing discipline for it."""
    message = _MESSAGE.pack(0, 0, index, 0, _PARENTS[hook], 0)
    try:
        return netlink.request(_GETTFILTER, netlink.DUMP, message)
    except netlink.NetlinkError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


def _decode(body: bytes, hook: str) -> Classifier | None:
    _family, _pad, _index, handle, _parent, info = _MESSAGE.unpack_from(body)
    fields = dict(netlink.attributes(body[_MESSAGE.size :]))
    if fields.get(_TCA_KIND) != b"bpf\0" or _TCA_OPTIONS not in fields:
        return None
    identity = dict(netlink.attributes(fields[_TCA_OPTIONS])).get(_BPF_ID)
    return Classifier(hook, info >> 16, handle, struct.unpack("=I", identity)[0]) if identity else None


def has_clsact(index: int) -> bool:
    """Whether the queueing discipline is there, whoever made it.

    Newer kernels list the filters of one that is not there as none, without an error; so the disciplines are asked for.
    """
    answers = netlink.request(_GETQDISC, netlink.DUMP, _MESSAGE.pack(0, 0, index, 0, 0, 0))
    with netlink.understood():
        return any(_MESSAGE.unpack_from(body)[2::2] == (index, _CLSACT_PARENT) for body in answers)


def ensure_clsact(index: int) -> bool:
    """Whether the queueing discipline was made now; it carries no traffic, only classifiers."""
    message = _MESSAGE.pack(0, 0, index, _CLSACT_HANDLE, _CLSACT_PARENT, 0) + netlink.attribute(_TCA_KIND, b"clsact\0")
    try:
        netlink.request(_NEWQDISC, netlink.ACK | netlink.CREATE | netlink.EXCLUSIVE, message)
    except netlink.NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
        return False
    return True


def remove_clsact(index: int) -> None:
    """Remove the queueing discipline unless a filter is on it, of whatever kind and whose ever."""
    if any(_filters(index, hook) for hook in _PARENTS):
        return
    message = _MESSAGE.pack(0, 0, index, _CLSACT_HANDLE, _CLSACT_PARENT, 0)
    try:
        netlink.request(_DELQDISC, netlink.ACK, message)
    except netlink.NetlinkError as error:
        if error.errno not in _NOT_THERE:
            raise


def attach(index: int, hook: str, fd: int, priorities: range = PRIORITIES) -> None:
    """Add a classifier. Raises PingKillerError when all the places that are ours are taken."""
    for priority in priorities:
        try:
            _set(index, hook, fd, priority, _HANDLE, netlink.CREATE | netlink.EXCLUSIVE)
            return
        except netlink.NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
    raise PingKillerError(
        f"the classifiers {priorities[0]} to {priorities[-1]} of {hook} are all taken: remove one of them (tc filter del)"
    )


def replace(index: int, fd: int, old: Classifier) -> None:
    """Put a program in the place of a classifier's, without a moment between."""
    _set(index, old.hook, fd, old.priority, old.handle, netlink.CREATE | netlink.REPLACE)


def _set(index: int, hook: str, fd: int, priority: int, handle: int, flags: int) -> None:
    options = (
        netlink.attribute(_BPF_FD, struct.pack("=I", fd))
        + netlink.attribute(_BPF_NAME, b"pingkiller\0")
        + netlink.attribute(_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
    )
    message = (
        _MESSAGE.pack(0, 0, index, handle, _PARENTS[hook], _info(priority))
        + netlink.attribute(_TCA_KIND, b"bpf\0")
        + netlink.attribute(_TCA_OPTIONS | netlink.NESTED, options)
    )
    netlink.request(_NEWTFILTER, netlink.ACK | flags, message)


def detach(index: int, classifier: Classifier) -> None:
    message = _MESSAGE.pack(
        0, 0, index, classifier.handle, _PARENTS[classifier.hook], _info(classifier.priority)
    ) + netlink.attribute(_TCA_KIND, b"bpf\0")
    netlink.request(_DELTFILTER, netlink.ACK, message)
