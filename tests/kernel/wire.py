# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that gets groups of frames as questions, and the wire that carries questions and answers. Its kernel is real.

The host is a namespace, so its settings do not affect this machine. The pins of the filter stay where they are.
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

from groups import (
    END,
    END_MAC,
    GATEWAY,
    GATEWAY_MAC,
    HOP_BY_HOP,
    ICMP,
    ICMPV6,
    MTU,
    ROUTER_ALERT,
    TCP,
    TCP_PORT,
    UDP_PORT,
    joined,
    packed,
    with_checksum,
)
from network import PATIENCE, Namespace, bring_up, run, unique_name

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, netlink, tc

#: The places for a filter on arriving packets.
WAYS = ("native", "generic", "tc_ingress")

#: What the host's messages mean, by protocol and type.
ANSWERS = {
    (ICMP, 0): "echo",
    (ICMP, 14): "timestamp",
    (ICMP, 43): "extended echo",
    (ICMP, 3): "error",
    (ICMP, 12): "error",
    (ICMPV6, 129): "echo",
    (ICMPV6, 161): "extended echo",
    (ICMPV6, 136): "neighbour",
    (ICMPV6, 131): "listener",
    (ICMPV6, 1): "error",
    (ICMPV6, 4): "error",
}
#: The gateway's addresses. An answer to the gateway shows that all other answers are out, so no filter may drop it.
MARKS = (GATEWAY["ipv4"], GATEWAY["link-local"])
#: Multicast groups that the gateway asks about.
MARKED = [packed(f"ff05::b:{number:x}") for number in range(8)]
MOST_AT_ONCE = 128  # frames, few enough that no queue loses one

