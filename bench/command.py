#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the processor time of ``pingkiller`` on a host, from its start to its end, over that of ``python3 -c ''``.

It is installed as the role does it. The commands take turns, on a host without filters and on one with filters and entries.
The figure is the least of all runs, since other work on the machine can only add to it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import namespaces  # noqa: F401 (must be first: it restarts this program)
import report
from installed import install
from processes import measured

EMPTY, FULL = "no filter", "2 filters, 100 entries"
INTERFACES = ("pkbench0", "pkbench1")
PYTHON = ("/usr/bin/python3", "-c", "")
COMMANDS = (("--version",), ("status",), ("stats",), ("list",), ("check",))
COLUMNS = {"what": "command", EMPTY: f"CPU ms over Python's, {EMPTY}", FULL: f"with {FULL}", "runs": "runs"}


def module(name: str, **arguments) -> None:
    measured(sys.executable, report.CHECKOUT / "bench/run_module.py", name, json.dumps(arguments))


def fill(config: str) -> None:
    """Attach filters and put entries on the blocklist, all of which are wanted after a boot."""
    kept = {"persist": True, "config_dir": config}
    module("xdp_filter", interface=list(INTERFACES), **kept)
    module("xdp_blocklist", ip=[f"192.0.2.{number}" for number in range(100)], **kept)


def least(pingkiller: Path, config: str, runs: int) -> dict[tuple, float]:
    """Return the least CPU milliseconds of each command over Python's."""
    cpu: dict[tuple, list[float]] = defaultdict(list)
    for _run in range(runs):
        cpu[PYTHON].append(measured(*PYTHON).cpu)
        for command in COMMANDS:
            where = () if command == ("--version",) else ("--config", config)
            cpu[command].append(measured(pingkiller, *command, *where).cpu)
    return {command: (min(each) - min(cpu[PYTHON])) * 1000 for command, each in cpu.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="how often each command is run (default: %(default)s)")
    options = parser.parse_args()
    subprocess.run(["ip", "link", "add", INTERFACES[0], "type", "veth", "peer", "name", INTERFACES[1]], check=True)
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as directory:
        pingkiller, config = install(Path(directory)), f"{directory}/pingkiller"
        figures = {EMPTY: least(pingkiller, config, options.runs)}
        fill(config)
        figures[FULL] = least(pingkiller, config, options.runs)
    rows = [
        {
            "what": f"pingkiller {' '.join(command)}",
            **{host: each[command] for host, each in figures.items()},
            "runs": options.runs,
        }
        for command in COMMANDS
    ]
    print(report.table(rows, COLUMNS))
    report.write_json(report.OUTPUT / "command.json", rows)


if __name__ == "__main__":
    main()
