# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a deploy would change of the filters of a host, from the results that it would have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..filters.options import OPTIONS, written

Result = Mapping[str, Any]  #: as ``filters.predict`` returns it


def of_result(result: Result) -> list[str]:
    """Return a sentence for each difference. At least one if the result says that something changes."""
    before, after = result["diff"]["before"], result["diff"]["after"]
    found = []
    if before["max_entries"] not in (None, after["max_entries"]):
        found.append(f"max_entries is {before['max_entries']}, the inventory wants {after['max_entries']}")
    for name, wanted in after["filters"].items():
        found += [f"filter {name}: {said}" for said in _differences(before["filters"][name], wanted)]
    which = ", ".join(result["filters"])
    if not found and before.get("at_boot") != after.get("at_boot"):
        found.append(f"filter {which}: what a boot restores of it is not what the inventory wants")
    if not found and before.get("owners") != after.get("owners"):
        found.append(f"filter {which}: the inventory wants it, but does not own it yet")
    if not found and result["changed"]:
        found.append(f"filter {which}: a deploy attaches it anew, or completes an interrupted change")
    return found


def _differences(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    if "foreign_program" in before:
        yield "another XDP program is in its place, which a deploy replaces"
        return
    if not before:
        yield "is not attached"
        return
    different = [name for name in OPTIONS if name in wanted and before.get(name) != wanted[name]]
    for name in different:
        now = written(before[name]) if name in before else "not known"
        yield f"{name} is {now}, the inventory wants {written(wanted[name])}"
    if different:
        return
    if before["build_id"] != wanted["build_id"]:
        yield "its program is of another version of the collection, of BCC or of the kernel"
    elif "put_back_later" in before and "put_back_later" not in wanted:
        yield "a deploy ends what pingkiller top has changed for a while"


def of_removal(result: Result) -> list[str]:
    """Return a sentence for each thing that a removal would remove."""
    found = [f"filter {name}: is still there, the inventory wants none" for name in result["removed"]]
    if not found and result["changed"]:
        found.append("lists, pins or notes are still there, the inventory wants none")
    return found
