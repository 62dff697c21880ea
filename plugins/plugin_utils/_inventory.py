# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role's variables ask for, and what is wrong with them: judged on the controller, before a host is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ansible.module_utils.common.validation import check_type_bool, check_type_int, check_type_list

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError, did_you_mean
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import (
    OF_USE_WITH,
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


def list_variables(names: Iterable[str], which: str = "") -> list[str]:
    """The variables that one list is merged from, or both, in the order of their names."""
    return sorted(name for name in names if _LIST.fullmatch(name) and name.startswith(PREFIX + which))


def _quoted(value: object) -> str:
    """An item has several values, of which one has to see which is meant."""
    return quoted(value, 200)


def at_most_ten(faults: list[str]) -> list[str]:
    """The first ten, and how many there are besides."""
    return faults[:10] + ([f"And {len(faults) - 10} more."] if faults[10:] else [])


def name_faults(names: Iterable[str], known: Iterable[str], host: str) -> Iterator[str]:
    """Of variables that begin as the role's do and that nobody reads, as sentences."""
    known = {*known, *_OF_PLAYBOOKS}
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known and not _LIST.fullmatch(name):
            meant = did_you_mean(name[len(PREFIX) :], (each[len(PREFIX) :] for each in known), prefix=PREFIX)
            yield (
                f"{name} of {host} is no variable of this role{meant}: correct it, or if it is one of your own, "
                f"name it in pingkiller_extra_variables."
            )


def list_faults(name: str, items: object, host: str) -> Iterator[str]:
    """Of a variable with entries for a list, as sentences."""
    where = f"{name} of {host}"
    if not isinstance(items, (list, tuple)):
        yield f"{where} is {_quoted(items)}, not a list: write a list, [] for an empty one."
        return
    for item in items:
        fault = _address_fault(item) if isinstance(item, str) else _entry_fault(item)
        if fault:
            yield f"In {where}, {_quoted(item)} {fault}."


def _entry_fault(item: object) -> str:
    """What is wrong with an item, in words that can follow it; empty if nothing is."""
    entry = item if isinstance(item, dict) else {"ip": item}
    for key in entry:
        if key not in _ITEM_KEYS:
            return f"has the key {key}{did_you_mean(str(key), _ITEM_KEYS)}: the only keys are ip, direction, ttl and comment"
    if "ip" not in entry:
        return "has no ip: write {ip: 203.0.113.7}, with direction, ttl and comment if wanted"
    direction = str(entry.get("direction", "src"))
    if direction not in schema.DIRECTIONS:
        return f"has the direction {direction}{did_you_mean(direction, schema.DIRECTIONS)}: write src, dst or both"
    return _address_fault(entry["ip"]) or _ttl_fault(entry)


def _address_fault(ip: object) -> str:
    if isinstance(ip, (int, float)) and not isinstance(ip, bool):
        return "is a number to YAML: put the address in quotes"
    if not isinstance(ip, str):
        return "is no address: write it like 203.0.113.7 or 2001:db8:bad::/48"
    try:
        addresses.parse_entry(ip)
    except ValueError as error:
        return str(error)
    return ""


def _ttl_fault(entry: dict) -> str:
    ttl = str(entry.get("ttl", "1s"))
    try:
        durations.parse("" if re.search(r"\s", ttl) else ttl)  # in a file, it is one word
    except ValueError as error:
        return f"has the ttl {ttl}, which {error}"
    return ""


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
    hiding = {**FilterOptions().as_dict(), "hook": "tc_egress", "policy": "drop", "icmp_types": TRACEROUTE_TYPES}
    hiding.update(forwarded=False, strict=host_wide["strict"], monitor=host_wide["monitor"], force=False)
    distinct = {tuple(each["interfaces"]) for each in found} if hidden else ()
    return found + [{**hiding, "interfaces": list(interfaces)} for interfaces in sorted(distinct)]


def _without_idle(given: dict, item: dict) -> dict:
    """What an item takes from the host and has no use for is not worth a warning."""
    defaults = FilterOptions()
    chosen = defaults._replace(
        hook=given["hook"], events=given["events"], ratelimit_pps=str(given["ratelimit_pps"]) != "0"
    )
    idle = [name for name, use in OF_USE_WITH.items() if name not in item and not use.holds(chosen)]
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
        if hidden and hook == "tc_egress":
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
