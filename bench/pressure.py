#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flood a host with pings from blocked sources, and measure a TCP transfer and allowed pings, for each filter.

The first processor is the world. It sends the flood as fast as it can, the transfer and the allowed pings, all through
one veth pair. The last processor is the host. It takes the packets from the ring of the pair, as from a network card.
Everything is in namespaces of this process and ends with it. Each cell ends after a few seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import multiprocessing
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from fcntl import ioctl
from pathlib import Path

import namespaces  # noqa: F401 (must be first: it restarts this program where the other imports work)
import network
import report
from scapy.all import ICMP, IP, Ether, Raw

from ansible_collections.pingkiller.fleet.plugins.action.xdp_filter import read_sources
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import change, remove
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import (
    FilterRequest,
    RemovalRequest,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import compiler, syscall
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.change import change_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import facts

WORLD_CPU, HOST_CPU = 0, (os.cpu_count() or 1) - 1
LINK, BASE = "pk0", "/sys/fs/bpf/pingkiller"
HOST_ADDRESS, ALLOWED = "192.0.2.1", "192.0.2.2"
LISTED = [f"198.18.{number // 250}.{number % 250 + 1}" for number in range(10_000)]
FLOODING = 1000  # addresses of LISTED that send the flood
PING_INTERVAL = 0.01


def flooding():
    """Return the listed addresses that send the flood."""
    return LISTED[:: len(LISTED) // FLOODING]


# The filters to compare. `counts` returns the allowed pings that a filter saw (None: unknown), and its drops.


class Nothing:
    """No filter at all."""

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def counts(self):
        return None, 0


class Ours(Nothing):
    """PingKiller in one of its modes."""

    def __init__(self, mode):
        self.mode = mode

    def __enter__(self):
        options = FilterOptions.checked(mode=self.mode)
        change.present(BASE, FilterRequest((LINK,), options._asdict(), read_sources(), capacity=len(LISTED)))
        change_list(BASE, ListRequest("blocklist", content="\n".join(LISTED)))
        return self

    def __exit__(self, *_exception):
        remove.absent(BASE, RemovalRequest(None))

    def counts(self):
        """Count the packets of all ICMP reasons, minus those of listed sources. The rest are the allowed pings."""
        told = facts.collect(BASE, list_limit=len(LISTED))
        counters = told["filters"][LINK]["counters"]
        icmp = [each for reason, each in counters["reasons"].items() if reason != "not_icmp"]
        listed = sum(entry["packets"] for entry in told["lists"]["blocklist"]["entries"])
        seen = sum(each["ipv4"]["packets"] for each in icmp if "ipv4" in each)
        return seen - listed, counters["dropped"]["packets"]


class Nftables(Nothing):
    """nftables with a set and two rules, in one of its hooks."""

    def __init__(self, family, hook):
        self.family, self.hook = family, hook

    def __enter__(self):
        rules = f"""
            table {self.family} pk {{
                set listed {{
                    type ipv4_addr
                    elements = {{ {", ".join(LISTED)} }}
                }}
                counter seen {{ }}
                counter dropped {{ }}
                chain arriving {{
                    type filter hook {self.hook} priority -300
                    ip protocol icmp ip saddr {ALLOWED} counter name seen
                    ip protocol icmp ip saddr @listed counter name dropped drop
                }}
            }}
        """
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        return self

    def __exit__(self, *_exception):
        network.run("nft", "delete", "table", self.family, "pk")

    def counts(self):
        said = json.loads(network.run("nft", "-j", "list", "counters", "table", self.family, "pk").stdout)
        packets = {
            each["counter"]["name"]: each["counter"]["packets"] for each in said["nftables"] if "counter" in each
        }
        return packets["seen"], packets["dropped"]


class Ipset(Nothing):
    """An ipset set and two iptables rules, before connection tracking."""

    RULES = (("-s", ALLOWED), ("-m", "set", "--match-set", "pk", "src", "-j", "DROP"))

    def __enter__(self):
        content = "".join(["create pk hash:ip\n", *(f"add pk {address}\n" for address in LISTED)])
        subprocess.run(["ipset", "restore"], input=content, text=True, check=True)
        for rule in self.RULES:
            network.run("iptables", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", *rule)
        return self

    def __exit__(self, *_exception):
        network.run("iptables", "-t", "raw", "-F", "PREROUTING")
        network.run("ipset", "destroy", "pk")

    def counts(self):
        said = network.run("iptables", "-t", "raw", "-nvxL", "PREROUTING").stdout
        return tuple(int(line.split()[0]) for line in said.splitlines()[2:])


#: By cell: whether there is a flood, and the filter.
CELLS = {
    "no flood": (False, Nothing()),
    "no filter": (True, Nothing()),
    "PingKiller, native": (True, Ours("native")),
    "PingKiller, generic": (True, Ours("generic")),
    "nftables, ingress": (True, Nftables("netdev", f"ingress device {LINK}")),
    "nftables, prerouting": (True, Nftables("ip", "prerouting")),
    "ipset, raw prerouting": (True, Ipset()),
}


# The network


def address_of(namespace):
    return namespace.run("cat", f"/sys/class/net/{LINK}/address").stdout.strip()


# ethtool commands for TCP segmentation offload, generic segmentation offload and generic receive offload
TSO, GSO, GRO = 0x1F, 0x24, 0x2C


def switch(link, feature, on):
    value = ctypes.create_string_buffer(struct.pack("=II", feature, on))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        ioctl(any_socket, 0x8946, struct.pack("=16sQ8x", link.encode(), ctypes.addressof(value)))  # SIOCETHTOOL


def behave_like_cards(outside):
    """Make the veth pair send no frame that is larger than the MTU, and receive through a ring, also without XDP."""
    switch(LINK, GRO, True)
    with outside.entered():
        switch(LINK, TSO, False)
        switch(LINK, GSO, False)


def receive_on_host_cpu():
    """Let a thread on the host's processor empty the ring. As with the interrupts of a card, it has priority.

    A new XDP program brings a new thread, so every cell calls this.
    """
    Path(f"/sys/class/net/{LINK}/threaded").write_text("1")
    for each in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if each.read_text().startswith(f"napi/{LINK}-"):
                os.sched_setaffinity(int(each.parent.name), {HOST_CPU})
                os.sched_setscheduler(int(each.parent.name), os.SCHED_FIFO, os.sched_param(1))


@contextmanager
def world():
    """Make the namespace that sends everything. Routes and neighbours are static, so the load has no lookups."""
    with network.Namespace("pkworld") as outside:
        network.run("ip", "link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", outside.name)
        for here, address in ((network.Root, HOST_ADDRESS), (outside, ALLOWED)):
            here.run("ip", "addr", "add", f"{address}/24", "dev", LINK)
            here.run("ip", "link", "set", LINK, "up")
        network.run("ip", "neigh", "add", ALLOWED, "lladdr", address_of(outside), "dev", LINK)
        outside.run("ip", "neigh", "add", HOST_ADDRESS, "lladdr", address_of(network.Root), "dev", LINK)
        network.run("ip", "route", "add", "198.18.0.0/15", "via", ALLOWED)
        behave_like_cards(outside)
        yield outside


# The load. Each sender and receiver is a process of its own, fixed to its processor.


#: Gives each echo request a random source among the flooding addresses, and sends it.
GENERATOR = r"""
#include <uapi/linux/bpf.h>

int pingkiller(struct xdp_md *context) /* the name that the library's compiler asks for */
{
    u16 *ip = (void *)(long)context->data + 14;
    u32 number, sum = 0;

    if ((void *)(ip + 10) > (void *)(long)context->data_end)
        return XDP_DROP;
    number = bpf_get_prandom_u32() % FLOODING * (ENTRIES / FLOODING);
    ip[5] = 0;
    ip[7] = __builtin_bswap16(number / 250 << 8 | (number % 250 + 1));
    for (int i = 0; i < 10; i++)
        sum += ip[i];
    sum = (sum & 0xffff) + (sum >> 16);
    ip[5] = ~((sum & 0xffff) + (sum >> 16));
    return bpf_redirect(OUT, 0);
}
"""
BURST = 10_000  # frames in one call
LIVE_FRAMES = 2  # BPF_F_TEST_XDP_LIVE_FRAMES: the kernel carries out the verdict of the program


class Flood:
    """A flood of echo requests, as fast as one processor can make them. The kernel makes them, as pktgen would."""

    def __init__(self, outside):
        self.outside = outside
        link = Ether(src=address_of(outside), dst=address_of(network.Root))
        self.frame = bytes(link / IP(src="198.18.0.0", dst=HOST_ADDRESS) / ICMP() / Raw(bytes(56)))
        with outside.entered():
            options = {"FLOODING": FLOODING, "ENTRIES": len(LISTED), "OUT": socket.if_nametoindex(LINK)}
        headers = {name: text for name, text in read_sources().items() if name.startswith("include/")}
        self.program = compiler.compile_program({**headers, "pingkiller.c": GENERATOR}, options, "xdp")

    def run(self, until, result):
        """Send until the time is over, and put the number of frames into ``result``."""
        os.sched_setaffinity(0, {WORLD_CPU})
        os.nice(-10)  # the flood has the largest share of the load
        given, offered = ctypes.create_string_buffer(self.frame, len(self.frame)), 0
        burst = {"repeat": BURST, "flags": LIVE_FRAMES, "batch_size": 64}
        frame = {"data_in": ctypes.addressof(given), "data_size_in": len(self.frame)}
        with self.outside.entered():
            while time.monotonic() < until:
                attributes = syscall.Attributes(syscall.TEST_RUN, prog_fd=self.program.fd, **frame, **burst)
                attributes.call(syscall.PROG_TEST_RUN)
                offered += BURST
        result.put(("flood", offered))


def upload(caller, address, until, _result):
    """Send bytes until the time is over."""
    os.sched_setaffinity(0, {WORLD_CPU})
    caller.settimeout(1)
    with contextlib.suppress(OSError):
        caller.connect(address)
        while time.monotonic() < until:
            caller.send(bytes(65536))


def download(listener, until, result):
    """Count the bytes that arrive until the time is over."""
    os.sched_setaffinity(0, {HOST_CPU})
    received = 0
    listener.settimeout(max(0.1, until - time.monotonic()))
    with contextlib.suppress(OSError):
        served, _address = listener.accept()
        while time.monotonic() < until:
            served.settimeout(max(0.01, until - time.monotonic()))
            received += len(served.recv(1 << 20))
    result.put(("tcp", received))


def ping(outside, seconds):
    """Send allowed pings. Return how many were sent and how many were answered."""
    count = round(seconds / PING_INTERVAL)
    options = ("-n", "-q", "-c", str(count), "-i", str(PING_INTERVAL), "-W", "1", "-w", str(int(seconds) + 3))
    said = outside.run("taskset", "-c", str(WORLD_CPU), "ping", *options, HOST_ADDRESS, check=False).stdout
    return tuple(map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups()))


@contextmanager
def load(outside, flood, seconds):
    """Run the transfer, and the flood if there is one. Yield the queue of their results."""
    result = multiprocessing.SimpleQueue()
    until = time.monotonic() + seconds
    with ExitStack() as stack:
        caller = stack.enter_context(outside.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener = stack.enter_context(socket.create_server((HOST_ADDRESS, 0)))
        tasks = [(download, listener), (upload, caller, listener.getsockname())]
        tasks += [(flood.run,)] if flood else []
        for task, *arguments in tasks:
            process = multiprocessing.Process(target=task, args=(*arguments, until, result), daemon=True)
            process.start()
            stack.callback(process.kill)
            stack.push(lambda *_exception, process=process: process.join(seconds + 5))
        yield result


# Measuring


def processor_ticks():
    """Return the ticks of the host's processor by state: user, nice, system, idle, iowait, irq, softirq."""
    line = re.search(rf"^cpu{HOST_CPU} (.*)$", Path("/proc/stat").read_text(), re.MULTILINE)[1]
    return dict(zip(("user", "nice", "system", "idle", "iowait", "irq", "softirq"), map(int, line.split())))


def stack_counts():
    """Return the ICMP counters of the host's network stack."""
    names, values = (line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if "Icmp:" in line)
    return dict(zip(names, map(int, values)))


def reading(filter_):
    """Return all counters as soon as they no longer change."""
    before = None
    while True:
        seen, dropped = filter_.counts()
        icmp = stack_counts()
        now = {
            "seen": seen,
            "dropped": dropped,
            "in_stack": icmp["InEchos"],
            "answers": icmp["OutEchoReps"],
        }
        if now == before:
            return now
        before = now
        time.sleep(0.05)


def measure(outside, flood, filter_, seconds):
    """Measure one cell once."""
    with filter_:
        receive_on_host_cpu()
        before, ticks = reading(filter_), processor_ticks()
        began = time.monotonic()
        with load(outside, flood, seconds) as result:
            sent, answered = ping(outside, seconds)
            after_ticks = processor_ticks()
            found = dict(result.get() for _ in range(2 if flood else 1))
        passed = time.monotonic() - began
        after = reading(filter_)
    moved = {name: after[name] - before[name] for name in after if after[name] is not None}
    return {**result_of(moved, found, sent, answered, seconds), **shares(ticks, after_ticks), "seconds": passed}


def result_of(moved, found, sent, answered, seconds):
    flooded, seen = found.get("flood", 0), moved.get("seen")
    reached = moved["dropped"] + moved["in_stack"] - (answered if seen is None else seen)
    return {
        "flood_pps": flooded / seconds,
        "flood_lost_percent": 100 * (flooded - reached) / flooded if flooded else None,
        "dropped_pps": moved["dropped"] / seconds,
        "answers_pps": (moved["answers"] - answered) / seconds,
        "tcp_mbit": found["tcp"] * 8 / seconds / 1e6,
        "pings_sent": sent,
        "pings_lost": sent - answered,
        "lost_before_filter": None if seen is None else sent - seen,
        "lost_to_filter": None if seen is None else seen - moved["in_stack"],
    }


def shares(before, after):
    spent = {name: after[name] - before[name] for name in after}
    total = sum(spent.values()) or 1
    percent = {name: 100 * each / total for name, each in spent.items()}
    return {"cpu_softirq": percent["softirq"], "cpu_system": percent["system"], "cpu_idle": percent["idle"]}


COLUMNS = {
    "cell": "past",
    "flood_pps": "flood/s",
    "flood_lost_percent": "lost in ring %",
    "dropped_pps": "dropped/s",
    "answers_pps": "answers/s",
    "tcp_mbit": "TCP Mbit/s",
    "pings_sent": "pings",
    "pings_lost": "lost",
    "lost_before_filter": "before filter",
    "lost_to_filter": "by filter",
    "cpu_softirq": "softirq %",
    "cpu_system": "system %",
    "cpu_idle": "idle %",
}


def middle(cell, runs):
    """Return the medians of the runs. Packets lost by a filter are summed, because not even one may be lost."""
    row = {"cell": cell}
    for key in list(COLUMNS)[1:]:
        values = [run[key] for run in runs if run[key] is not None]
        row[key] = (sum if key == "lost_to_filter" else statistics.median)(values) if values else None
    return {**row, "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3, help="of load in each cell")
    parser.add_argument("--repeat", type=int, default=3)
    chosen = parser.parse_args()
    if WORLD_CPU == HOST_CPU:
        sys.exit("pressure: takes two processors, one for the world and one for the host, but here is only one.")
    runs = {cell: [] for cell in CELLS}
    with world() as outside:
        flood = Flood(outside)
        for turn in range(chosen.repeat):
            for cell, (flooded, filter_) in CELLS.items():
                print(f"pressure: {turn + 1} of {chosen.repeat}, {cell}", file=sys.stderr)
                runs[cell].append(measure(outside, flood if flooded else None, filter_, chosen.seconds))
    rows = [middle(cell, found) for cell, found in runs.items()]
    print(report.table(rows, COLUMNS))
    path = report.OUTPUT / "pressure.json"
    report.write_json(path, rows, seconds=chosen.seconds, entries=len(LISTED), flooding=FLOODING)
    print(f"pressure: medians of {chosen.repeat} runs of {chosen.seconds:g} s; all of them are in {path}")


if __name__ == "__main__":
    main()
