# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the default routes lead, by rtnetlink. Constants are from linux/rtnetlink.h and linux/nexthop.h."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from . import netlink

_GET_ROUTE, _GET_NEXT_HOP = 26, 106
_OIF, _PRIORITY, _MULTIPATH, _NEXT_HOP_ID = 4, 6, 9, 30
_HOP_ID, _HOP_GROUP, _HOP_OIF = 1, 2, 5
_UNICAST, _MAIN_TABLE = 1, 254

_ROUTE = struct.Struct("=BBBBBBBBI")  #: family, prefix lengths, TOS, table, protocol, scope, type, flags
_PATH = struct.Struct("=HBBi")  #: length, flags, weight, interface
_NEXT_HOP = struct.Struct("=BBBxI")  #: family, scope, protocol, flags
_GROUP_MEMBER = struct.Struct("=IBBH")  #: id, weight


def default_interfaces() -> list[str]:
    """The interfaces of the default routes, sorted by name; empty without a default route.

    Of each family the routes with the lowest metric, with all their next hops; of the main table, and none that refuses
    what it is asked for (``unreachable``, ``blackhole`` and so on).
    """
    with netlink.understood():
        indexes = set().union(*(_default_indexes(family) for family in (socket.AF_INET, socket.AF_INET6)))
    return sorted(link.name for link in netlink.links() if link.index in indexes) if indexes else []


def _default_indexes(family: int) -> set[int]:
    by_metric: dict[int, set[int]] = {}
    for body in netlink.request(_GET_ROUTE, netlink.DUMP, _ROUTE.pack(family, *[0] * 8)):
        # Without IPv6 the kernel answers with the routes of other families.
        of, length, _source_length, _tos, table, _protocol, _scope, kind, _flags = _ROUTE.unpack_from(body)
        if (of, length, table, kind) == (family, 0, _MAIN_TABLE, _UNICAST):
            found = dict(netlink.attributes(body[_ROUTE.size :]))
            metric = struct.unpack("=I", found.get(_PRIORITY, bytes(4)))[0]
            by_metric.setdefault(metric, set()).update(_next_hops(found))
    by_metric = {metric: indexes for metric, indexes in by_metric.items() if indexes}
    return by_metric[min(by_metric)] if by_metric else set()


def _next_hops(route: dict[int, bytes]) -> Iterator[int]:
    """The indexes of the interfaces that a route leads to, given its attributes."""
    if _OIF in route:
        yield struct.unpack("=i", route[_OIF])[0]
    paths = route.get(_MULTIPATH, b"")
    while len(paths) >= _PATH.size:
        length, _flags, _weight, index = _PATH.unpack_from(paths)
        yield index
        paths = paths[max(length, _PATH.size) + 3 & ~3 :]
    # If net.ipv4.nexthop_compat_mode is off, a route names its next hop object and nothing else.
    if _NEXT_HOP_ID in route:
        yield from _of_object(struct.unpack("=I", route[_NEXT_HOP_ID])[0])


def _of_object(identity: int) -> Iterator[int]:
    """The interfaces of a next hop object, which may be a group of others."""
    bodies = netlink.request(_GET_NEXT_HOP, netlink.DUMP, _NEXT_HOP.pack(0, 0, 0, 0))
    objects = (dict(netlink.attributes(body[_NEXT_HOP.size :])) for body in bodies)
    known = {struct.unpack("=I", each[_HOP_ID])[0]: each for each in objects if _HOP_ID in each}
    asked = known.get(identity, {})
    members = [member[0] for member in _GROUP_MEMBER.iter_unpack(asked.get(_HOP_GROUP, b""))]
    for each in [asked, *(known.get(member, {}) for member in members)]:
        if _HOP_OIF in each:
            yield struct.unpack("=I", each[_HOP_OIF])[0]
