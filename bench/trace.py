#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a trace costs the traced process and the tracing process, compared with strace, perf trace and bpftrace.

The load is ``dd bs=1``. It repeats two of the cheapest system calls and reports how long they took. The tracers take
turns in every round. The lowest value of each tracer counts, because other work on the machine disturbs it least.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from pathlib import Path

import namespaces  # noqa: F401 (must be first: it restarts this program)
import report
from installed import install
from processes import measured

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import trace
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import syscalls
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _runtime

NOTHING = "nothing"
FAST, SLOW = (
    300_000,
    10_000,
)  #: bytes that dd copies, with one read and one write per byte: with BPF programs, and without
DD = (shutil.which("dd"), "if=/dev/zero", "of=/dev/null", "bs=1")
#: Our traces by their names in the tables, with the options of the library.
OURS = {
    "syscalls": {"probe": "syscalls"},
    "syscalls, of another process": {"probe": "syscalls", "pid": 1},
    "syscalls, by pid, comm, user, syscall": {"probe": "syscalls", "by": ("pid", "comm", "user", "syscall")},
    "syscalls, latency": {"probe": "syscalls", "latency": True},
    "syscall read": {"probe": "syscall", "name": "read"},
    "syscall fsync": {"probe": "syscall", "name": "fsync"},
    "processes": {"probe": "processes"},
}
_COUNT = 'tracepoint:raw_syscalls:sys_exit /comm == "dd"/ { @[args->id] = count(); }'
_LATENCY = (
    "tracepoint:raw_syscalls:sys_enter { @began[tid] = nsecs; } tracepoint:raw_syscalls:sys_exit /@began[tid]/ "
    "{ @[comm, args->id] = hist(nsecs - @began[tid]); delete(@began[tid]); }"
)
#: The other tracers: the bytes that dd copies, and the command line before the traced command.
OTHERS = {
    "bpftrace, counts": (FAST, ("bpftrace", "-e", "tracepoint:raw_syscalls:sys_exit { @[comm, args->id] = count(); }")),
    "bpftrace, latency": (FAST, ("bpftrace", "-e", _LATENCY)),
    "perf trace -s": (SLOW, ("perf", "trace", "-s")),
    "strace -f -c": (SLOW, ("strace", "-f", "-c")),
}
COST = {"tracer": "looked at by", "ns": "ns a call", "added": "added ns", "ratio": "of nothing", "runs": "runs"}
LOOK = {
    "tracer": "a look",
    "ms": "ms besides",
    "cpu_ms": "CPU ms",
    "peak_mb": "peak MB",
    "busy": "% of a CPU",
    "runs": "runs",
}


def load(bytes_: int) -> tuple[str, ...]:
    return (*DD, f"count={bytes_}")


def wrapped(prefix: tuple[str, ...], command: tuple[str, ...]) -> tuple[str, ...]:
    return (*prefix, "-c", " ".join(command)) if prefix[0] == "bpftrace" else (*prefix, *command)


def ns_a_call(said: str, bytes_: int) -> float:
    return float(re.search(r"copied, ([\d.e-]+) s", said)[1]) * 1e9 / (2 * bytes_)


@contextlib.contextmanager
def looked_at(found: dict, **options):
    """Trace the body of the ``with`` block. The result is put into ``found``."""
    stop = threading.Event()
    request = trace.Request.checked(duration=600.0, **options)
    results = trace.watch(request, _runtime.read_trace_sources(), every=0.01, stop=stop)
    next(results)
    yield
    stop.set()
    (result,) = results
    found.update(result)


def cost_round(figures: dict) -> None:
    figures[NOTHING].append(ns_a_call(measured(*load(FAST)).said, FAST))
    for name, options in OURS.items():
        with looked_at({}, **options):
            figures[name].append(ns_a_call(measured(*load(FAST)).said, FAST))
    for name, (bytes_, prefix) in OTHERS.items():
        figures[name].append(ns_a_call(measured(*wrapped(prefix, load(bytes_))).said, bytes_))


def cost_rows(runs: int) -> list[dict]:
    figures: dict[str, list[float]] = defaultdict(list)
    for _run in range(runs):
        cost_round(figures)
    least = {name: min(each) for name, each in figures.items()}
    nothing = least[NOTHING]
    return [
        {
            "tracer": name,
            "ns": round(each),
            "added": round(each - nothing),
            "ratio": f"{each / nothing:.2f}",
            "runs": runs,
        }
        for name, each in least.items()
    ]


