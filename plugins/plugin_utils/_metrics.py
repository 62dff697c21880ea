# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables about metrics, and the mistakes in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._variables import quoted_item

#: The paths of directories that units can name without quoting.
DIRECTORY = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._-]+)+")
#: Seconds. The command takes a part of the first; the rule for metrics that are out of date allows twice the last.
SHORTEST, LONGEST = 5, 300


class Asked(NamedTuple):
    """The variables, as the user wrote them."""

    metrics: bool
    persist: bool
    directory: str
    interval: object


def seconds(interval: object) -> int:
    """Return the seconds between two writes. Raises ValueError with a reason that can follow the value."""
    found = durations.parse(interval)
    if not SHORTEST <= found <= LONGEST:
        raise ValueError(f"is out of range: write a duration from {SHORTEST}s to {LONGEST // 60}m, as 30s")
    return found


def faults(asked: Asked, host: str) -> Iterator[str]:
    """Yield a sentence for each variable that is wrong, whether or not metrics are wanted."""
    if not DIRECTORY.fullmatch(asked.directory):
        yield (
            f"pingkiller_metrics_dir of {host} is {quoted_item(asked.directory)}, which a unit cannot name: write an absolute path "
            f"of letters, digits, dots, dashes and underscores, with no part that is empty, . or .. and no / at the end."
        )
    try:
        seconds(asked.interval)
    except ValueError as error:
        yield f"pingkiller_metrics_interval of {host} is {quoted_item(asked.interval)}, which {error}."
    if asked.metrics and not asked.persist:
        yield (
            f"pingkiller_metrics of {host} is true and pingkiller_persist is false, but the command that writes metrics is installed "
            f"with what restores filters at boot: set pingkiller_persist: true, or pingkiller_metrics: false."
        )
