# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse what the role's probe printed on a host, without trusting it."""

from __future__ import annotations

import json
import re

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable

_PREFIX = "pingkiller_"
_VERSION = r"\d{1,5}\.\d{1,5}"
_INTERFACES = ("interfaces", "alternative_names")
#: The pattern of each fact that files/marks.sh and probe.sh print. All are required. Versions are compared later.
_FORMS = {
    **dict.fromkeys(_INTERFACES, ".*"),
    **dict.fromkeys(("system", "distribution", "bcc", "init", "udev", "unwritable", "network_mount"), ".*"),
    **dict.fromkeys(("directory", "allowlist", "blocklist", "command", "service", "instance", "rules"), ".*"),
    **dict.fromkeys(("python", "system_python", "bcc_python"), f"({_VERSION})?"),
    "kernel": rf"{_VERSION}([^\d].*)?|\d{{1,5}}",
    "uid": r"\d{1,10}",
    "enabled": ".*",
}
_LONGEST_LOOK = 4 << 20  #: characters; more than the names of all interfaces that a kernel allows
_LONGEST_VALUE = 300


def look(printed: str) -> dict[str, str]:
    """Return the facts that files/marks.sh and probe.sh printed, by name. If they make no sense, return only ``fault``, the reason."""
    if len(printed) > _LONGEST_LOOK:
        return {"fault": f"{len(printed)} characters, which is more than a host can have to say"}
    found = _facts(printed)
    missing = [name for name in _FORMS if name not in found]
    if missing:
        return {"fault": f"nothing of its {', '.join(missing)}" if found else "nothing"}
    for name, form in _FORMS.items():
        if not re.fullmatch(form, found[name], re.ASCII):
            return {"fault": f"{name}={json.dumps(found[name])}, which makes no sense"}
    return found


def _facts(printed: str) -> dict[str, str]:
    found = {}
    for line in printed.split("\n"):
        name, equals, value = line.rstrip().partition("=")
        if equals and name.startswith(_PREFIX):
            name = name[len(_PREFIX) :]
            length = _LONGEST_LOOK if name in _INTERFACES else _LONGEST_VALUE
            found[printable(name, _LONGEST_VALUE)] = printable(value, length)
    return found
