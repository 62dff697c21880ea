# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small networks of namespaces and veth pairs, with real sockets and real pings.

The filter is on the end in the root namespace, because a command in another namespace sees a fresh /sys without pins.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import random
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

PATIENCE = 10  # seconds to wait for something that should happen at once


def run(*command, check=True):
    """Run a command. A failure shows its output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done


def wait_until(condition, message):
    """Return as soon as `condition` holds; fail with `message` if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(message)
        time.sleep(0.005)


class Surroundings:
    """The namespace in which commands run and sockets are opened: here that of this process."""

    def run(self, *command, check=True):
        return run(*command, check=check)

    def socket(self, *kind):
        return socket.socket(*kind)

    def ping(self, target, source, expected, *more):
        """Whether `target` answers a ping from `source`.

        The wait is short if no answer is `expected`. In that case callers check counters, too.
        """
        patience = str(PATIENCE) if expected else "0.3"
        done = self.run("ping", "-n", "-c", "1", "-W", patience, "-I", source, *more, target, check=False)
        if done.returncode not in (0, 1):
            raise AssertionError(f"ping itself failed: {done.stderr or done.stdout}")
        return done.returncode == 0


Root = Surroundings()


class Namespace(Surroundings):
    """A network namespace with a name of its own. Use as a context manager, which removes it."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")
        return self

    def __exit__(self, *_exception):
        run("ip", "netns", "del", self.name, check=False)

    def run(self, *command, check=True):
        return run("ip", "netns", "exec", self.name, *command, check=check)

    def sysctl(self, **settings):
        self.run("sysctl", "-qw", *(f"net.{name.replace('__', '.')}={value}" for name, value in settings.items()))

    @contextmanager
    def entered(self):
        """Move this thread into the namespace. A socket stays in the namespace in which it was opened."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as here:
            _setns(here)
            try:
                yield
            finally:
                _setns(home)

    def socket(self, *kind):
        with self.entered():
            return socket.socket(*kind)


