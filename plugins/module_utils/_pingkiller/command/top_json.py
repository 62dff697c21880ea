# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a look at a host as JSON has it, for ``pingkiller top --json``."""

from __future__ import annotations

from .. import durations
from ..entries import addresses
from ..report.sampling import FilterNow, ListNow, Look
from .output import Found
from .top_screen import Heard


def found(look: Look, heard: Heard) -> Found:
    """Return a look, and what events have told."""
    return {
        "time": durations.iso(look.wall_time),
        "filters": {now.name: _filter(now) for now in look.filters},
        "lists": {name: _list(each) for name, each in look.lists.items()},
        "limited_sources": [
            {"ip": each.name, **{name: value for name, value in each._asdict().items() if name != "name"}}
            for each in look.sources
        ],
        "sources": None
        if heard.talkers is None
        else [
            {
                "ip": addresses.display(each.address),
                "per_second": round(each.per_second, 3),
                "dropped_per_second": round(each.dropped_per_second, 3),
                "packets": each.packets,
            }
            for each in heard.talkers
        ],
        **heard.missed._asdict(),
        "notes": list(heard.notes),
    }


def _filter(now: FilterNow) -> Found:
    return {
        "mode": now.mode,
        **{option: now.options.get(option) for option in ("policy", "monitor", "timing_sample", "events")},
        "lent": now.lent,
        "seconds": round(now.rates.seconds, 3),
        "per_second": {name: round(rate, 3) for name, rate in now.rates.per_second.items()},
        "processing_time": {verdict: times._asdict() for verdict, times in now.rates.times.items()},
    }


def _list(each: ListNow) -> Found:
    return {
        "count": each.entries,
        "capacity": each.capacity,
        "read_every": round(each.every, 3),
        "busiest": [
            {
                "ip": addresses.display(entry.key),
                "owners": entry.owners,
                "direction": entry.direction,
                "expires_in": entry.seconds_left,
                "per_second": round(entry.per_second, 3),
                "packets": entry.packets,
            }
            for entry in each.busiest
        ],
    }
