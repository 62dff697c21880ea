# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loaded program against the hand-written table: action, reason, family, and the entry that counts the packet."""

from __future__ import annotations

import itertools

import pytest
from harness import shortest_frame
from model import counted_as
from packets import describe
from rows import assert_each
from table import ROWS

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import HOOKS

pytestmark = pytest.mark.kernel


def expected(row):
    """Return the action, and every counter that changes."""
    verdict, reason, family = row.expect.split()
    changes = {("reason", counted_as(verdict, reason), family): (1, len(row.frame))}
    if row.by:
        changes["entry", reason, row.by] = (1, len(row.frame))
    return "drop" if verdict == "drop" else "pass", changes


def cases():
    """Group the rows by options and hook, because they share a program. Within a group, sort the rows by lists."""
    together: dict = {}
    for row in ROWS:
        together.setdefault(row.options, {}).setdefault((row.blocklist, row.allowlist), []).append(row)
    for (options, by_lists), hook in itertools.product(together.items(), HOOKS):
        rows = list(itertools.chain.from_iterable(by_lists.values()))
        yield pytest.param(rows, options, hook, id=f"{rows[0].name}, and others like it, {hook}")


@pytest.mark.parametrize(("rows", "options", "hook"), list(cases()))
def test_the_filter_does_what_each_row_says(pytestconfig, host, rows, options, hook):
    filter_ = host.filter(options, hook=hook)

    def holds(row):
        host.set_lists(row.blocklist, row.allowlist)
        if options.ratelimit_pps:
            filter_.set_sources({name: known.at(durations.boot_time()) for name, known in row.sources})
        assert filter_.send(row.frame) == expected(row), describe(row.frame)

    named = [row for row in rows if pytestconfig.getoption("--row") in row.name]
    if not named:
        pytest.skip("none of these rows has what --row says in its name")
    assert_each([row for row in named if len(row.frame) >= shortest_frame(row.frame, hook)], holds)
