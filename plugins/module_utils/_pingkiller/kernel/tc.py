# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BPF classifiers on the clsact queueing discipline, by rtnetlink.

An interface has room for several, so no other classifier has to make room for the filter's. The filter leaves a packet that
it does not drop to the next one. Constants are from linux/pkt_sched.h, linux/pkt_cls.h and linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from ..errors import PingKillerError
from . import netlink
from .layout import Layout

_NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_NEWTFILTER, _DELTFILTER, _GETTFILTER = 44, 45, 46
_TCA_KIND, _TCA_OPTIONS = 1, 2
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_CLSACT_PARENT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
_PARENTS = {"tc_ingress": 0xFFFFFFF2, "tc_egress": 0xFFFFFFF3}
_ALL_PROTOCOLS = 0x0003  #: ETH_P_ALL
#: The priorities that the filter may have. A smaller one comes first.
PRIORITIES, EARLY_PRIORITIES = range(1000, 1016), range(1, 16)
_HANDLE = 1
#: Errors where there is no such queueing discipline or no such interface; which one depends on the kernel's age.
_NOT_THERE = (errno.EINVAL, errno.ENOENT, errno.ENODEV)

_MESSAGE = Layout("family:B", ":3x", "ifindex:i", "handle:I", "parent:I", "info:I")  #: struct tcmsg


class Classifier(NamedTuple):
    """A BPF classifier on an interface."""

    hook: str  #: ``tc_ingress`` or ``tc_egress``
    priority: int
    handle: int
    program_id: int


def _info(priority: int) -> int:
    """Return the field that holds a priority and, in network byte order, a protocol."""
    return priority << 16 | socket.htons(_ALL_PROTOCOLS)


def classifiers(ifindex: int, hook: str) -> list[Classifier]:
    """Return the BPF classifiers on one side of an interface. Raises NetlinkError."""
    with netlink.understood():
        found = (_decode(answer, hook) for answer in _filters(ifindex, hook) or ())
        return [classifier for classifier in found if classifier]


def _filters(ifindex: int, hook: str) -> list[bytes] | None:
    """Return the filters of every kind on one side of an interface; None without the queueing discipline for it."""
    message = _MESSAGE.pack(ifindex=ifindex, parent=_PARENTS[hook])
    try:
        return netlink.request(_GETTFILTER, netlink.DUMP, message)
    except netlink.NetlinkError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


def _decode(body: bytes, hook: str) -> Classifier | None:
    """Return the classifier that an answer is about; None if it is not a BPF program."""
    header, found = _MESSAGE.unpack(body), dict(netlink.attributes(body[_MESSAGE.size :]))
    if found.get(_TCA_KIND) != b"bpf\0" or _TCA_OPTIONS not in found:
        return None
    program_id = dict(netlink.attributes(found[_TCA_OPTIONS])).get(_BPF_ID)
    if not program_id:
        return None
    return Classifier(
        hook=hook, priority=header["info"] >> 16, handle=header["handle"], program_id=netlink.u32(program_id)
    )


def has_clsact(ifindex: int) -> bool:
    """Return whether an interface has the queueing discipline. Raises NetlinkError.

    Newer kernels answer without an error that a missing discipline has no filters, so the disciplines are read.
    """
    answers = netlink.request(_GETQDISC, netlink.DUMP, _MESSAGE.pack(ifindex=ifindex))
    with netlink.understood():
        headers = [_MESSAGE.unpack(body) for body in answers]
    return any((header["ifindex"], header["parent"]) == (ifindex, _CLSACT_PARENT) for header in headers)


def ensure_clsact(ifindex: int) -> bool:
    """Make the queueing discipline, which carries classifiers and no traffic. Return False if it was there already."""
    message = _clsact(ifindex) + netlink.attribute(_TCA_KIND, b"clsact\0")
    try:
        netlink.request(_NEWQDISC, netlink.ACK | netlink.CREATE | netlink.EXCLUSIVE, message)
    except netlink.NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
        return False
    return True


def remove_clsact(ifindex: int) -> None:
    """Remove the queueing discipline unless a filter of any kind is on it."""
    if any(_filters(ifindex, hook) for hook in _PARENTS):
        return
    try:
        netlink.request(_DELQDISC, netlink.ACK, _clsact(ifindex))
    except netlink.NetlinkError as error:
        if error.errno not in _NOT_THERE:
            raise


def _clsact(ifindex: int) -> bytes:
    return _MESSAGE.pack(ifindex=ifindex, handle=_CLSACT_HANDLE, parent=_CLSACT_PARENT)


def attach(ifindex: int, hook: str, *, fd: int, priorities: range = PRIORITIES) -> None:
    """Add a program as a classifier with the first free priority. Raises PingKillerError if all of them are taken."""
    for priority in priorities:
        place = Classifier(hook=hook, priority=priority, handle=_HANDLE, program_id=0)  # a free place
        try:
            _set(ifindex, place, fd=fd, flags=netlink.CREATE | netlink.EXCLUSIVE)
            return
        except netlink.NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
    raise PingKillerError(
        f"the classifiers {priorities[0]} to {priorities[-1]} of {hook} are all taken: remove one of them (tc filter del)"
    )


def replace(ifindex: int, fd: int, old: Classifier) -> None:
    """Put a program in the place of a classifier's, without a moment between."""
    _set(ifindex, old, fd=fd, flags=netlink.CREATE | netlink.REPLACE)


def _set(ifindex: int, place: Classifier, *, fd: int, flags: int) -> None:
    options = (
        netlink.attribute(_BPF_FD, struct.pack("=I", fd))
        + netlink.attribute(_BPF_NAME, b"pingkiller\0")
        + netlink.attribute(_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
    )
    message = _filter(ifindex, place) + netlink.attribute(_TCA_OPTIONS | netlink.NESTED, options)
    netlink.request(_NEWTFILTER, netlink.ACK | flags, message)


def detach(ifindex: int, classifier: Classifier) -> None:
    """Remove a classifier. Raises NetlinkError."""
    netlink.request(_DELTFILTER, netlink.ACK, _filter(ifindex, classifier))


def _filter(ifindex: int, classifier: Classifier) -> bytes:
    """Return the part of a message that names a BPF classifier."""
    header = _MESSAGE.pack(
        ifindex=ifindex,
        handle=classifier.handle,
        parent=_PARENTS[classifier.hook],
        info=_info(classifier.priority),
    )
    return header + netlink.attribute(_TCA_KIND, b"bpf\0")