# Constants that Python does not have.
SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, ICMP6_FILTER = 263, 23, 33, 1
BUT_ROUTER_SOLICITATIONS = [0xFFFFFFFF ^ (1 << 133 % 32 if word == 133 // 32 else 0) for word in range(8)]


@contextmanager
def behind(filter_, interface: str, way: str):
    """Attach a loaded filter to one more interface of this thread's namespace, in any of the WAYS."""
    index, fd = netlink.link(interface).ifindex, filter_.program_fd
    if way == "tc_ingress":
        tc.ensure_clsact(index)
        tc.attach(index, way, fd=fd)
    else:
        netlink.attach_xdp(index, fd, way)
    try:
        yield
    finally:
        if way == "tc_ingress":
            for classifier in tc.classifiers(index, way):
                tc.detach(index, classifier)
            tc.remove_clsact(index)
        else:
            netlink.detach_xdp(index, fd, way)
        bpf.wait_for_programs()


class End:
    """The host and the wire. Use as a context manager."""

    def __init__(self):
        name = unique_name()
        self.namespace, self._far = Namespace(name), Namespace(name + "w")
        self._runs = 0
        self._marks = 0
        self._listened: set = set()
        self._neighbours: set = set()

    def __enter__(self):
        with ExitStack() as self._stack:
            self._stack.enter_context(self.namespace)
            self._stack.enter_context(self._far)
            self._lay_wire()
            self._allow()
            self._set_up()
            self._open(self._stack)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_exception):
        self._stack.close()

    def _lay_wire(self):
        near, far = f"pk0 mtu {MTU} address {END_MAC.hex(':')}", f"pk1 mtu {MTU} netns {self._far.name}"
        self.namespace.run(*f"ip link add {near} type veth peer name {far}".split())
        self._far.sysctl(ipv6__conf__pk1__disable_ipv6=1)
        self._far.run("ip", "link", "set", "pk1", "up")

    def _allow(self):
        """Let the host answer every kind of question, from any source and without a delay."""
        self.namespace.sysctl(
            ipv4__icmp_echo_ignore_broadcasts=0,
            ipv4__icmp_ratelimit=0,
            ipv4__ipfrag_high_thresh=2**28,
            ipv4__ipfrag_time=5,
            ipv4__tcp_syncookies=2,  # keep no state for connections that never continue
            ipv4__conf__all__accept_source_route=1,
            ipv4__conf__pk0__accept_source_route=1,
            ipv6__icmp__ratelimit=0,
            ipv6__ip6frag_high_thresh=2**28,
            ipv6__ip6frag_time=5,
            ipv6__conf__pk0__router_solicitations=0,
            ipv6__conf__pk0__force_mld_version=1,
            ipv6__conf__pk0__mldv1_unsolicited_report_interval=1,
        )
        # Not every kernel has these.
        segments = [f"net.ipv6.conf.{each}.{kind}_enabled=1" for each in ("all", "pk0") for kind in ("seg6", "rpl_seg")]
        self.namespace.run("sysctl", "-qew", "net.ipv4.icmp_echo_enable_probe=1", *segments)

    def _set_up(self):
        """Set addresses, neighbours and default routes."""
        bring_up(self.namespace, "pk0")
        with self.namespace.entered():
            self._index = struct.pack("=i", netlink.link("pk0").ifindex)
            for kind, length in (("ipv4", 24), ("ipv6", 64), ("link-local", 64)):
                neighbour = f"{GATEWAY[kind]} lladdr {GATEWAY_MAC.hex(':')}"
                run(*f"ip addr add {END[kind]}/{length} dev pk0".split())
                run(*f"ip neigh add {neighbour} dev pk0 nud permanent".split())
            for kind in ("ipv4", "ipv6"):
                run(*f"ip route add default via {GATEWAY[kind]} dev pk0".split())

    def _open(self, stack):
        """Open the wire, and the host's sockets for router solicitations, UDP and TCP."""
        self._wire = self._socket(stack, self._far, socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._wire.bind(("pk1", 3))
        routers = self._socket(stack, self.namespace, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        routers.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *BUT_ROUTER_SOLICITATIONS))
        self._programs = [("router", routers)]
        for family, anybody in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind, port in ((socket.SOCK_DGRAM, UDP_PORT), (socket.SOCK_STREAM, TCP_PORT)):
                program = self._socket(stack, self.namespace, family, kind)
                if family == socket.AF_INET6:
                    program.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                program.bind((anybody, port))
                if kind == socket.SOCK_STREAM:
                    program.listen(1)
                else:
                    self._programs.append(("udp", program))
        self._join(MARKED)
        for _ in MARKED:  # the supposed answer may have been the report about joining
            self._settle(Counter(), ICMPV6)

    def _socket(self, stack, namespace, *kind):
        """Open a socket in the namespace. It has a large buffer and does not block."""
        made = stack.enter_context(namespace.socket(*kind))
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 2**24)
        made.setblocking(False)
        return made

    def ask(self, groups) -> Counter:
        """Send the groups. Count the answers by address and kind ("router", "udp", "tcp" or one of the ANSWERS).

        Returns when the host has sent all answers. Fails if the host no longer answers the gateway.
        """
        heard: Counter = Counter()
        self._join(group.answered_to for group in groups if group.what == "listener")
        self._runs += 1
        with pinned():
            for few in _at_once(groups):
                for frame in (frame for group in few for frame in group.frames):
                    self._wire.send(frame.numbered(self._runs))
                self._settle(heard, ICMP)
                self._forget_neighbours(few)
            if any(group.what == "listener" for group in groups):
                # Reports come a tick later from a queue of their own, in which the last one may overtake another.
                self._settle(heard, ICMPV6)
                self._settle(heard, ICMPV6)
        return heard

    @contextmanager
    def behind(self, filter_, way: str):
        """Put the host behind a filter that is already loaded."""
        with self.namespace.entered(), behind(filter_, "pk0", way):
            self._hear_reports()
            yield filter_
        self._hear_reports()

    def _join(self, addresses):
        """Join these multicast groups."""
        new = {*addresses} - self._listened
        self._listened |= new
        for number, address in enumerate(sorted(new)):
            if number % 100 == 0:  # one socket has no memory for more
                member = self._socket(self._stack, self.namespace, socket.AF_INET6, socket.SOCK_DGRAM)
            member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, address + self._index)
        if new:
            self._hear_reports()

    def _hear_reports(self):
        """Receive the reports that a host sends when it joins multicast groups or its interface changes.

        The work queues of the kernel keep no order. So this ends when several questions in a row bring no report.
        """
        quiet = 0
        while quiet < 4:
            reports: Counter = Counter()
            self._settle(reports, ICMPV6)
            quiet = 0 if reports else quiet + 1

    def _forget_neighbours(self, groups):
        """Flush the neighbours, because the kernel has room for a thousand in all namespaces together."""
        self._neighbours |= {group.source for group in groups if group.what == "neighbour"}
        if len(self._neighbours) > 200:
            # This fails if the kernel removes one of them first.
            self.namespace.run("ip", "-6", "neigh", "flush", "dev", "pk0", check=False)
            self._neighbours.clear()

    def _settle(self, heard, protocol):
        """Ask as the gateway, which is always answered. Count all other answers until then."""
        self._marks += 1
        mark, answer = _mark(protocol, self._marks)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            self._wire.send(mark)
            if self._hear_until(answer, heard):
                self._hear_programs(heard)
                return
        raise AssertionError("the host does not answer its gateway any more")

    def _hear_until(self, answer, heard):
        """Whether the answer comes within a second. Count other answers."""
        until = time.monotonic() + 1
        arrived = (
            select.poll()
        )  # not select(), which knows no descriptor beyond 1,023: BCC keeps those of all programs open
        arrived.register(self._wire, select.POLLIN)
        while time.monotonic() < until:
            try:
                told = _told(self._wire.recv(4096))
            except BlockingIOError:
                arrived.poll(100)
                continue
            if told == answer:
                return True
            heard[told] += 1
        return False

    def _hear_programs(self, heard):
        for what, listener in self._programs:
            with suppress(BlockingIOError):
                while True:
                    address = listener.recvfrom(1)[1][0].partition("%")[0]
                    heard[packed(address), what] += 1


