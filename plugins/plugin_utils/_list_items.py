# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the items of the variables that the lists are merged from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import did_you_mean
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._variables import quoted_item

_ITEM_KEYS = ("ip", "direction", "ttl", "comment")


def list_faults(name: str, items: object, host: str) -> Iterator[str]:
    """Yield a sentence for each mistake in a variable with entries for a list."""
    where = f"{name} of {host}"
    if not isinstance(items, (list, tuple)):
        yield f"{where} is {quoted_item(items)}, not a list: write a list, [] for an empty one."
        return
    for item in items:
        fault = _address_fault(item) if isinstance(item, str) else _entry_fault(item)
        if fault:
            yield f"In {where}, {quoted_item(item)} {fault}."


def _entry_fault(item: object) -> str:
    """Return what is wrong with an item, in words that follow the item; empty if it is fine."""
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


def _ttl_fault(entry: dict[str, Any]) -> str:
    ttl = str(entry.get("ttl", "1s"))
    try:
        durations.parse("" if re.search(r"\s", ttl) else ttl)  # a list file has no blanks in it
    except ValueError as error:
        return f"has the ttl {ttl}, which {error}"
    return ""
