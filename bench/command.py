#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the processor time of ``pingkiller`` on a host, from its start to its end, over that of ``python3 -c ''``.

It is installed as the role does it. The subcommands that compile nothing take turns, on a host without filters and on one with
filters and entries. The figure is the least of all runs, since other work on the machine can only add to it. Then many lines of
a stream, many commands at once, and metrics of long lists.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import namespaces  # noqa: F401 (must be first: it restarts this program)
import report
from installed import install
from processes import measured

EMPTY, FULL = "no filter", "2 filters, 100 entries"
INTERFACES = ("pkbench0", "pkbench1")
PYTHON = ("/usr/bin/python3", "-c", "")
LINES, AT_ONCE = 10_000, 200
FULL_LIST, FULL_LISTS = 'pingkiller_list_entries{list="blocklist"}', (65_536, 1_000_000)
LOAD_RUNS = 5  #: of what takes long
COLUMNS = {"what": "command", EMPTY: f"CPU ms over Python's, {EMPTY}", FULL: f"with {FULL}", "runs": "runs"}
LOAD_COLUMNS = {"what": "what", "ms": "ms", "cpu_ms": "CPU ms over Python's", "entries": "entries", "runs": "runs"}


class Host(NamedTuple):
    """Where the command is, and what it works with."""

    pingkiller: Path
    config: str  #: the directory of the wanted state
    line: Path  #: a line of a stream or of a list file
    lines: Path  #: many of them
    metrics: Path

    def call(self, *words: object) -> tuple[object, ...]:
        return (self.pingkiller, *words, "--config", self.config)

    def commands(self, *, filtered: bool) -> dict[str, tuple[object, ...]]:
        """Return all subcommands that compile nothing, by what the table calls them. Without filters, events and health refuse."""
        address = "198.51.100.9"
        words: dict[str, tuple[object, ...]] = {
            "status": ("status",),
            "stats": ("stats",),
            "list": ("list",),
            "explain IP": ("explain", "192.0.2.1"),
            "block IP": ("block", address),
            "unblock IP": ("unblock", address),
            "flush": ("flush", "--owner", "nobody"),
            "stream, one line": ("stream", "--owner", "feed"),
            "validate": ("validate", self.line),
            **({"events": ("events", "--duration", "0.1")} if filtered else {}),
            "metrics": ("metrics",),
            "metrics --output": ("metrics", "--output", self.metrics),
            **({"health": ("health",)} if filtered else {}),
            "check": ("check",),
            "apply, all as wanted": ("apply",),
            "top --count 1": ("top", "--count", "1"),
            "top --count 1 --json": ("top", "--count", "1", "--json"),
        }
        return {"--version": (self.pingkiller, "--version"), **{what: self.call(*each) for what, each in words.items()}}


def module(name: str, **arguments) -> None:
    measured(sys.executable, report.CHECKOUT / "bench/run_module.py", name, json.dumps(arguments))


def fill(config: str) -> None:
    """Attach filters and put entries on the blocklist, all of which are wanted after a boot."""
    kept = {"persist": True, "config_dir": config}
    module("xdp_filter", interface=list(INTERFACES), events="dropped", **kept)
    module("xdp_blocklist", ip=[f"192.0.2.{number}" for number in range(100)], **kept)


def least(host: Host, runs: int, *, filtered: bool) -> dict[str, float]:
    """Return the least CPU milliseconds of each command over Python's."""
    cpu: dict[str, list[float]] = defaultdict(list)
    for _run in range(runs):
        cpu[""].append(measured(*PYTHON).cpu)
        for what, command in host.commands(filtered=filtered).items():
            cpu[what].append(measured(*command, given=str(host.line)).cpu)
    python = min(cpu.pop(""))
    return {what: (min(each) - python) * 1000 for what, each in cpu.items()}


def addresses(number: int) -> list[str]:
    return [f"{10 + (each >> 16)}.{each >> 8 & 255}.{each & 255}.7" for each in range(number)]


def entries(host: Host, owner: str) -> int:
    """Return how many entries an owner has on the blocklist."""
    listed = json.loads(measured(*host.call("list", "blocklist", "--json")).said)["blocklist"]["entries"]
    return sum(owner in entry["owners"] for entry in listed)


