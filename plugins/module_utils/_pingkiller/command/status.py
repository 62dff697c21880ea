# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller status``: the filters, their mode and options, and how full the lists are."""

from __future__ import annotations

import argparse

from .. import VERSION
from ..filters.options import written
from ..kept.directory import Store
from . import host, output, parsers, wanted
from .exit_status import ERROR, FINE, NOT_AS_WANTED
from .output import Found
from .wanted import Noted

_OF_FILTER = ("mode", "mode_reason", "program", "build_id", "options")


_DESCRIPTION = """\
Show the filters of this host, with their mode and options, and how full the lists are. Notes say what these do not show.
"""
_ENDING = """\
exit status: 3 if a filter is missing that is to be restored at boot, or that the role has put there

examples:
  pingkiller status
  pingkiller status --json | jq -r '.filters[].mode'    native, generic, tc, or none if it is missing
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)


def _run(given: argparse.Namespace) -> int:
    store = Store(given.config)
    noted = wanted.noted(store)
    found = _found(store, noted)
    output.write(given, found, _lines)
    for fault in noted.faults:
        output.complain(fault)
    if noted.faults:
        return ERROR
    missing = any(each["wanted"] and each["mode"] == "none" for each in found["filters"].values())
    return NOT_AS_WANTED if missing else FINE


def _found(store: Store, noted: Noted) -> Found:
    seen = host.collect(store)
    filters = {
        name: {
            "wanted": name in noted.filters or name in noted.owned,
            "restored_at_boot": name in noted.filters,
            **_shown_filter(seen["filters"].get(name, {})),
        }
        for name in sorted({*noted.filters, *noted.owned, *seen["filters"]})
    }
    lists = {name: {"count": each["count"], "capacity": each["capacity"]} for name, each in seen["lists"].items()}
    return {"version": VERSION, "kernel": seen["kernel"], "filters": filters, "lists": lists, "notes": seen["notes"]}


def _shown_filter(each: Found) -> Found:
    return {"mode": "none", **{name: each[name] for name in _OF_FILTER if each.get(name)}}


def _lines(found: Found) -> list[str]:
    lines = [f"PingKiller {found['version']}, Linux {found['kernel']}"]
    for name, each in found["filters"].items():
        lines += _filter_lines(name, each)
    if not found["filters"]:
        lines.append("no filter")
    lines += [f"{name}: {each['count']} of {each['capacity']} entries" for name, each in found["lists"].items()]
    return lines + [f"note: {note}" for note in found["notes"]]


def _filter_lines(name: str, each: Found) -> list[str]:
    options = each.get("options", {})
    since = f" since {each['program']['loaded_at']}" if each.get("program") else ""
    monitors = ", monitors only and drops nothing" if options.get("monitor") else ""
    lost = "" if each["restored_at_boot"] else ", not restored at boot"
    shown = [f"    {option}: {written(value)}" for option, value in options.items()]
    return [f"filter {name}: {each['mode']}{since}{monitors}{lost}", *shown]
