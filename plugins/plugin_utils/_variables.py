# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables in an inventory: which ones there are, and which names are mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ansible.module_utils.common.validation import check_type_list
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import did_you_mean
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import quoted

PREFIX = "pingkiller_"
_OF_TRACE = "probe duration by top latency name limit pid user comm unit cgroup min_us small_bytes slow_ms max_overhead"
_OF_STATUS = "pingkiller_address", "pingkiller_rows", "pingkiller_status_window", "pingkiller_status_details"
_OF_PLAYBOOKS = {
    "pingkiller_hosts",
    "pingkiller_report",
    *_OF_STATUS,
    *(f"pingkiller_trace_{option}" for option in _OF_TRACE.split()),
}
_LIST = re.compile(r"pingkiller_(allow|block)list(_.+)?")
_QUOTED = 200  #: characters; long enough to recognize an item with several values


def list_variables(names: Iterable[str], which: str = "") -> list[str]:
    """Return the names of the variables that one list (default: both lists) is merged from, in alphabetical order."""
    return sorted(name for name in names if _LIST.fullmatch(name) and name.startswith(PREFIX + which))


def name_faults(names: Iterable[str], known: Iterable[str], host: str) -> Iterator[str]:
    """Yield a sentence for each variable with the role's prefix that nothing uses."""
    known = {*known, *_OF_PLAYBOOKS}
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known and not _LIST.fullmatch(name):
            meant = did_you_mean(name[len(PREFIX) :], (each[len(PREFIX) :] for each in known), prefix=PREFIX)
            yield (
                f"{name} of {host} is no variable of this role{meant}: correct it, or if it is one of your own, "
                f"name it in pingkiller_extra_variables."
            )


def flag_faults(flags: Mapping[str, object], host: str) -> Iterator[str]:
    """Yield a sentence for each of these variables that is neither true nor false."""
    for name, value in flags.items():
        try:
            boolean(value)
        except TypeError:
            yield f"{name} of {host} is {quoted_item(value)}, which is neither true nor false: write one of them."


def words(given: object) -> list[str]:
    """Convert a value to a list. It may be text with commas, as in INI inventories; blank text gives an empty list."""
    return [word.strip() if isinstance(word, str) else word for word in check_type_list(given or [])]


def quoted_item(value: object) -> str:
    """Write an item of a variable for use in a sentence."""
    return quoted(value, _QUOTED)


def at_most_ten(faults: Iterable[str]) -> list[str]:
    """Return the first ten faults, and the number of others."""
    faults = list(faults)
    return faults[:10] + ([f"And {len(faults) - 10} more."] if faults[10:] else [])
