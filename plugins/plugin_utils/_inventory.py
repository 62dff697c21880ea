# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role's variables ask for, and what is wrong with them: judged on the controller, before a host is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ansible.module_utils.common.validation import check_type_bool, check_type_int, check_type_list

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations, errors
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError, did_you_mean
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import (
    OPTIONS,
    FilterOptions,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import quoted

PREFIX = "pingkiller_"
LISTS = schema.LISTS
_OF_TRACE = "probe duration by top latency name limit pid user comm unit cgroup min_us small_bytes slow_ms max_overhead"
_OF_PLAYBOOKS = {"pingkiller_hosts", *(f"pingkiller_trace_{option}" for option in _OF_TRACE.split())}
_LIST = re.compile(r"pingkiller_(allow|block)list(_.+)?")
_ITEM_KEYS = ("ip", "direction", "ttl", "comment")
_LONGEST_COMMENT = 4000  #: characters: a list file with a line of many more is refused


def list_variables(names: Iterable[str], which: str = "") -> list[str]:
    """The variables that one list is merged from, or both, in the order of their names."""
    return sorted(name for name in names if _LIST.fullmatch(name) and name.startswith(PREFIX + which))


def _quoted(value: object) -> str:
    """An item has several values, of which one has to see which is meant."""
    return quoted(value, 200)


def at_most_ten(faults: Iterable[str]) -> list[str]:
    """The first ten, and how many there are besides."""
    faults = list(faults)
    return faults[:10] + ([f"And {len(faults) - 10} more."] if faults[10:] else [])


def name_faults(names: Iterable[str], known: Iterable[str], host: str) -> Iterator[str]:
    """Of variables that begin as the role's do and that nobody reads, as sentences."""
    known = {*known, *_OF_PLAYBOOKS}
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known and not _LIST.fullmatch(name):
            meant = did_you_mean(name[len(PREFIX) :], (each[len(PREFIX) :] for each in known), PREFIX)
            yield (
                f"{name} of {host} is no variable of this role{meant}: correct it, or if it is one of your own, "
                f"name it in pingkiller_extra_variables."
            )


def merged_entries(variables: Iterable[tuple[str, object]], host: str) -> dict[str, list[str]]:
    """What a list is merged from, as pairs of a variable's name and its items: ``lines`` of a list file, and ``problems``.

    An item that is wrong is a sentence among both. No reader takes one for an entry, so that a file with it is refused, and is
    not taken for a list that lacks something.
    """
    lines: list[str] = []
    problems: list[str] = []
    for name, items in variables:
        for line, problem in _judged(name, items, f"{name} of {host}"):
            lines.append(line or errors.printable(problem))
            if problem:
                problems.append(problem)
    return {"lines": lines, "problems": at_most_ten(problems)}


def _judged(name: str, items: object, where: str) -> Iterator[tuple[str, str]]:
    """Of each item its line, or the sentence that says what is wrong with it."""
    if not isinstance(items, (list, tuple)):
        yield "", f"{where} is {_quoted(items)}, not a list: write a list, [] for an empty one."
        return
    for item in items:
        try:
            yield _line(name, item if isinstance(item, dict) else {"ip": item}), ""
        except ValueError as error:
            yield "", f"In {where}, {_quoted(item)} {error}."


def _line(name: str, entry: dict) -> str:
    """The line of an item, behind which it says where it comes from. Raises ValueError with a reason that can follow the item.

    Lines that name the same address are merged where they are read, since only there it is known which are the same.
    """
    for key in entry:
        if key not in _ITEM_KEYS:
            raise ValueError(
                f"has the key {key}{did_you_mean(str(key), _ITEM_KEYS)}: the only keys are ip, direction, ttl and comment"
            )
    if "ip" not in entry:
        raise ValueError("has no ip: write {ip: 203.0.113.7}, with direction, ttl and comment if wanted")
    words = [_address(entry["ip"]), *_options(entry)]
    why = errors.shortened(" ".join(str(entry.get("comment") or "").split()), _LONGEST_COMMENT)
    return f"{' '.join(words)}  # {name}{why and ': '}{why}"


def _address(ip: object) -> str:
    if isinstance(ip, (int, float)) and not isinstance(ip, bool):
        raise ValueError("is a number to YAML: put the address in quotes")
    if not isinstance(ip, str):
        raise ValueError("is no address: write it like 203.0.113.7 or 2001:db8:bad::/48")
    addresses.parse_entry(ip)
    return ip


def _options(entry: dict) -> Iterator[str]:
    """The words behind the address. Blank is as usual, as it is for the modules."""
    direction, ttl = entry.get("direction"), entry.get("ttl")
    if direction is not None and str(direction) not in schema.DIRECTIONS:
        meant = did_you_mean(str(direction), schema.DIRECTIONS)
        raise ValueError(f"has the direction {direction}{meant}: write src, dst or both")
    if direction not in (None, "src"):
        yield f"direction={direction}"
    if ttl is not None:
        try:
            durations.parse(ttl)
        except ValueError as error:
            raise ValueError(f"has the ttl {ttl}, which {error}") from None
        yield f"ttl={str(ttl).strip()}"  # as it was judged


# Filters

FILTER_KEYS = (
    "interfaces",
    *FilterOptions._fields,
    "force",
)  #: each is a variable of the role, and a key of pingkiller_filters
#: What a host answers to the probes of a traceroute, and to little else.
TRACEROUTE_TYPES = ["time-exceeded", "destination-unreachable/port"]


def filters(host_wide: dict, items: list[dict], hidden: bool) -> list[dict]:
    """The filters to put on a host, by FILTER_KEYS: what holds for the whole host, and over it what each item says.

    To hide from traceroute is a filter more, on what leaves by the same interfaces.
    """
    found = [{**host_wide, **item} for item in items or [{}]]
    found = [_without_idle(each, item) for each, item in zip(found, items)] or found
    found = [{**each, **{name: words(each[name]) for name in _LIST_KEYS}} for each in found]
    hiding = {**FilterOptions().as_dict(), "hook": schema.TC_EGRESS, "policy": "drop", "icmp_types": TRACEROUTE_TYPES}
    hiding.update(forwarded=False, strict=host_wide["strict"], monitor=host_wide["monitor"], force=False)
    distinct = {tuple(each["interfaces"]) for each in found} if hidden else ()
    return found + [{**hiding, "interfaces": list(interfaces)} for interfaces in sorted(distinct)]


def _without_idle(given: dict, item: dict) -> dict:
    """What an item takes from the host and has no use for is not worth a warning."""
    defaults = FilterOptions()
    chosen = defaults._replace(
        hook=given["hook"], events=given["events"], ratelimit_pps=str(given["ratelimit_pps"]) != "0"
    )
    idle = chosen.idle(name for name in OPTIONS if name not in item)
    return {**given, **{name: getattr(defaults, name) for name in idle}}


_LIST_KEYS = ("interfaces", "icmp_types", "trace_exclude")


def words(given: object) -> list[str]:
    """A list, also of text with commas, as inventories in the INI format have it; blank is empty."""
    return [word.strip() if isinstance(word, str) else word for word in check_type_list(given or [])]


def filter_faults(host_wide: dict, items: object, hidden: bool, host: str) -> Iterator[str]:
    """Of the variables that say which filters a host is to have, as sentences."""
    where = f"pingkiller_filters of {host}"
    if not isinstance(items, (list, tuple)):
        yield f"{where} is {_quoted(items)}, not a list: write a list of mappings like {_EXAMPLE}."
        return
    faults = [f"In {where}, {_quoted(item)} {fault}." for item in items if (fault := _item_fault(item))]
    yield from faults
    if faults:
        return
    found = filters(host_wide, items, False)
    faults = [(item, fault) for each, item in zip(found, items or [{}]) if (fault := _option_fault(each))]
    for item, fault in faults:
        yield f"In {where}, {_quoted(item)}: {fault}." if items else f"On {host}, pingkiller_{fault}."
    if not faults:
        yield from _clashes(found, hidden, host)


_EXAMPLE = "{interfaces: [eth0], hook: tc_egress, policy: drop}"


def _item_fault(item: object) -> str:
    if not isinstance(item, dict):
        return f"is no mapping: write one like {_EXAMPLE}"
    for key in item:
        if key not in FILTER_KEYS:
            return f"has the key {key}{did_you_mean(str(key), FILTER_KEYS)}: the keys are {', '.join(FILTER_KEYS)}"
    if not isinstance(item.get("interfaces"), (str, list, tuple, type(None))):
        return "has interfaces that are no list: write [eth0]"
    return ""


def _option_fault(given: dict) -> str:
    """What the module would say, with the option at the beginning; empty if nothing is wrong."""
    try:
        _check_options(given)
    except (PingKillerError, TypeError, ValueError) as error:
        return str(error)
    return ""


def _check_options(given: dict) -> None:
    """As the module does. Raises PingKillerError, TypeError or ValueError with the option at the beginning."""
    values = {}
    for name, default in FilterOptions()._asdict().items():
        convert = {bool: check_type_bool, int: check_type_int, str: str, tuple: tuple}[type(default)]
        try:
            values[name] = given[name] if name == "ratelimit_block_time" else convert(given[name])
        except (TypeError, ValueError):
            kind = {bool: "true or false", int: "a whole number"}.get(type(default), "text")
            raise TypeError(f"{name}={given[name]!r} is not of the right kind: write {kind}") from None
    FilterOptions.checked(**values)


def _clashes(found: list[dict], hidden: bool, host: str) -> Iterator[str]:
    """Where two filters would take turns in one place, with each run."""
    yield from _doubles(found, {}, host)
    for hook in sorted({each["hook"] for each in found}):
        named = [each["interfaces"] for each in found if each["hook"] == hook]
        if len(named) > 1 and [] in named:
            yield (
                f"pingkiller_filters of {host} has several filters with the hook {hook}, of which one names no interface and "
                f"would be on those of the default routes: name the interfaces of each."
            )
        if hidden and hook == schema.TC_EGRESS:
            yield (
                f"pingkiller_hide_from_traceroute of {host} takes the hook tc_egress, which is another filter's, too: choose "
                f"another hook, or add {' and '.join(TRACEROUTE_TYPES)} to the icmp_types of that filter yourself."
            )


def _doubles(found: list[dict], own_names: dict[str, str], host: str) -> Iterator[str]:
    """Where two filters with one hook name the same interface. Within one filter it may be named as often as one likes."""
    for hook in sorted({each["hook"] for each in found}):
        called: dict[str, list[set[str]]] = {}
        for each in found:
            names = each["interfaces"] if each["hook"] == hook else ()
            for own in {own_names.get(name, name) for name in names}:
                called.setdefault(own, []).append({name for name in names if own_names.get(name, name) == own})
        twice = [_called(own, set().union(*by)) for own, by in sorted(called.items()) if len(by) > 1]
        if twice:
            yield (
                f"pingkiller_filters of {host} has two filters with the hook {hook} on {', '.join(twice)}: an interface can "
                f"have one on each hook, so choose another hook, or make one of them."
            )


def _called(own: str, names: set[str]) -> str:
    return own if names == {own} else f"{own} (named {' and '.join(sorted(names))})"


_OFFERED = 30  #: interfaces


def interface_faults(found: list[dict], existing: list[str], own_names: dict[str, str], host: str) -> Iterator[str]:
    """Of filters on interfaces, given those that the host has and the own name of each alternative one, as sentences."""
    named = {interface for each in found for interface in each["interfaces"]}
    absent = sorted(named.difference(existing, own_names))
    if absent:
        usable = sorted({*existing} - {"lo"})  # which nothing arrives on
        offered = ", ".join(usable[:_OFFERED]) + (", ..." if usable[_OFFERED:] else "")
        way_out = f"name some of {offered}" if usable else "it has none that a filter would be of use on"
        yield (
            f"pingkiller_interfaces or pingkiller_filters names {', '.join(absent)}, which {host} does not have: {way_out}."
        )
    yield from _doubles(found, own_names, host)
