#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long one command takes on one host with a long blocklist, compared with ``ansible HOST -m ping``.

The measured time is that of the whole command, as a user types it. tools/fleet makes the host. The commands take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import report

FLEET, HOST = "adhoc", "alpha"
FILE = "/var/tmp/long-list"
MAKE_FILE = (
    "import random; chance = random.Random(1); "
    "numbers = chance.sample(range(1 << 24, 223 << 24), {entries}); "
    f"open('{FILE}', 'w').writelines('%d.%d.%d.%d\\n' % (n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255) for n in numbers)"
)
PING = "ansible HOST -m ping"
COLUMNS = {"what": "command", "ms": "ms", "against_ping": "of ping", "fastest": "fastest ms", "runs": "runs"}


def fleet(*arguments: str) -> None:
    """Run tools/fleet. Its output is shown only if it fails."""
    command = [sys.executable, "tools/fleet", "--name", FLEET, *arguments]
    done = subprocess.run(command, cwd=report.CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: tools/fleet {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def ansible(module: str, arguments: str = "") -> float:
    """Run a module on the host. Return the seconds that the command took."""
    environment = {
        **os.environ,
        "ANSIBLE_INVENTORY": f".fleet/{FLEET}/inventory.yml",
        "ANSIBLE_CONFIG": str(report.CHECKOUT / "ansible.cfg"),
        "PATH": f"{report.CHECKOUT / '.venv/bin'}:{os.environ['PATH']}",
    }
    command = ["ansible", HOST, "-m", module, *(["-a", arguments] if arguments else [])]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=report.CHECKOUT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds


def measure(runs: int) -> list[dict]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in range(runs):
        address = f"192.0.2.{run % 250 + 1}"
        for what, module, arguments in (
            (PING, "ping", ""),
            ("ansible HOST -m xdp_blocklist -a ip=...", "xdp_blocklist", f"ip={address}"),
            ("the same again", "xdp_blocklist", f"ip={address}"),
            ("ansible HOST -m xdp_blocklist -a 'ip=... state=absent'", "xdp_blocklist", f"ip={address} state=absent"),
            ("ansible HOST -m xdp_facts", "xdp_facts", ""),
            ("ansible HOST -m xdp_facts -a list_limit=0", "xdp_facts", "list_limit=0"),
        ):
            seconds[what].append(ansible(module, arguments))
    ping = statistics.median(seconds[PING])
    return [
        {
            "what": what,
            "ms": round(statistics.median(each) * 1000),
            "against_ping": f"{statistics.median(each) / ping:.2f}",
            "fastest": round(min(each) * 1000),
            "runs": len(each),
        }
        for what, each in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="how often each command is run (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=1_000_000, help="on the blocklist (default: %(default)s)")
    options = parser.parse_args()
    try:
        fleet("up", "--hosts", HOST)
        fleet("exec", HOST, "python3", "-c", MAKE_FILE.format(entries=options.entries))
        ansible("xdp_filter", f"max_entries={2 * options.entries}")
        ansible("xdp_blocklist", f"src={FILE} exclusive=true owner=bench")
        rows = measure(options.runs)
    finally:
        fleet("down")
    print(report.table(rows, COLUMNS))
    report.write_json(report.OUTPUT / "adhoc.json", rows, entries=options.entries)


if __name__ == "__main__":
    main()