def _setns(file):
    if _libc.setns(file.fileno(), _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def bring_up(namespace, link):
    """Set a link up without duplicate address detection, which takes IPv6 a second or two."""
    namespace.run("sysctl", "-qw", f"net.ipv6.conf.{link}.accept_dad=0")
    namespace.run("ip", "link", "set", link, "up")


class Cable:
    """A veth pair from the root namespace (`interface`, addresses .1) into a namespace (addresses .7 and .8)."""

    def __init__(self, stack: ExitStack, name: str):
        # Networks reserved for benchmarks and private use, so that they never hide a real host.
        self.v4 = ipaddress.ip_network("198.18.0.0/15").network_address + 32 * random.randrange(2**12)
        self.v6 = ipaddress.ip_address(f"fd70:6b00:{random.randrange(2**16):x}::")
        self.interface = name + "r"
        stack.callback(run, "ip", "link", "del", self.interface, check=False)
        self.inside = stack.enter_context(Namespace(name))
        run("ip", "link", "add", self.interface, "type", "veth", "peer", "name", "pk0", "netns", name)
        self._address(Root, self.interface, 1)
        self._address(self.inside, "pk0", 7, 8)

    def _address(self, namespace, link, *hosts):
        bring_up(namespace, link)
        for host in hosts:
            namespace.run("ip", "addr", "add", f"{self.v4 + host}/28", "dev", link)
            namespace.run("ip", "-6", "addr", "add", f"{self.v6 + host}/64", "dev", link)

    def _host(self, number):
        return {"ipv4": str(self.v4 + number), "ipv6": str(self.v6 + number)}

    @property
    def filtered(self):
        """The addresses of the filtered end, by family."""
        return self._host(1)

    @property
    def listed(self):
        """The addresses of the other end that tests put on a list."""
        return self._host(7)

    @property
    def unlisted(self):
        return self._host(8)


@contextmanager
def far_end(cable: Cable, mtu: int):
    """Make a namespace behind the cable's inside, which becomes a router with a route of this `mtu` to it.

    Yields the namespace and its addresses. The links have a larger MTU, so the sender has to discover the limit.
    """
    addresses = {"ipv4": cable.v4 + 16, "ipv6": cable.v6 + 2**64}
    with Namespace(cable.inside.name + "f") as far:
        cable.inside.run("ip", "link", "add", "pk1", "type", "veth", "peer", "name", "pk0", "netns", far.name)
        cable.inside.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        for namespace, link, host in ((cable.inside, "pk1", 1), (far, "pk0", 2)):
            bring_up(namespace, link)
            for address, length in ((addresses["ipv4"] + host, 28), (addresses["ipv6"] + host, 64)):
                namespace.run("ip", "addr", "add", f"{address}/{length}", "dev", link, "noprefixroute")
        for (family, address), length in zip(addresses.items(), (28, 64)):
            flag, network = "-" + family[-1], f"{address}/{length}"
            cable.inside.run("ip", flag, "route", "add", network, "dev", "pk1", "mtu", "lock", str(mtu))
            far.run("ip", flag, "route", "add", network, "dev", "pk0")
            far.run("ip", flag, "route", "add", "default", "via", str(address + 1))
            run("ip", flag, "route", "add", network, "via", cable.listed[family])
        yield far, {family: str(address + 2) for family, address in addresses.items()}


FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


def talk_tcp(server, server_address, client, client_address, family, size=300_000):
    """Send `size` bytes from the client to the server and back. Return whether all came back."""
    payload = os.urandom(size)
    with ExitStack() as stack:
        listener, caller = (
            stack.enter_context(end.socket(FAMILIES[family], socket.SOCK_STREAM)) for end in (server, client)
        )
        listener.bind((server_address, 0))
        listener.listen()
        caller.bind((client_address, 0))
        caller.settimeout(PATIENCE)
        listener.settimeout(PATIENCE)
        caller.connect(listener.getsockname()[:2])
        served = stack.enter_context(listener.accept()[0])
        served.settimeout(PATIENCE)
        return _carried(caller, served, payload) and _carried(served, caller, payload)


def _carried(sender, receiver, payload):
    """Whether all bytes arrive. Needs no thread, because it reads what one send accepted before the next send."""
    received = bytearray()
    rest = memoryview(payload)
    while len(received) < len(payload):
        if rest:
            rest = rest[sender.send(rest[:8192]) :]
        wanted = len(payload) - len(rest)
        while len(received) < wanted:
            received += receiver.recv(65536)
    return bytes(received) == payload


def talk_udp(server, server_address, client, client_address, family):
    """Send a datagram there and back. Return whether both arrived."""
    with (
        server.socket(FAMILIES[family], socket.SOCK_DGRAM) as one,
        client.socket(FAMILIES[family], socket.SOCK_DGRAM) as other,
    ):
        one.bind((server_address, 0))
        other.bind((client_address, 0))
        one.settimeout(PATIENCE)
        other.settimeout(PATIENCE)
        other.sendto(b"question", one.getsockname()[:2])
        question, sender = one.recvfrom(100)
        one.sendto(b"answer", sender[:2])
        return (question, other.recv(100)) == (b"question", b"answer")


class Stream:
    """A stream of frames from the cable while the `with` block runs, as fast as the filter counts them.

    `counted` returns how many frames the filter has counted. The next frames are sent when all earlier ones are
    counted. So no queue overflows, and a frame that is not counted stops the stream.
    """

    def __init__(self, cable: Cable, frames, counted):
        self.frames, self.counted = frames, counted
        self.sent = self.answers = 0
        self._failure = None
        self._over = threading.Event()
        self._wire = cable.inside.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._wire.bind(("pk0", 3))
        self._wire.setblocking(False)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_exception):
        self._over.set()
        self._thread.join()
        self._wire.close()
        if self._failure and kind is None:
            raise self._failure

    def _run(self):
        try:
            while not self._over.is_set():
                for frame in self.frames * 10:
                    self._wire.send(frame)
                    self.sent += 1
                wait_until(lambda: self.counted() == self.sent, "a frame was not counted where all should be")
                self._collect()
        except Exception as failure:
            self._failure = failure

    def _collect(self):
        """Count the ping answers among the received frames."""
        with suppress(BlockingIOError):
            while True:
                frame, (_link, _protocol, direction, *_rest) = self._wire.recvfrom(2048)
                self.answers += direction != socket.PACKET_OUTGOING and _is_answer(frame)


def _is_answer(frame):
    """Whether this is an echo reply, of either family."""
    if frame[12:14] == b"\x08\x00":
        return frame[23] == 1 and frame[34] == 0
    return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 129


def unique_name():
    """Return a unique name for objects on the machine, so that several runs can overlap."""
    return f"pk{random.randrange(16**8):08x}"
