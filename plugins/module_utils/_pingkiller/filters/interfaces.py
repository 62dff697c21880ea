# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces that filters are wanted on, and what is wrong with those that cannot have one."""

from __future__ import annotations

from ..errors import PingKillerError, listed, quoted
from ..kernel import netlink, routes
from .request import FilterRequest, require_printable


def usable_links(request: FilterRequest) -> list[netlink.Link]:
    """Return the interfaces, which may have any of their names, without duplicates.

    Raises PingKillerError for an unusable one.
    """
    names = routes.default_interfaces() if request.interfaces is None else request.interfaces
    if not names:
        raise PingKillerError("this host has no default route to take the interface from: name one with interface")
    return list({link.ifindex: link for link in map(usable_link, names)}.values())


def usable_link(name: str) -> netlink.Link:
    """Return an interface, which may have any of its names. Raises PingKillerError for an unusable one."""
    require_printable(name)
    link = netlink.link(name)
    if link is None:
        usable = sorted(each.name for each in netlink.links() if each.ethernet and not each.loopback)
        way_out = f"use one of {listed(usable)}" if usable else "it has none that a filter would be of use on"
        raise PingKillerError(f"interface {quoted(name)} does not exist on this host: {way_out}")
    if not link.ethernet:
        raise PingKillerError(
            f"interface {quoted(name)} carries no Ethernet frames, which the filter needs: name the Ethernet interface below it with "
            f"interface; ICMP inside a tunnel is not seen there, so filter that with the host's firewall (nftables)"
        )
    return link
