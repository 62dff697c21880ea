# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model against the hand-written table. A mistake in only one of them makes a test fail. Needs no root."""

from __future__ import annotations

from model import Lists, decide
from packets import describe
from rows import assert_each
from table import ROWS


def agrees(row):
    now = 10**15
    sources = {name: known.at(now) for name, known in row.sources}
    outcome = decide(row.frame, row.options, Lists(row.blocklist, row.allowlist), sources, now)
    entry = outcome.credited and outcome.credited[1].ip
    seen = (f"{outcome.verdict} {outcome.reason} {outcome.family}", entry)
    assert seen == (row.expect, row.by), describe(row.frame)


def test_model_agrees_with_each_row():
    assert_each(ROWS, agrees)


def test_no_two_rows_have_the_same_name():
    names = [row.name for row in ROWS]
    assert sorted(names) == sorted(set(names))
