# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces of the default routes, by rtnetlink. Constants are from linux/rtnetlink.h and linux/nexthop.h."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from . import netlink
from .layout import Layout

_GET_ROUTE, _GET_NEXT_HOP = 26, 106
_OIF, _PRIORITY, _MULTIPATH, _NEXT_HOP_ID = 4, 6, 9, 30
_HOP_ID, _HOP_GROUP, _HOP_OIF = 1, 2, 5
_UNICAST, _MAIN_TABLE = 1, 254

#: struct rtmsg; dst_len is the length of the prefix
_ROUTE = Layout(
    *("family:B", "dst_len:B", "src_len:B", "tos:B", "table:B", "protocol:B", "scope:B", "type:B", "flags:I"),
)
_PATH = Layout("len:H", "flags:B", "hops:B", "ifindex:i")  #: struct rtnexthop
_NEXT_HOP = Layout("family:B", "scope:B", "protocol:B", ":x", "flags:I")  #: struct nhmsg
_GROUP_MEMBER = struct.Struct("=I4x")  #: struct nexthop_grp: the id, and its weight


def default_interfaces() -> list[str]:
    """Return the interfaces of the default routes, sorted by name; none without a default route. Raises NetlinkError.

    They are those of all next hops of the routes with the lowest metric, for each family, in the main table. Routes that
    refuse packets (``unreachable``, ``blackhole`` and so on) do not count.
    """
    with netlink.understood():
        indexes = _default_indexes(socket.AF_INET) | _default_indexes(socket.AF_INET6)
    return sorted(link.name for link in netlink.links() if link.ifindex in indexes) if indexes else []


def _default_indexes(family: int) -> set[int]:
    by_metric: dict[int, set[int]] = {}
    for body in netlink.request(_GET_ROUTE, netlink.DUMP, _ROUTE.pack(family=family)):
        if _is_default(_ROUTE.unpack(body), family):
            found = dict(netlink.attributes(body[_ROUTE.size :]))
            metric = netlink.u32(found.get(_PRIORITY, bytes(4)))
            by_metric.setdefault(metric, set()).update(_next_hops(found))
    by_metric = {metric: indexes for metric, indexes in by_metric.items() if indexes}
    return by_metric[min(by_metric)] if by_metric else set()


def _is_default(route: dict[str, int], family: int) -> bool:
    """Return whether this is a default route. Without IPv6 the kernel answers with routes of other families."""
    shape = route["family"], route["dst_len"], route["table"], route["type"]
    return shape == (family, 0, _MAIN_TABLE, _UNICAST)


def _next_hops(route: dict[int, bytes]) -> Iterator[int]:
    """Yield the indexes of the interfaces that a route leads to, given its attributes."""
    if _OIF in route:
        yield netlink.u32(route[_OIF])
    paths = route.get(_MULTIPATH, b"")
    while len(paths) >= _PATH.size:
        path = _PATH.unpack(paths)
        yield path["ifindex"]
        paths = paths[max(path["len"], _PATH.size) + 3 & ~3 :]
    # If net.ipv4.nexthop_compat_mode is off, a route names its next hop object and nothing else.
    if _NEXT_HOP_ID in route:
        yield from _of_object(netlink.u32(route[_NEXT_HOP_ID]))


def _of_object(number: int) -> Iterator[int]:
    """Yield the interfaces of a next hop object, which may be a group of others."""
    bodies = netlink.request(_GET_NEXT_HOP, netlink.DUMP, _NEXT_HOP.pack())
    objects = [dict(netlink.attributes(body[_NEXT_HOP.size :])) for body in bodies]
    known = {netlink.u32(found[_HOP_ID]): found for found in objects if _HOP_ID in found}
    asked = known.get(number, {})
    members = [member for (member,) in _GROUP_MEMBER.iter_unpack(asked.get(_HOP_GROUP, b""))]
    for hop in [asked, *(known.get(member, {}) for member in members)]:
        if _HOP_OIF in hop:
            yield netlink.u32(hop[_HOP_OIF])
