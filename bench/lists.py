#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long changes of long lists take, compared with ipset, nftables and xdp-filter in the same run.

The measured time is that of a process from start to end. For PingKiller this is the module as a managed host runs it.
Peak memory is that of the process, including the table of entries that it shares with the kernel.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import multiprocessing
import random
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import namespaces  # noqa: F401 (must be first: it restarts this program)
import report
from processes import measured

OURS = "xdp_blocklist"
CHANGES = 1000
INTERFACE = "pkbench0"

COLUMNS = {
    "list": "list",
    "what": "what",
    "ms": "ms",
    "against_ipset": "of ipset restore",
    "cpu_ms": "CPU ms",
    "peak_mb": "peak MB",
    "runs": "runs",
}


def addresses4(chance: random.Random, number: int) -> list[str]:
    return [str(ipaddress.IPv4Address(each)) for each in chance.sample(range(1 << 24, 223 << 24), number)]


def addresses6(chance: random.Random, number: int) -> list[str]:
    return [str(ipaddress.IPv6Address((0x20010DB8 << 96) + chance.getrandbits(90))) for _ in range(number)]


def networks4(chance: random.Random, number: int) -> list[str]:
    return [f"{ipaddress.IPv4Address(each << 8)}/24" for each in chance.sample(range(1 << 16, 223 << 16), number)]


#: By name: the function that makes the entries, their number, and the set types of ipset and nftables.
LISTS = {
    "IPv4 addresses": (addresses4, 1_000_000, "hash:ip family inet", "type ipv4_addr;"),
    "IPv6 addresses": (addresses6, 200_000, "hash:ip family inet6", "type ipv6_addr;"),
    "IPv4 networks": (networks4, 50_000, "hash:net family inet", "type ipv4_addr; flags interval;"),
}