# Counts of system calls


def counts() -> list[dict]:
    """Return one row for each system call, with the count of each tracer for the same load."""
    seen: dict = {}
    with looked_at(seen, probe="syscalls", by=("comm", "syscall"), top=0):
        measured(*load(SLOW))
    columns = {
        "ours": {row["syscall"]: row["calls"] for row in seen["rows"] if row["comm"] == "dd"},
        "strace": _strace_counts(measured(*wrapped(OTHERS["strace -f -c"][1], load(SLOW))).said),
        "bpftrace": _bpftrace_counts(measured(*wrapped(("bpftrace", "-e", _COUNT), load(SLOW))).said),
    }
    calls = sorted(set().union(*columns.values()), key=lambda call: -columns["ours"].get(call, 0))
    return [{"call": call, **{name: column.get(call, 0) for name, column in columns.items()}} for call in calls]


def _strace_counts(said: str) -> dict[str, int]:
    """Parse lines of: % of time, seconds, microseconds per call, calls, errors (if any), name."""
    lines = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", said, re.MULTILINE)
    return {name: int(calls) for calls, name in lines if name != "total"}


def _bpftrace_counts(said: str) -> dict[str, int]:
    names = {number: name for name, number in syscalls.numbers().items()}
    return {names[int(number)]: int(calls) for number, calls in re.findall(r"^@\[(\d+)\]: (\d+)$", said, re.MULTILINE)}


# The tracing process


def look_rows(command: Path, runs: int) -> list[dict]:
    """Measure the command under load: time beyond the traced duration, CPU time, memory, share of a processor."""
    return [_look_row(name, options, command, runs) for name, options in _looks().items()]


def _looks() -> dict[str, list[str]]:
    names = ("syscalls", "syscalls, latency", "syscall read", "processes")
    return {name: [f"--{key}={value}" for key, value in OURS[name].items() if key == "name"] for name in names}


def _look_row(name: str, options: list[str], command: Path, runs: int) -> dict:
    options = [*options, *(["--latency"] if OURS[name].get("latency") else []), "--json"]
    looks = [_looked(command, OURS[name]["probe"], options) for _run in range(runs)]
    least = {key: min(look[key] for look in looks) for key in looks[0]}
    return {"tracer": name, **least, "busy": round(_busy(OURS[name]), 1), "runs": runs}


def _busy(options: dict, duration: float = 4.0) -> float:
    """Return the percentage of a processor that tracing takes under load, after the programs are compiled."""
    results = trace.watch(trace.Request.checked(duration=duration, **options), _runtime.read_trace_sources(), every=1.0)
    with _loaded():
        next(results)
        began, cpu_began = time.perf_counter(), time.process_time()
        deque(results, maxlen=0)
        return 100 * (time.process_time() - cpu_began) / (time.perf_counter() - began)


def _looked(command: Path, probe: str, options: list[str]) -> dict:
    with _loaded():
        done = measured(command, "trace", probe, "--duration", 0.1, *options)
    besides = done.seconds - json.loads(done.said)["seconds"]
    return {"ms": round(besides * 1000), "cpu_ms": round(done.cpu * 1000), "peak_mb": done.peak_mb}


@contextlib.contextmanager
def _loaded():
    with subprocess.Popen([*DD], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def show(title: str, rows: list[dict], columns: dict[str, str]) -> None:
    print(f"\n{title}\n" + report.table(rows, columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often everything is done (default: %(default)s)")
    options = parser.parse_args()
    os.environ["LC_ALL"] = "C"  # dd and strace print numbers with a decimal point
    subprocess.run(
        ["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True
    )  # for perf and bpftrace, PingKiller does not need it
    same = counts()
    show("calls of one dd, as each saw them", same, {name: name for name in same[0]})
    costs = cost_rows(options.runs)
    show("a call of dd", costs, COST)
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as directory:
        looks = look_rows(install(Path(directory)), options.runs)
    show("whoever looks", looks, LOOK)
    report.write_json(report.OUTPUT / "trace.json", costs, counts=same, looks=looks)


if __name__ == "__main__":
    sys.exit(main())
