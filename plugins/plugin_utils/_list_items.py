# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the items of the variables that the lists are merged from, and write their lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations, errors
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses, comments
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import did_you_mean
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._variables import at_most_ten, quoted_item

_ITEM_KEYS = ("ip", "direction", "ttl", "comment")


def merged_entries(variables: Iterable[tuple[str, object]], host: str) -> dict[str, list[str]]:
    """Merge variables, given as pairs of name and items. Returns ``lines`` of a list file, and ``problems``.

    A wrong item gives a sentence in both. No reader accepts the sentence as an entry. So a file with a wrong item is
    refused, and is never read as a shorter list.
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
    """Yield the line of each item, or the sentence about what is wrong with it."""
    if not isinstance(items, (list, tuple)):
        yield "", f"{where} is {quoted_item(items)}, not a list: write a list, [] for an empty one."
        return
    for item in items:
        try:
            yield _line(name, item if isinstance(item, dict) else {"ip": item}), ""
        except ValueError as error:
            yield "", f"In {where}, {quoted_item(item)} {error}."


def _line(name: str, entry: dict) -> str:
    """Return the line of an item, with its origin behind the #. Raises ValueError; its text can follow the item.

    A comment is never wrong, whatever it contains: it is made into one that the list can hold. Lines for the same address are
    merged by the reader, which alone knows which addresses are the same.
    """
    for key in entry:
        if key not in _ITEM_KEYS:
            raise ValueError(
                f"has the key {key}{did_you_mean(str(key), _ITEM_KEYS)}: the only keys are ip, direction, ttl and comment"
            )
    if "ip" not in entry:
        raise ValueError("has no ip: write {ip: 203.0.113.7}, with direction, ttl and comment if wanted")
    words = [_address(entry["ip"]), *_options(entry)]
    comment = comments.option(comments.made_of(str(entry.get("comment") or "")))
    return f"{' '.join(words)}{comment}  # {name}"


def _address(ip: object) -> str:
    if isinstance(ip, (int, float)) and not isinstance(ip, bool):
        raise ValueError("is a number to YAML: put the address in quotes")
    if not isinstance(ip, str):
        raise ValueError("is no address: write it like 203.0.113.7 or 2001:db8:bad::/48")
    addresses.parse_entry(ip)
    return ip


def _options(entry: dict) -> Iterator[str]:
    """Yield the words after the address. A blank value means the default, as in the modules."""
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
        yield f"ttl={str(ttl).strip()}"  # in the form that was checked