@contextmanager
def pinned():
    """Keep this thread on one CPU, so that frames arrive in the order in which they are sent."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {random.choice([*before])})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _at_once(groups):
    """Yield the groups in batches that may be sent without reading the answers."""
    few, frames = [], 0
    for group in groups:
        frames += len(group.frames)
        if frames > MOST_AT_ONCE:
            yield few
            few, frames = [], len(group.frames)
        few.append(group)
    yield few


def _mark(protocol, number):
    """Return a question of the gateway, and its answer, which differs from the answers to recent ones."""
    if protocol == ICMP:
        message = with_checksum(struct.pack("!BBHHH", 8, 0, 0, number & 0xFFFF, 0), 2)
        header = (
            struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, ICMP, 0) + packed(GATEWAY["ipv4"]) + packed(END["ipv4"])
        )
        packet, answer = b"\x08\x00" + with_checksum(header, 10) + message, (packed(GATEWAY["ipv4"]), number & 0xFFFF)
    else:
        group = MARKED[number % len(MARKED)]
        addresses = packed(GATEWAY["link-local"]) + group
        message = struct.pack("!BBHHH", 130, 0, 0, 1, 0) + group
        message = with_checksum(message, 2, addresses + struct.pack("!II", len(message), ICMPV6))
        header = struct.pack("!IHBB", 6 << 28, 8 + len(message), HOP_BY_HOP, 1) + addresses
        packet, answer = b"\x86\xdd" + header + joined([ROUTER_ALERT], ICMPV6) + message, (group, "listener")
    return END_MAC + GATEWAY_MAC + packet, answer


def _told(frame):
    """Return (destination, kind) of an answer of the host. The kind is None for other frames."""
    if frame[12:14] == b"\x08\x00":
        address, protocol, at = frame[30:34], frame[23], 14 + 4 * (frame[14] & 0xF)
    elif frame[12:14] == b"\x86\xdd":
        address, protocol, at = frame[38:54], frame[20], 54
        if protocol == HOP_BY_HOP:
            protocol, at = frame[54], at + 8 * (frame[55] + 1)
    else:
        return b"", None
    if protocol == TCP:
        return address, "tcp" if frame[at + 13] & 0x12 == 0x12 else None
    if address == packed(GATEWAY["ipv4"]):
        return address, struct.unpack_from("!H", frame, at + 4)[0]
    return address, ANSWERS.get((protocol, frame[at]))
