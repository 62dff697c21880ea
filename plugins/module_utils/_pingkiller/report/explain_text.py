# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put an explanation into words. Callers make the lines safe to show."""

from __future__ import annotations

from typing import Any

from .. import durations
from ..entries import addresses
from ..kernel import schema
from .at_boot import AtBoot, Kept, Passing
from .explain import NOT_ATTACHED, NOT_NOTED, OTHER_LISTS, Explanation, Judged, Verdict
from .listed import Inside, Listed
from .validity import moment, validity
from .verdicts import DROP, PASS, UNKNOWN, WOULD_DROP

_DONE = {
    PASS: "passed",
    DROP: "dropped",
    WOULD_DROP: "passed, but counted as would_drop (monitor)",
    UNKNOWN: "not known to pass or to be dropped",
}
_PREPOSITIONS = {schema.SOURCE: "from", schema.DESTINATION: "to"}


def lines(found: Explanation) -> list[str]:
    """Return the whole explanation as lines of text."""
    return [f"{addresses.display(found.key)}: {sentence(found)}", *(f"    {line}" for line in details(found))]


def sentence(found: Explanation) -> str:
    """Say in one sentence what happens to pings between the address and this host, and why."""
    if not found.filters:
        return "passed, since no filter is attached on this host: nothing is filtered"
    deciding = [each for each in found.filters if each.main.verdict == found.verdict]
    first = deciding[0]
    alike = [each.name for each in deciding if (each.main, each.main_side) == (first.main, first.main_side)]
    others = [each for each in found.filters if each.main.verdict != found.verdict]
    rest = _otherwise(first, others) + _unless_inside(found.inside)
    which = f"pings {_PREPOSITIONS[first.main_side]} it"
    return f"{which} are {_DONE[found.verdict]} on {', '.join(alike)}, since {_because(first, first.main)}{rest}"


def _otherwise(first: Judged, others: list[Judged]) -> str:
    """Name the filters that do something else. A filter of another direction may judge the named pings as the first does."""
    alike = [each.name for each in others if each.main_side == first.main_side]
    across = [each for each in others if each.main_side != first.main_side]
    return (f"; not on {', '.join(alike)}" if alike else "") + "".join(
        f"; pings {_PREPOSITIONS[each.main_side]} it are {_DONE[each.main.verdict]} on {each.name}" for each in across
    )


def _unless_inside(inside: list[Inside]) -> str:
    told = [f"{each.number} on the {each.list_name}" for each in inside if each.number]
    return f"; entries inside it may decide otherwise: {', '.join(told)}" if told else ""


def details(found: Explanation) -> list[str]:
    """Return the details as lines of text."""
    said = [line for each in found.filters for line in _of_filter(each)]
    said += _of_covers(found.covers) + [line for each in found.inside for line in _of_inside(each)]
    return [*said, *_of_boot(found.at_boot), *(f"note: {note}" for note in found.notes)]


def as_dict(found: Explanation) -> dict[str, Any]:
    """Return an explanation as RETURN of the module xdp_facts describes it."""
    ip = addresses.display(found.key)
    return {"ip": ip, "verdict": found.verdict, "reason": sentence(found), "details": details(found)}


def _because(judged: Judged, verdict: Verdict) -> str:
    """Return the reason of a verdict, to follow "since"."""
    if verdict.entry is not None:
        entry = verdict.entry
        return f"the {entry.list_name} has {addresses.display(entry.key)} (owner {', '.join(sorted(entry.claims))})"
    options = judged.options
    if options is None or verdict.reason in (NOT_ATTACHED, OTHER_LISTS):
        return {
            NOT_ATTACHED: "the filter is not attached",
            OTHER_LISTS: "the filter reads other lists than those that are shown: run xdp_filter, which puts that right",
            NOT_NOTED: "nothing says with which options the filter was attached: run xdp_filter, which notes them",
        }[verdict.reason]
    if verdict.reason == "ratelimit":
        return f"it sent more than {options.ratelimit_pps} packets in one second, and is blocked for {judged.blocked_for} s more"
    if verdict.reason == "type":
        return "no entry decides, and policy and rate limit leave this ping alone"
    limit = f", as long as its source sends no more than {options.ratelimit_pps} packets in one second"
    limited = limit if options.ratelimit_pps and verdict.verdict == PASS else ""
    return f"no entry decides, and policy={options.policy} applies{limited}"


# Filters