def streamed(host: Host, what: str, *options: str) -> dict:
    """Measure a stream of many lines. All of them have to be on the list afterwards."""
    found, python = [], min(measured(*PYTHON).cpu for _run in range(LOAD_RUNS))
    for _run in range(LOAD_RUNS):
        measured(*host.call("flush", "--owner", "feed"))
        found.append(measured(*host.call("stream", "--owner", "feed", *options), given=str(host.lines)))
    cpu, seconds = min(each.cpu for each in found) - python, min(each.seconds for each in found)
    return loaded(what, seconds, cpu, there=entries(host, "feed"), of=LINES, runs=LOAD_RUNS)


def with_entries(host: Host, number: int) -> dict:
    """Measure one write of metrics on a host with two filters and a list that is full."""
    module("xdp_filter", interface=list(INTERFACES), max_entries=number, config_dir=host.config)
    host.lines.write_text("".join(f"{address}\n" for address in addresses(number)))
    module("xdp_blocklist", src=str(host.lines), owner="feed", exclusive=True, persist=False, config_dir=host.config)
    (there,) = (
        int(line.split()[-1]) for line in measured(*host.call("metrics")).said.splitlines() if FULL_LIST in line
    )
    python = min(measured(*PYTHON).cpu for _run in range(LOAD_RUNS))
    found = [measured(*host.call("metrics", "--output", host.metrics)) for _run in range(LOAD_RUNS)]
    seconds, cpu = min(each.seconds for each in found), min(each.cpu for each in found) - python
    return loaded("metrics --output, a full list", seconds, cpu, there=there, of=number, runs=LOAD_RUNS)


def at_once(host: Host) -> dict:
    """Measure many commands that are started at once, until the last of them has ended."""
    before, began = os.times(), time.perf_counter()
    processes = [
        subprocess.Popen(list(map(str, host.call("block", address, "--owner", "many"))), stdout=subprocess.DEVNULL)
        for address in addresses(AT_ONCE)
    ]
    statuses = [process.wait() for process in processes]
    seconds, after = time.perf_counter() - began, os.times()
    if any(statuses):
        sys.exit("bench: not all commands succeeded")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    cpu -= AT_ONCE * measured(*PYTHON).cpu
    return loaded(f"{AT_ONCE} times block at once", seconds, cpu, there=entries(host, "many"), of=AT_ONCE, runs=1)


def loaded(what: str, seconds: float, cpu: float, *, there: int, of: int, runs: int) -> dict:
    if there != of:
        sys.exit(f"bench: {what}: of {of} entries, {there} are there")
    return {"what": what, "ms": round(seconds * 1000), "cpu_ms": round(cpu * 1000), "entries": there, "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="how often each command is run (default: %(default)s)")
    options = parser.parse_args()
    subprocess.run(["ip", "link", "add", INTERFACES[0], "type", "veth", "peer", "name", INTERFACES[1]], check=True)
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as name:
        directory = Path(name)
        host = Host(
            pingkiller=install(directory),
            config=f"{directory}/pingkiller",
            line=directory / "line",
            lines=directory / "lines",
            metrics=directory / "pingkiller.prom",
        )
        host.line.write_text("198.51.100.10\n")
        host.lines.write_text("".join(f"{address} ttl=1h\n" for address in addresses(LINES)))
        figures = {EMPTY: least(host, options.runs, filtered=False)}
        measured(*host.call("flush", "--owner", "feed"))
        fill(host.config)
        figures[FULL] = least(host, options.runs, filtered=True)
        stream = f"stream, {LINES:,} lines with a ttl"
        loads = [streamed(host, stream), streamed(host, "the same, restored at boot", "--persist"), at_once(host)]
        for owner in ("many", "feed", "adhoc"):
            measured(*host.call("flush", "--owner", owner))
        loads += [with_entries(host, number) for number in FULL_LISTS]
    rows = [
        {"what": what, EMPTY: figures[EMPTY].get(what), FULL: figures[FULL][what], "runs": options.runs}
        for what in figures[FULL]
    ]
    print(report.table(rows, COLUMNS), report.table(loads, LOAD_COLUMNS), sep="\n\n")
    report.write_json(report.OUTPUT / "command.json", rows, loads=loads)


if __name__ == "__main__":
    main()
