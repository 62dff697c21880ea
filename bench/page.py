#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the report of a fleet: its size, and the CPU seconds for reading the hosts' answers, writing and comparing.

The answers are made up. Getting them from hosts, and from Ansible's variables, is not measured here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import report

sys.path[:0] = [str(report.CHECKOUT / ".collections"), str(report.CHECKOUT / "tests/unit")]
from recorded_statuses import fleet  # noqa: E402

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _report  # noqa: E402

COLUMNS = {"hosts": "hosts", "megabytes": "MB", "seconds": "CPU s", "runs": "runs"}


def measure(hosts: int, runs: int) -> dict:
    answers = fleet(hosts, seed=1, details=True)
    taken = []
    with tempfile.TemporaryDirectory(prefix="pk-bench.") as directory:
        path = str(Path(directory, "report.html"))
        _report.write(answers, path, check=False)  # the first report has nothing to be compared with
        for _run in range(runs):
            began = time.process_time()
            written = _report.write(answers, path, check=False)
            taken.append(time.process_time() - began)
    return {"hosts": hosts, "megabytes": f"{written.size / 1e6:.2f}", "seconds": f"{min(taken):.2f}", "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hosts", type=int, nargs="+", default=[3, 40, 200, 1000], help="sizes of fleets (default: 3 40 200 1000)"
    )
    parser.add_argument(
        "--runs", type=int, default=5, help="how often each is written; the least counts (default: %(default)s)"
    )
    options = parser.parse_args()
    rows = [measure(hosts, options.runs) for hosts in options.hosts]
    print(report.table(rows, COLUMNS))
    report.write_json(report.OUTPUT / "page.json", rows)


if __name__ == "__main__":
    main()