def _of_filter(judged: Judged) -> list[str]:
    head = f"filter {judged.name} ({judged.mode})"
    if judged.options is None or judged.source.reason in (NOT_ATTACHED, OTHER_LISTS):
        return [f"{head}: {_DONE[judged.source.verdict]}, since {_because(judged, judged.source)}"]
    sides = {schema.SOURCE: judged.source, schema.DESTINATION: judged.destination}
    first = judged.main_side
    verdicts = (
        f"pings {_PREPOSITIONS[side]} it: {_DONE[sides[side].verdict]}, since {_because(judged, sides[side])}"
        for side in (first, 1 - first)
    )
    return [head, *(f"    {line}" for line in (*verdicts, *_of_options(judged)))]


def _of_options(judged: Judged) -> list[str]:
    options = judged.options
    if options is None:
        return []
    types = ", ".join(options.icmp_types)
    others = "" if types == "all" else "; other types pass"
    monitor = ["monitor=true: drops nothing, and counts as would_drop what it would drop"] if options.monitor else []
    return [
        *monitor,
        f"what no entry decides: policy={options.policy} for icmp_types={types}{others}",
        _limit(judged, options.ratelimit_pps, options.ratelimit_block_time),
        f"protect={str(options.protect).lower()}: path MTU discovery and neighbour discovery "
        + ("pass even for what is blocked" if options.protect else "are judged like other ICMP"),
        f"strict={str(options.strict).lower()}: frames that cannot be classified "
        + ("are judged like pings" if options.strict else "pass"),
    ]


def _limit(judged: Judged, pps: int, block_time: int) -> str:
    if not pps:
        return "rate limit: none"
    now = {None: "", 0: "; it is not blocked now"}.get(
        judged.blocked_for, f"; it is blocked for {judged.blocked_for} s more"
    )
    return f"rate limit: more than {pps} packets in one second block a source for {block_time} s{now}"


# Entries


def _of_covers(covers: list[Listed]) -> list[str]:
    if not covers:
        return ["entries that cover it: none"]
    return [
        "entries that cover it, in the order in which they are asked:",
        *(f"    {_described(each)}" for each in covers),
    ]


def _of_inside(inside: Inside) -> list[str]:
    if not inside.number:
        return [f"entries of the {inside.list_name} inside it: none"]
    more = inside.number - len(inside.shown)
    rest = [f"    and {more} more"] if more else []
    head = f"entries of the {inside.list_name} inside it: {inside.number}"
    return [head, *(f"    {_described(each)}" for each in inside.shown), *rest]


def _described(entry: Listed) -> str:
    valid = validity(entry.untils)
    since = "" if entry.since is None else f", since {durations.iso(durations.from_boot(entry.since))}"
    ends = "" if valid.seconds_left is None else f", ends in {valid.seconds_left} s ({_end(entry)})"
    seen = f", last seen {moment(entry.counts.last_seen)}" if entry.counts.last_seen else ""
    owners = ", ".join(
        owner + (f": {claim.comment}" if claim.comment else "") for owner, claim in sorted(entry.claims.items())
    )
    counted = f"{entry.counts.packets} packets, {entry.counts.bytes} bytes"
    return f"{entry.list_name} {addresses.display(entry.key)} direction={valid.direction}{since}{ends}, {counted}{seen} ({owners})"


def _end(entry: Listed) -> str:
    return durations.iso(durations.from_boot(max(until for until in entry.untils if until != schema.FOREVER)))


# The boot


def _of_boot(found: AtBoot) -> list[str]:
    if not found.restores and not found.kept:
        return ["at boot: this host restores nothing", *found.faults]
    said = [*map(_comes_back, found.kept), *map(_passes, found.passing)]
    same = all(each.present for each in found.kept) and not found.passing
    head = "at boot, as now:" if same else "at boot, other than now:"
    return [head if said else "at boot: nothing that covers it", *said, *found.faults]


def _comes_back(kept: Kept) -> str:
    left = "" if kept.seconds_left is None else f" for {kept.seconds_left} s more"
    source = f", from {kept.source}" if kept.source else ""
    differs = "" if kept.present else ": it is not there now"
    return (
        f"    {addresses.display(kept.key)} comes back on the {kept.list_name} direction={kept.direction}{left} "
        f"(owner {kept.owner}{source}){differs}"
    )


def _passes(passing: Passing) -> str:
    return f"    {addresses.display(passing.key)} on the {passing.list_name} does not come back (owner {passing.owner})"