class Bench:
    """The figures, by list and step."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seconds: dict[tuple, list[float]] = defaultdict(list)
        self.cpu: dict[tuple, list[float]] = defaultdict(list)
        self.peaks: dict[tuple, list[int]] = defaultdict(list)

    def file(self, name: str, lines) -> Path:
        path = self.directory / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def time(self, about: tuple, *command) -> str:
        """Run a command, keep its figures and return its output."""
        done = measured(*command)
        self.seconds[about].append(done.seconds)
        self.cpu[about].append(done.cpu)
        self.peaks[about].append(done.peak_mb)
        return done.said

    def module(self, about: tuple, name: str, **arguments) -> dict:
        command = sys.executable, report.CHECKOUT / "bench/run_module.py", name, json.dumps(arguments)
        return json.loads(self.time(about, *command))

    def sync(self, about: tuple, path: Path, added: int, removed: int) -> None:
        """Sync a persistent list exactly. Check the reported numbers of added and removed entries."""
        kept = {"persist": True, "config_dir": str(self.directory / "pingkiller")}
        result = self.module(about, OURS, src=str(path), exclusive=True, owner="bench", **kept)
        assert (result["added_count"], result["removed_count"]) == (added, removed), result

    def rows(self) -> list[dict]:
        found = []
        for (content, what), seconds in self.seconds.items():
            median = statistics.median(seconds)
            peer = self.seconds.get((content, "ipset restore"))
            found.append(
                {
                    "list": content,
                    "what": what,
                    "ms": round(median * 1000),
                    "against_ipset": f"{median / statistics.median(peer):.2f}" if peer else None,
                    "cpu_ms": round(statistics.median(self.cpu[content, what]) * 1000),
                    "peak_mb": max(self.peaks[content, what]),
                    "runs": len(seconds),
                }
            )
        return [each for each in found if each["list"]]


def changed(chance: random.Random, lines: list[str], new: list[str]) -> list[str]:
    """Return the lines with ``CHANGES // 2`` of them removed and the new ones inserted, both at random places."""
    gone = set(chance.sample(range(len(lines)), CHANGES // 2))
    left = [line for number, line in enumerate(lines) if number not in gone]
    for line in new:
        left.insert(chance.randint(0, len(left)), line)
    return left


def write_files(directory: Path, divided_by: int) -> None:
    """Write the input files of all tools, in one directory per list."""
    for content, (make, number, ipset_type, nft_type) in LISTS.items():
        number //= divided_by
        chance = random.Random(1)
        lines = make(chance, number + CHANGES // 2)
        lines, new = lines[:number], lines[number:]
        other = changed(chance, lines, new)
        files = {
            "list": lines,
            "other": other,
            "shuffled": chance.sample(other, len(other)),
            "empty": (),
            "ipset": [
                f"create pkbench {ipset_type} maxelem {number} hashsize 262144",
                *(f"add pkbench {each}" for each in lines),
            ],
            "nft": ["table inet pkbench {", "set listed {", nft_type, f"elements = {{ {', '.join(lines)} }}", "}", "}"],
        }
        (directory / content).mkdir()
        for name, each in files.items():
            (directory / content / name).write_text("".join(f"{line}\n" for line in each))


def list_round(bench: Bench, content: str, number: int) -> None:
    files = bench.directory / content
    half = CHANGES // 2
    bench.time((content, "ipset restore"), "ipset", "restore", "-f", files / "ipset")
    bench.time(("", ""), "ipset", "destroy", "pkbench")
    bench.sync((content, "sync from a file into an empty list"), files / "list", number, 0)
    bench.sync((content, "the same file again"), files / "list", 0, 0)
    bench.sync((content, f"a file with {CHANGES:,} changes"), files / "other", half, half)
    bench.sync((content, "that file again"), files / "other", 0, 0)
    bench.sync((content, "its lines in another order"), files / "shuffled", 0, 0)
    bench.sync((content, "an empty file"), files / "empty", 0, number)
    bench.time((content, "nft -f"), "nft", "-f", files / "nft")
    bench.time(("", ""), "nft", "delete", "table", "inet", "pkbench")


def small_round(bench: Bench) -> None:
    """Measure a thousand addresses: one by one with xdp-filter, and in one sync."""
    lines = addresses4(random.Random(2), CHANGES)
    content = f"{CHANGES:,} IPv4 addresses"
    commands = bench.file("xdp-filter", ["set -e", *(f"xdp-filter ip {each} >/dev/null" for each in lines)])
    subprocess.run(["xdp-filter", "load", "-f", "ipv4", INTERFACE + "p"], check=True, capture_output=True)
    try:
        bench.time((content, "xdp-filter ip, one by one"), "sh", commands)
    finally:
        subprocess.run(["xdp-filter", "unload", "--all"], check=True, capture_output=True)
    bench.sync((content, "sync from a file"), bench.file("small", lines), CHANGES, 0)
    bench.module((content, "one address more"), OURS, ip="192.0.2.1")
    bench.module((content, "facts"), "xdp_facts")
    bench.sync(("", ""), bench.file("empty", ()), 0, CHANGES)


def growth(bench: Bench, number: int) -> None:
    """Measure a change of max_entries, which moves every entry, and of facts of a long list."""
    content = "IPv4 addresses"
    path = bench.directory / content / "list"
    bench.sync(("", ""), path, number, 0)
    what = f"max_entries from {2 * number:,} to {4 * number:,}"
    bench.module((content, what), "xdp_filter", interface=INTERFACE, max_entries=4 * number)
    bench.sync((content, f"the same file again, of {4 * number:,} possible entries"), path, 0, 0)
    bench.module((content, "facts"), "xdp_facts")
    bench.module((content, "facts with dest"), "xdp_facts", dest=str(bench.directory / "dump"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often everything is done (default: %(default)s)")
    parser.add_argument(
        "--divide", type=int, default=1, help="make the lists this many times shorter, to try things out"
    )
    options = parser.parse_args()
    subprocess.run(["ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", INTERFACE + "p"], check=True)
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as directory:
        bench = Bench(Path(directory))
        # In a child process, because the memory of a process counts in the peak of the processes that it starts.
        child = multiprocessing.Process(target=write_files, args=(bench.directory, options.divide))
        child.start()
        child.join()
        numbers = {content: number // options.divide for content, (_make, number, *_types) in LISTS.items()}
        most = max(numbers.values())
        bench.module(("", ""), "xdp_filter", interface=INTERFACE, max_entries=2 * most)
        for _run in range(options.runs):
            for content, number in numbers.items():
                list_round(bench, content, number)
            small_round(bench)
        growth(bench, most)
    rows = bench.rows()
    print(report.table(rows, COLUMNS))
    report.write_json(report.OUTPUT / "lists.json", rows, changes=CHANGES)


if __name__ == "__main__":
    main()
