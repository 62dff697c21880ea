# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tracers' tests."""

from __future__ import annotations

import os

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import layout


@pytest.fixture(autouse=True)
def _root():
    if os.geteuid() != 0:
        pytest.skip("loading programs into the kernel needs root")


@pytest.fixture
def sizes(monkeypatch):
    """Make tables of the tracers smaller: sizes(ROWS=4)."""

    def change(**smaller):
        for name, size in smaller.items():
            monkeypatch.setitem(layout.SIZES, name, size)

    return change
