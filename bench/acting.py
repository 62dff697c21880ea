#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what ``pingkiller block`` and ``stream`` cost, from start to end, and 200 of them at once.

The command runs from the checkout, with bytecode, as from its installation.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import namespaces  # noqa: F401 (must be first: it restarts this program)
import report
from processes import measured

PYTHON = "/usr/bin/python3"
CLI = "ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command.cli"
COMMAND = (PYTHON, "-c", f"import sys; from {CLI} import main; sys.exit(main())")
COLUMNS = {"what": "what", "ms": "ms", "cpu_ms": "CPU ms", "runs": "runs"}
LINES, AT_ONCE = 10_000, 200
INTERFACE = "pkbench0"


def addresses(number: int) -> list[str]:
    return [f"10.{each >> 8}.{each & 255}.7" for each in range(number)]


def best(what: str, *command: object, runs: int, before: tuple[object, ...] = (), given: str | None = None) -> dict:
    """Measure the fastest of some runs; the other processes of the machine can only make them slower."""
    found = []
    for _run in range(runs):
        if before:
            measured(*before)
        found.append(measured(*command, given=given))
    milliseconds = {"ms": min(each.seconds for each in found), "cpu_ms": min(each.cpu for each in found)}
    return {"what": what, **{name: round(each * 1000) for name, each in milliseconds.items()}, "runs": runs}


def at_once(config: str) -> dict:
    """Measure many commands that are started at once, until the last of them has ended. All of them have to succeed."""
    before, began = os.times(), time.perf_counter()
    lines = [[*COMMAND, "block", address, "--owner", "many", "--config", config] for address in addresses(AT_ONCE)]
    processes = [subprocess.Popen(line, stdout=subprocess.DEVNULL) for line in lines]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        sys.exit("bench: not all commands succeeded")
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "what": f"{AT_ONCE} times block at once",
        "ms": round(seconds * 1000),
        "cpu_ms": round(cpu * 1000),
        "runs": 1,
    }


def measure(runs: int, directory: Path) -> list[dict]:
    lines, config = directory / "lines", str(directory / "pingkiller")
    lines.write_text("".join(f"add {address} ttl=1h\n" for address in addresses(LINES)))
    stream = (*COMMAND, "stream", "--owner", "feed", "--config", config)
    flush = (*COMMAND, "flush", "--owner", "feed", "--config", config)
    given = {"runs": runs, "before": flush, "given": str(lines)}
    return [
        best("python3 -c ''", PYTHON, "-c", "", runs=runs),
        best("block", *COMMAND, "block", "192.0.2.1", "--config", config, runs=runs),
        best("unblock", *COMMAND, "unblock", "192.0.2.1", "--config", config, runs=runs),
        best(f"stream, {LINES} lines", *stream, **given),
        best("the same, restored at boot", *stream, "--persist", **given),
        at_once(config),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="how often each command is run (default: %(default)s)")
    options = parser.parse_args()
    subprocess.run(["ip", "link", "add", INTERFACE, "type", "veth"], check=True)
    filtered = json.dumps({"interface": [INTERFACE]})
    measured(sys.executable, Path(__file__).with_name("run_module.py"), "xdp_filter", filtered)
    with tempfile.TemporaryDirectory() as directory:
        rows = measure(options.runs, Path(directory))
    print(report.table(rows, COLUMNS))
    report.write_json(report.OUTPUT / "acting.json", rows)


if __name__ == "__main__":
    main()
