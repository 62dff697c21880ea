# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure end to end: listed pings come through a veth pair faster than one processor can handle them.

BPF_PROG_TEST_RUN cannot run nftables or ipset. So here every figure includes the path from the wire to the filter.
"""

from __future__ import annotations

import multiprocessing
import re
import statistics
import time

import network
import pressure


class XdpFilter(pressure.Nothing):
    """xdp-filter with the flooding addresses on its list."""

    def __enter__(self):
        network.run("xdp-filter", "load", pressure.LINK, "-m", "native", "-p", "allow", "-f", "ipv4")
        for address in pressure.flooding():
            network.run("xdp-filter", "ip", address, "-m", "src")
        return self

    def __exit__(self, *_exception):
        network.run("xdp-filter", "unload", pressure.LINK)

    def counts(self):
        said = network.run("xdp-filter", "status").stdout
        return None, int(re.search(r"XDP_DROP\s+(\d+)", said)[1])


PAST = {**{name: filter_ for name, (flooded, filter_) in pressure.CELLS.items() if flooded}, "xdp-filter": XdpFilter()}


def processed() -> int:
    return pressure.stack_counts()["InEchos"]


def measure_one(flood, filter_, seconds: float) -> float:
    """Return the nanoseconds per packet of the host's processor, which does nothing else during this time."""
    with filter_:
        pressure.receive_on_host_cpu()
        before = filter_.counts()[1] + processed()
        result = multiprocessing.SimpleQueue()
        sender = multiprocessing.Process(target=flood.run, args=(time.monotonic() + seconds, result), daemon=True)
        sender.start()
        sender.join(seconds + 5)
        return seconds * 1e9 / (filter_.counts()[1] + processed() - before)


def measure(rounds: int = 7, seconds: float = 1) -> list[dict]:
    """Return the medians, one row per filter. The filters take turns."""
    figures: dict[str, list[float]] = {name: [] for name in PAST}
    with pressure.world() as outside:
        flood = pressure.Flood(outside)
        for _round in range(rounds):
            for name, filter_ in PAST.items():
                figures[name].append(measure_one(flood, filter_, seconds))
    return [{"filter": name, "ns a packet": round(statistics.median(taken))} for name, taken in figures.items()]
