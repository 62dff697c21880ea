# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a packet costs: the nanoseconds that each program adds to an empty one, by BPF_PROG_TEST_RUN.

Every program gets every kind of packet in every round, and the programs take turns. The figure of the empty program in
the same round is subtracted from each figure. The tables show the median of all rounds. The kernel measures in whole
nanoseconds.
"""

from __future__ import annotations

import argparse
import random
from contextlib import ExitStack

import namespaces  # noqa: F401 (must be first: it restarts this program where the other imports work)
import report
from chart import bars

from . import frames, programs, wire
from .measurement import Cell, Runner, measure

OURS = "pingkiller, {:,}"  #: with the number of entries on its blocklist
XDP_FILTER = "xdp-filter"
XDP_FILTER_ENTRIES = 1000
#: The filters that the cases use, with the options that differ from the defaults.
VARIANTS = {
    "default": {},
    "policy": {"policy": "drop"},
    "below": {"ratelimit_pps": 10_000_000},
    "over": {"ratelimit_pps": 1},
}
#: The cost of each option is measured against the default filter.
OPTIONS = {
    "policy: drop": {"policy": "drop"},
    "icmp_types: all": {"icmp_types": ["all"]},
    "protect: false": {"protect": False},
    "monitor: true": {"monitor": True},
    "ratelimit_pps, not reached": {"ratelimit_pps": 10_000_000},
    "ratelimit_pps, exceeded": {"ratelimit_pps": 1},
    "timing_sample: 1000": {"timing_sample": 1000},
    "timing_sample: 100": {"timing_sample": 100},
    "timing_sample: 1": {"timing_sample": 1},
    "events: dropped": {"events": "dropped", "events_per_second": 10_000_000},
    "events: dropped, above events_per_second": {"events": "dropped", "events_per_second": 1},
    "events: all_icmp": {"events": "all_icmp", "events_per_second": 10_000_000},
    "events: trace": {"events": "trace", "events_per_second": 10_000_000},
}
UNHEARD = "events: dropped, nobody listens"
OPTION_CASES = ("TCP", "ICMP, not listed", "ICMP, listed")
OPTION_REPEAT = 5000  #: packets; the ring buffer has room for their events
BASELINES = {
    "perf event per packet": ("perf_event", "drain_perf"),
    "ring buffer record per ICMP": ("ring_buffer", "drain_ring"),
    "trace line per drop": ("trace_print", None),
}


class Bench:
    """The programs and hosts of the measurements. They are removed at the end."""

    def __init__(self, stack: ExitStack, rounds: int, repeat: int):
        self._stack, self._rounds, self._repeat = stack, rounds, repeat
        self._empty = programs.Baseline("empty")
        self.empty = Runner(self._empty.program())
        self.empty_classifier = Runner(self._empty.program("classifier", "SCHED_CLS"))
        self.cases = frames.cases()

    def host(self, name: str, entries: int, sources: dict[str, str] | None = None) -> programs.Ours:
        """Make one of our hosts, with this number of addresses on its blocklist."""
        print(f"loading a blocklist of {entries:,}", flush=True)
        host = self._stack.enter_context(programs.Ours(f"pkbench-{name}", entries + programs.SPARE, sources))
        host.filter()
        host.fill("blocklist", frames.list_file(entries))
        return host

    def measure(self, cells: list[Cell], repeat: int | None = None) -> dict:
        return measure(cells, self._rounds, repeat or self._repeat)

    def drawn(self, program, addresses: list[int]) -> Runner:
        wrapper = programs.Drawing(program, addresses)
        self._stack.callback(wrapper.close)
        return Runner(wrapper.program)


def shuffled(addresses: list[int]) -> list[int]:
    return random.Random(1).sample(addresses, len(addresses))


def strangers(number: int) -> list[int]:
    """Return addresses that are on no list."""
    return [address + 1 for address in shuffled(frames.listed(number))]


def our_cells(bench: Bench, entries: int, commit: str | None = None) -> list[Cell]:
    """Return all cases with a list of this size, for the filter of this checkout or of another commit."""
    title = f"{commit}, {entries:,}" if commit else OURS.format(entries)
    host = bench.host(f"size-{entries}-{commit or 'here'}", entries, commit and programs.read_sources_of(commit))
    variants = {name: Runner(host.filter(**options)) for name, options in VARIANTS.items()}
    drawn = {"listed": shuffled(frames.listed(entries)), "unlisted": strangers(entries)}
    floors = {name: bench.drawn(bench.empty.program, addresses) for name, addresses in drawn.items()}
    cells = []
    for name, case in bench.cases.items():
        runner, floor = variants[case.variant], bench.empty
        if case.draw:
            runner, floor = bench.drawn(runner.program, drawn[case.draw]), floors[case.draw]
        cells.append(Cell(title, name, runner, floor, case.frame))
    return cells


def peer_cells(bench: Bench) -> list[Cell]:
    """Return the cells of xdp-filter and of the baselines, which report to user space as common examples do.

    Cases that draw sources are left out, because no other program can call a program that xdp-filter has loaded.
    """
    listed = frames.listed(XDP_FILTER_ENTRIES)
    runners = {XDP_FILTER: Runner(programs.load_xdp_filter(listed))}
    for name, (source, drain) in BASELINES.items():
        baseline = programs.Baseline(source)
        runners[name] = Runner(baseline.program(), drain and getattr(baseline, drain)())
    cells = []
    for name, case in bench.cases.items():
        if case.variant == "default" and not case.draw:
            cells += [Cell(program, name, runner, bench.empty, case.frame) for program, runner in runners.items()]
    return cells


def option_cells(bench: Bench) -> list[Cell]:
    """Return the cells that compare each option with the default filter, with a thousand addresses on the list."""
    host, unheard = bench.host("options", 1000), bench.host("unheard", 1000)
    default = Runner(host.filter())
    runners = {}
    for name, options in OPTIONS.items():
        runners[name] = Runner(host.filter(**options), host.skip_events if "events" in options else None)
    host.listening(True)
    runners[UNHEARD] = Runner(unheard.filter(events="dropped"))
    return [
        Cell(name, case, runner, default, bench.cases[case].frame)
        for name, runner in runners.items()
        for case in OPTION_CASES
    ]


def classifier_cells(bench: Bench) -> list[Cell]:
    """Return the cells of the default filter on tc."""
    host = bench.host("tc", 1000)
    return [
        Cell(hook, case, Runner(host.filter(hook=hook, mode="auto")), bench.empty_classifier, bench.cases[case].frame)
        for hook in ("tc_ingress", "tc_egress")
        for case in OPTION_CASES
    ]


def rows(figures: dict, by: str) -> list[dict]:
    """Return one row for each case (or program), with a column for each program (or case)."""
    found: dict[str, dict] = {}
    for (program, case), added in figures.items():
        row, column = (case, program) if by == "case" else (program, case)
        found.setdefault(row, {by: row})[column] = added
    return list(found.values())


def chart(packets: list[dict]) -> str:
    """Draw the packets that all programs can get. Our filter has its longest list."""
    last = [name for name in packets[0] if name.startswith(OURS.partition(",")[0])][-1]
    series = [last, XDP_FILTER, *BASELINES]
    drawn = [
        {"case": row["case"], **{name: row[name] for name in series}} for row in packets if row["case"] in OPTION_CASES
    ]
    return bars("Nanoseconds added to an empty XDP program, for each packet", drawn, "case", 130)


def show(title: str, table: list[dict]):
    columns = dict.fromkeys(name for row in table for name in row)
    print(f"\n{title}\n" + report.table(table, {name: name for name in columns}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m datapath")
    parser.add_argument("--rounds", type=int, default=31, help="how often everything is measured (default: 31)")
    parser.add_argument("--repeat", type=int, default=20_000, help="packets in a round (default: 20000)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 1000, 1_000_000], help="entries on the blocklist")
    parser.add_argument("--against", metavar="COMMIT", help="compare with the filter of this commit, and nothing else")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        bench = Bench(stack, arguments.rounds, arguments.repeat)
        if arguments.against:
            commits = (None, arguments.against)
            cells = [cell for size in arguments.sizes for each in commits for cell in our_cells(bench, size, each)]
            show("ns added to an empty XDP program, for each packet", rows(bench.measure(cells), "case"))
            return
        cells = [cell for size in arguments.sizes for cell in our_cells(bench, size)] + peer_cells(bench)
        packets = rows(bench.measure(cells), "case")
        options = rows(bench.measure(option_cells(bench), OPTION_REPEAT), "program")
        hooks = rows(bench.measure(classifier_cells(bench)), "program")
    wired = wire.measure()
    show("ns added to an empty XDP program, for each packet", packets)
    show("ns that an option adds to the default filter, for each packet", options)
    show("ns added to an empty classifier of tc, for each packet", hooks)
    show("end to end: ns of a processor for each listed ping from a wire, with everything before the filter", wired)
    report.write_json(report.OUTPUT / "datapath.json", packets, options=options, hooks=hooks, wire=wired)
    (report.OUTPUT / "datapath.svg").write_text(chart(packets))


if __name__ == "__main__":
    main()
