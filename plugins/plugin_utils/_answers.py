# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts say, judged on the controller: one that was taken over says what it likes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import errors
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import HOOKS

_PREFIX = "pingkiller_"
_VERSION = r"\d{1,5}\.\d{1,5}"
_INTERFACES = ("interfaces", "alternative_names")
#: What files/probe.sh says of every host, each with what it looks like: as a version, say, it is compared.
_FORMS = {
    **dict.fromkeys(_INTERFACES, ".*"),
    **dict.fromkeys(("system", "distribution", "bcc", "init", "udev", "unwritable", "network_mount"), ".*"),
    **dict.fromkeys(("directory", "allowlist", "blocklist", "command", "service", "instance", "rules"), ".*"),
    **dict.fromkeys(("python", "system_python", "bcc_python"), f"({_VERSION})?"),
    "kernel": rf"{_VERSION}([^\d].*)?|\d{{1,5}}",
    "uid": r"\d{1,10}",
    "enabled": ".*",
}
_LONGEST_LOOK = 4 << 20  #: characters: more than the names of all interfaces that a kernel takes
_LONGEST_VALUE = 300


def printable(text: str, length: int) -> str:
    """What a terminal shows as it is written, and no more than that much of it."""
    shown = errors.printable(errors.shortened(text, length))
    return shown if len(shown) <= length + 3 else shown[:length] + "..."


def quoted(value: object, length: int = 60) -> str:
    """As much of a value as a sentence shows, as JSON."""
    return printable(json.dumps(value, default=str), length)


def shown(message: str) -> str:
    """What a user reads of what is wrong. Names and values of variables are in it, which may be facts, and so a host's words."""
    return printable(message, errors.SCREEN)


def look(told: str) -> dict[str, str]:
    """What files/probe.sh has said of a host, by name; or, if it has not, only ``fault``, which says what is wrong."""
    if len(told) > _LONGEST_LOOK:
        return {"fault": f"{len(told)} characters, which is more than a host can have to say"}
    found = {}
    for line in told.split("\n"):
        name, equals, value = line.rstrip().partition("=")
        if equals and name.startswith(_PREFIX):
            name = name[len(_PREFIX) :]
            length = _LONGEST_LOOK if name in _INTERFACES else _LONGEST_VALUE
            found[printable(name, _LONGEST_VALUE)] = printable(value, length)
    missing = [name for name in _FORMS if name not in found]
    if missing:
        return {"fault": f"nothing of its {', '.join(missing)}" if found else "nothing"}
    for name, form in _FORMS.items():
        if not re.fullmatch(form, found[name], re.ASCII):
            return {"fault": f"{name}={json.dumps(found[name])}, which makes no sense"}
    return found


_FILTER = re.compile(rf"[^\s/]{{1,128}}(/({'|'.join(HOOKS)}))?")
_MOST_FILTERS = 10000
#: What the role makes something of, of the module xdp_filter: its type.
_ANSWERED = {"filters": dict, "owned": list, "removed": list, "max_entries": int}


def result(answer: dict, host: str, facts: tuple[str, ...] = ()) -> dict:
    """What a module says, with texts as a terminal can be given them, and with no facts of the host but these."""
    try:
        answer = {name: _shown_value(value, name) for name, value in answer.items()}
    except RecursionError:
        return not_believed(host, "lists of lists without end")
    if answer.get("failed"):
        answer.pop("exception", None)  # Ansible would show the message from there
        answer["msg"] = str(answer.get("msg", ""))
    told = answer.pop("ansible_facts", None)  # they become variables of the host
    if facts and isinstance(told, dict):
        answer["ansible_facts"] = {name: told[name] for name in facts if name in told}
    return answer


def filter_result(answer: dict, expected: Sequence[str], host: str) -> dict:
    """The same of the module xdp_filter, if it is a result that the module can have; else one sentence."""
    answer = result(answer, host)
    if answer.get("failed"):
        return answer
    for name in expected:
        fault = _fault(answer[name], _ANSWERED[name]) if name in answer else "missing"
        if fault:
            return not_believed(host, f"{name} is {fault}")
    return answer


def not_believed(host: str, fault: str) -> dict:
    """The result of a task whose module cannot have said that."""
    return {
        "failed": True,
        "msg": f"What {host} answers is not what the module says: {fault}. Nothing of it was believed: find out what runs in "
        f"the module's place there, before you run this again.",
    }


def _shown_value(value: object, name: str = ""):
    """The same with every text as a terminal can be given it. Differences are shown line by line."""
    if isinstance(value, dict):
        return {printable(str(key), _LONGEST_VALUE): _shown_value(each, name) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown_value(each, name) for each in value]
    if not isinstance(value, str):
        return value
    return "\n".join(map(errors.on_screen, value.split("\n"))) if name == "diff" else errors.on_screen(value)


def _fault(value: object, kind: type) -> str:
    """What is wrong with a value, in words that can follow it; empty if nothing is."""
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


_KINDS = {dict: "list of filters", list: "list of filters", int: "number"}
