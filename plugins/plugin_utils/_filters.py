# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that the role's variables ask for, and the mistakes in these variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible.module_utils.common.validation import check_type_bool, check_type_int

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError, did_you_mean
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import OPTIONS, FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._variables import quoted_item, words

#: The keys of an item of pingkiller_filters. With the role's prefix, each is also a variable for all filters of a host.
FILTER_KEYS = ("interfaces", *FilterOptions._fields, "force")
#: The ICMP types of a host's answers to a traceroute. It sends them for little else.
TRACEROUTE_TYPES = ["time-exceeded", "destination-unreachable/port"]


_LIST_KEYS = ("interfaces", "icmp_types", "trace_exclude")
_EXAMPLE = "{interfaces: [eth0], hook: tc_egress, policy: drop}"
_OFFERED = 30  #: interfaces in a message

#: A filter in the role: a value for each of FILTER_KEYS.
Filter = dict[str, Any]


class Asked(NamedTuple):
    """The variables that say which filters a host should have."""

    host_wide: Filter  #: the variables for all filters of the host
    items: Any  #: pingkiller_filters: a list of mappings, unless the user made a mistake
    hidden: bool  #: pingkiller_hide_from_traceroute


def filters(asked: Asked) -> list[Filter]:
    """Return the filters for a host. The values of an item replace those of the host-wide variables.

    To hide from traceroute, the same interfaces get one more filter, on outgoing packets.
    """
    host_wide, items, hidden = asked
    found = [{**host_wide, **item} for item in items or [{}]]
    found = [_without_idle(each, item) for each, item in zip(found, items)] or found
    found = [{**each, **{name: words(each[name]) for name in _LIST_KEYS}} for each in found]
    hiding = {**FilterOptions().as_dict(), "hook": schema.TC_EGRESS, "policy": "drop", "icmp_types": TRACEROUTE_TYPES}
    hiding.update(forwarded=False, strict=host_wide["strict"], monitor=host_wide["monitor"], force=False)
    distinct = {tuple(each["interfaces"]) for each in found} if hidden else ()
    return found + [{**hiding, "interfaces": list(interfaces)} for interfaces in sorted(distinct)]


def _without_idle(given: Filter, item: Filter) -> Filter:
    """Reset host-wide options that have no effect on a filter to their defaults, to avoid a warning about them."""
    defaults = FilterOptions()
    chosen = defaults._replace(
        hook=given["hook"], events=given["events"], ratelimit_pps=str(given["ratelimit_pps"]) != "0"
    )
    idle = chosen.idle(name for name in OPTIONS if name not in item)
    return {**given, **{name: getattr(defaults, name) for name in idle}}


def filter_faults(asked: Asked, host: str) -> Iterator[str]:
    """Yield a sentence for each mistake in the variables that say which filters a host should have."""
    items = asked.items
    where = f"pingkiller_filters of {host}"
    if not isinstance(items, (list, tuple)):
        yield f"{where} is {quoted_item(items)}, not a list: write a list of mappings like {_EXAMPLE}."
        return
    faults = [f"In {where}, {quoted_item(item)} {fault}." for item in items if (fault := _item_fault(item))]
    yield from faults
    if faults:
        return
    found = filters(asked._replace(hidden=False))
    faults = [(item, fault) for each, item in zip(found, items or [{}]) if (fault := _option_fault(each))]
    for item, fault in faults:
        yield f"In {where}, {quoted_item(item)}: {fault}." if items else f"On {host}, pingkiller_{fault}."
    if not faults:
        yield from _clashes(found, host, hidden=asked.hidden)


def _item_fault(item: object) -> str:
    if not isinstance(item, dict):
        return f"is no mapping: write one like {_EXAMPLE}"
    for key in item:
        if key not in FILTER_KEYS:
            return f"has the key {key}{did_you_mean(str(key), FILTER_KEYS)}: the keys are {', '.join(FILTER_KEYS)}"
    if not isinstance(item.get("interfaces"), (str, list, tuple, type(None))):
        return "has interfaces that are no list: write [eth0]"
    return ""


def _option_fault(given: Filter) -> str:
    """Return the module's message about the options, which begins with an option's name; empty if they are fine."""
    try:
        _check_options(given)
    except (PingKillerError, TypeError, ValueError) as error:
        return str(error)
    return ""


def _check_options(given: Filter) -> None:
    """Check options as the module does.

    Raises PingKillerError, TypeError or ValueError. The message begins with the name of the option.
    """
    values = {}
    for name, default in FilterOptions()._asdict().items():
        convert = {bool: check_type_bool, int: check_type_int, str: str, tuple: tuple}[type(default)]
        try:
            values[name] = given[name] if name == "ratelimit_block_time" else convert(given[name])
        except (TypeError, ValueError):
            kind = {bool: "true or false", int: "a whole number"}.get(type(default), "text")
            raise TypeError(f"{name}={given[name]!r} is not of the right kind: write {kind}") from None
    FilterOptions.checked(**values)


def _clashes(found: list[Filter], host: str, *, hidden: bool) -> Iterator[str]:
    """Yield a sentence for each pair of filters that would replace each other in every run."""
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
                f"pingkiller_hide_from_traceroute of {host} takes the hook tc_egress, which another filter has, too: choose "
                f"another hook, or add {' and '.join(TRACEROUTE_TYPES)} to the icmp_types of that filter yourself."
            )


def _doubles(found: list[Filter], own_names: dict[str, str], host: str) -> Iterator[str]:
    """Yield a sentence for each hook on which two filters name the same interface. One filter may name it twice."""
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
                f"have one on each hook, so choose another hook, or make one filter of them."
            )


def _called(own: str, names: set[str]) -> str:
    return own if names == {own} else f"{own} (named {' and '.join(sorted(names))})"


def interface_faults(
    found: list[Filter], host: str, *, existing: list[str], own_names: dict[str, str]
) -> Iterator[str]:
    """Yield a sentence for each mistake in the interfaces of filters.

    ``existing`` has the names of the host's interfaces; ``own_names`` maps their alternative names to their own names.
    """
    named = {interface for each in found for interface in each["interfaces"]}
    absent = sorted(named.difference(existing, own_names))
    if absent:
        usable = sorted({*existing} - {"lo"})  # nothing arrives on lo
        offered = ", ".join(usable[:_OFFERED]) + (", ..." if usable[_OFFERED:] else "")
        way_out = f"name some of {offered}" if usable else "it has none that a filter would be of use on"
        yield (
            f"pingkiller_interfaces or pingkiller_filters names {', '.join(absent)}, which {host} does not have: {way_out}."
        )
    yield from _doubles(found, own_names, host)
