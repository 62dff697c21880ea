# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all suites have in common: on a slow machine, only some of their tests."""

from __future__ import annotations


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, metavar="N", help="run only every Nth test, on a slow machine")
    parser.addoption("--begin", type=int, default=0, metavar="M", help="begin with the test after so many")


def pytest_collection_modifyitems(config, items):
    items[:] = items[config.getoption("--begin") :: config.getoption("--every")]
