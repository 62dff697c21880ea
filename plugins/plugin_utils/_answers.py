# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the answers of modules on the controller. A compromised host may answer anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import errors
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import HOOKS
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable, quoted

_LONGEST_KEY = 300
_FILTER = re.compile(rf"[^\s/]{{1,128}}(/({'|'.join(HOOKS)}))?")
_MOST_FILTERS = 10000
#: The results of the module xdp_filter that the role uses, with their types.
_ANSWERED = {"filters": dict, "owned": list, "removed": list, "max_entries": int}
_KINDS = {dict: "list of filters", list: "list of filters", int: "number"}


def result(answer: dict[str, Any], host: str, facts: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the answer of a module. Makes all its texts safe to show, and drops all facts except the named ones."""
    try:
        answer = {name: _safe(value, name) for name, value in answer.items()}
    except RecursionError:
        return not_believed(host, "lists of lists without end")
    if answer.get("failed"):
        answer.pop("exception", None)  # Ansible would show the message in it
        answer["msg"] = str(answer.get("msg", ""))
    gathered = answer.pop("ansible_facts", None)  # facts become variables of the host
    if facts and isinstance(gathered, dict):
        answer["ansible_facts"] = {name: gathered[name] for name in facts if name in gathered}
    return answer


def filter_result(answer: dict[str, Any], expected: Sequence[str], host: str) -> dict[str, Any]:
    """Check the answer of the module xdp_filter. The task fails if an expected result is missing or makes no sense."""
    answer = result(answer, host)
    if answer.get("failed"):
        return answer
    for name in expected:
        fault = _fault(answer[name], _ANSWERED[name]) if name in answer else "missing"
        if fault:
            return not_believed(host, f"{name} is {fault}")
    return answer


def not_believed(host: str, fault: str) -> dict[str, Any]:
    """Return the result of a task whose module cannot have given this answer."""
    return {
        "failed": True,
        "msg": f"What {host} answers is not what the module says: {fault}. The answer was not used: find out what runs in "
        f"place of the module there before you run this again.",
    }


def _safe(value: object, name: str = "") -> Any:
    """Make every text in a value safe to show. Line ends stay only in diffs."""
    if isinstance(value, dict):
        return {printable(str(key), _LONGEST_KEY): _safe(each, name) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(each, name) for each in value]
    if not isinstance(value, str):
        return value
    return "\n".join(map(errors.on_screen, value.split("\n"))) if name == "diff" else errors.on_screen(value)


def _fault(value: Any, kind: type) -> str:
    """Return what is wrong with a value, in words that follow "is"; empty if it is fine."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return f"{quoted(value)}, which is no {_KINDS[kind]}"
    if kind is int:
        return ""
    if len(value) > _MOST_FILTERS:
        return f"a list of {len(value)} filters"
    for name in value:
        if not isinstance(name, str) or not _FILTER.fullmatch(name):
            return f"a list with {quoted(name)} in it, which is no filter"
        if kind is dict and not isinstance(value[name], dict):
            return f"{quoted(value[name])} for {name}, which says nothing of a filter"
    return ""
