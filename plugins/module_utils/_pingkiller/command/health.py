# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller health``: in one line whether this host filters as it should, as a plugin of Nagios says it.

https://www.monitoring-plugins.org/doc/guidelines.html has the form of the line, and the meaning of the exit status.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import PingKillerError, listed, on_screen
from ..kept.directory import Store
from ..kernel import access, schema
from . import host, output, parsers, runtime, wanted
from .output import Found

_OK, _WARNING, _CRITICAL, _UNKNOWN = range(4)  #: exit status
_STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

_DESCRIPTION = """\
Say in one line whether this host filters as it should, for Nagios, Icinga and NRPE. With --json it says so for Zabbix. Changes
nothing, and waits for no other run.
"""
_ENDING = """\
exit status, as these programs read it:
  0   OK: everything is as wanted
  1   WARNING: all wanted filters are there, but something is not as wanted; pingkiller check shows all of it
  2   CRITICAL: a wanted filter is missing, or no filter is wanted; also if the command line is wrong
  3   UNKNOWN: it could not be found out, for example without root

Behind the bar is what these programs draw: packets that all filters passed (of any protocol), dropped, and would have
dropped without monitor mode, and the entries of each list of its capacity.

examples:
  pingkiller health
  pingkiller health --json | jq .dropped
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand. Without root the state is UNKNOWN, which is not the exit status of an error."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING, root=False)
    parsers.add_config(parser)


def _run(given: argparse.Namespace) -> int:
    try:
        access.require_root("run it as root, for example with sudo")
        found = _found(Store(given.config))
    except PingKillerError as error:
        found = _judged(_UNKNOWN, str(error))
    except OSError as error:
        found = _judged(_UNKNOWN, f"a system call failed ({error})")
    output.write(given, found, _lines)
    status: int = found["status"]
    return status


def _found(store: Store) -> Found:
    from ..boot import restore  # imports what plans a change
    from ..report.totals import totals

    noted = wanted.noted(store)
    seen = host.collect(store, "filters", "counters", "lists", list_limit=0, top=0)
    outcome = restore.restore(store, runtime.sources(), check=True)
    names = sorted({*noted.filters, *noted.owned})
    missing = [name for name in names if seen["filters"].get(name, {}).get("mode", "none") == "none"]
    errors = [*noted.faults, *(each for each in outcome.errors if each not in noted.faults)]
    if missing:
        judged = _judged(_CRITICAL, f"no filter on {listed(missing)}")
    elif errors:
        judged = _judged(_UNKNOWN, " ".join(errors))
    elif not names:
        judged = _judged(_CRITICAL, "no filter is wanted here: deploy, or do not check this host")
    elif outcome.changed:
        judged = _judged(_WARNING, f"missing or different: {listed(outcome.changed)}")
    else:
        judged = _judged(_OK, _fine([seen["filters"][name] for name in names]))
    return {**judged, **_counts(seen["lists"], totals(each["counters"] for each in seen["filters"].values()))}


def _judged(status: int, message: str) -> Found:
    return {"status": status, "state": _STATES[status], "message": on_screen(message)}


def _fine(filters: list[Found]) -> str:
    monitoring = sum(bool(each["options"].get("monitor")) for each in filters)
    only = f", {monitoring} of them only monitors" if monitoring else ""
    return f"{len(filters)} filter{'s' * (len(filters) != 1)} as wanted{only}"


def _counts(lists: Found, counted: Any) -> Found:
    counts: Found = counted.by_verdict
    for name, each in lists.items():
        counts.update({name: each["count"], f"{name}_capacity": each["capacity"]})
    return counts


def _lines(found: Found) -> list[str]:
    """Return the line. A bar in the message would begin the performance data."""
    message = found["message"].replace("|", "/")
    data = [f"{name}={found[name]}c" for name in ("passed", "dropped", "would_drop") if name in found]
    data += [f"{name}={found[name]};;;0;{found[f'{name}_capacity'] or ''}" for name in schema.LISTS if name in found]
    return [f"PINGKILLER {found['state']} - {message}" + (f" | {' '.join(data)}" if data else "")]
