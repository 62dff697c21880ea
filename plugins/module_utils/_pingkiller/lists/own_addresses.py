# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the addresses of this host from the kernel."""

from __future__ import annotations

from collections.abc import Iterator

from ..kernel import netlink
from ..kernel.layout import Layout

_HEADER = Layout("family:B", "prefix_length:B", "flags:B", "scope:B", "index:I")  #: struct ifaddrmsg
_RTM_GETADDR = 22  #: linux/rtnetlink.h
_IFA_ADDRESS, _IFA_LOCAL = 1, 2  #: linux/if_addr.h
_SCOPE_HOST = 254  #: linux/rtnetlink.h: an address that only this host uses, like 127.0.0.1


def own_addresses() -> Iterator[bytes]:
    """Yield the addresses of all interfaces, 4 or 16 bytes each. Raises PingKillerError if the kernel does not answer."""
    bodies = netlink.request(_RTM_GETADDR, netlink.DUMP, _HEADER.pack())
    with netlink.understood():
        for body in bodies:
            scope = _HEADER.unpack(body)["scope"]
            found = dict(netlink.attributes(body[_HEADER.size :]))
            # On a point-to-point link, IFA_ADDRESS is the address of the other side.
            address = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))
            if address and scope != _SCOPE_HOST:
                yield address
