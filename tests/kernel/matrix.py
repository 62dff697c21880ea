#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile and load the program with every combination of features, and report the size and the verifier's work.

Needs root, BCC, and from the checkout bpf/, plugins/, tests/kernel/ and .collections. Attaches and leaves nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from harness import Host

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bcc_package

MOST = 500_000  #: instructions that the verifier walks: half of its limit
PART = 50  #: combinations per process, because BCC keeps more than 20 maps open for each
TOGETHER = 3  #: how many features meet in every combination of their values

NETWORKS = (*(f"10.{number}.0.0/16" for number in range(32)), *(f"2001:db8:{number:x}::/48" for number in range(32)))
CODES = tuple(f"{family}/{number}/1" for number in range(32) for family in ("icmp", "icmpv6"))

#: The values of each feature by their names in the table, from the lightest to the heaviest. tc_egress has the same
#: program as tc_ingress, except with forwarded=false.
FEATURES: dict[str, dict[str, dict]] = {
    "hook": {"xdp": {}, "tc": {"hook": "tc_ingress"}, "tc, own": {"hook": "tc_egress", "forwarded": False}},
    "policy": {"pass": {}, "drop": {"policy": "drop"}},
    "strict": {"no": {"strict": False}, "yes": {}},
    "protect": {"no": {"protect": False}, "yes": {}, "redirects": {"protect_redirects": True}},
    "monitor": {"no": {}, "yes": {"monitor": True}},
    "ratelimit": {"no": {}, "yes": {"ratelimit_pps": 5}},
    "timing": {"no": {}, "yes": {"timing_sample": 100}},
    "events": {
        "none": {},
        "dropped": {"events": "dropped"},
        "all_icmp": {"events": "all_icmp"},
        "trace": {"events": "trace"},
        "trace, 64 left out": {"events": "trace", "trace_exclude": NETWORKS},
    },
    "types": {"echo-request": {}, "all": {"icmp_types": ("all",)}, "64 codes": {"icmp_types": CODES}},
}

Combination = tuple  # the name of one value for each feature


def every_combination() -> list[Combination]:
    return list(itertools.product(*FEATURES.values()))


def covering(together: int) -> list[Combination]:
    """Return few combinations in which any `together` features meet with all their values, the heaviest first."""
    rest = {
        each: set(itertools.combinations(enumerate(each), together))
        for each in reversed(every_combination())  # max() takes the first of equal ones
    }
    wanted = set().union(*rest.values())
    chosen = []
    while wanted:
        best = max(rest, key=lambda each: len(rest[each] & wanted))
        wanted -= rest.pop(best)
        chosen.append(best)
    return chosen


def options(combination: Combination) -> dict:
    """Return the options of xdp_filter for this combination."""
    merged: dict = {}
    for values, name in zip(FEATURES.values(), combination):
        merged.update(values[name])
    return merged


def measure(host: Host, combinations: list[Combination]) -> list[dict]:
    """Return one row per combination: the features, and the size of the program or the error."""
    rows = []
    for combination in combinations:
        row = dict(zip(FEATURES, combination))
        try:
            row.update(host.measure(**options(combination))._asdict())
        except PingKillerError as error:
            row["error"] = str(error)
        rows.append(row)
    return rows


def measure_apart(combinations: list[Combination]) -> list[dict]:
    """Measure on a host of its own. Runs in a short-lived process, whose end closes the maps that BCC keeps open."""
    with Host() as host:
        return measure(host, combinations)


def is_right(row: dict) -> bool:
    return 0 < row.get("verified", 0) < MOST


def markdown(found: dict) -> str:
    rows = found["programs"]
    names = [*FEATURES, "verified", "translated", "jited"]
    lines = [
        f"Linux {found['kernel']}, {found['machine']}, BCC {found['bcc']}: {len(rows)} programs, any {found['together']} "
        f"features in every combination; the largest has {max(row.get('verified', 0) for row in rows)} of {MOST} "
        "instructions walked by the verifier.",
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(FEATURES)}{'---:|' * 3}",
    ]
    for row in sorted(rows, key=lambda row: row.get("verified", 0), reverse=True):
        lines.append(f"| {' | '.join(str(row.get(name, 'does not load')) for name in names)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="matrix", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--together",
        type=int,
        default=TOGETHER,
        choices=range(1, len(FEATURES) + 1),
        help=f"how many features are to meet in every combination; {len(FEATURES)} is the whole product (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of a Markdown table")
    chosen = parser.parse_args(arguments)
    combinations = covering(chosen.together)
    parts = [combinations[start : start + PART] for start in range(0, len(combinations), PART)]
    with multiprocessing.Pool(maxtasksperchild=1) as pool:
        rows = [row for part in pool.imap(measure_apart, parts) for row in part]
    release, machine = os.uname().release, os.uname().machine
    found = {"kernel": release, "machine": machine, "bcc": bcc_package.version(), "together": chosen.together}
    found["programs"] = rows
    print(json.dumps(found, indent=1) if chosen.json else markdown(found))
    wrong = [row for row in rows if not is_right(row)]
    for row in wrong:
        print(f"matrix: {row.get('error') or 'too large'}: {row}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
