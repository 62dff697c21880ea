# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loaded program against the hand-written table: action, reason, family and the entry that is credited."""

from __future__ import annotations

import pytest
from harness import shortest_frame
from model import counted_as
from packets import describe
from table import ROWS

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import HOOKS

pytestmark = pytest.mark.kernel


def expected(row):
    """What is returned, and every counter that moves."""
    verdict, reason, family = row.expect.split()
    changes = {("reason", counted_as(verdict, reason), family): (1, len(row.frame))}
    if row.by:
        changes["entry", reason, row.by] = (1, len(row.frame))
    return "drop" if verdict == "drop" else "pass", changes


# The hooks one after the other for each row, so that the lists are set once.
CASES = [
    pytest.param(row, hook, id=f"{row.name}, {hook}")
    for row in ROWS
    for hook in HOOKS
    if len(row.frame) >= shortest_frame(row.frame, hook)
]


@pytest.mark.parametrize(("row", "hook"), CASES)
def test_the_filter_does_what_the_row_says(host, row, hook):
    filter_ = host.filter(row.options, hook=hook)
    host.set_lists(row.blocklist, row.allowlist)
    if row.options.ratelimit_pps:
        filter_.set_sources({name: known.at(durations.boot_time()) for name, known in row.sources})
    assert filter_.send(row.frame) == expected(row), describe(row.frame)
