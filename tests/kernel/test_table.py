# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loaded program against the hand-written table: action, reason, family and the entry that is credited."""

from __future__ import annotations

import pytest
from packets import describe
from table import ROWS

pytestmark = pytest.mark.kernel


def expected_changes(row):
    _verdict, reason, family = row.expect.split()
    changes = {("reason", reason, family): (1, len(row.frame))}
    if row.by:
        changes["entry", reason, row.by] = (1, len(row.frame))
    return changes


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_filter_does_what_the_row_says(host, row):
    filter_ = host.filter(row.options)
    host.set_lists(row.blocklist, row.allowlist)
    assert filter_.send(row.frame) == (row.action or row.expect.split()[0], expected_changes(row)), describe(row.frame)
