# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the browser that the tests look at reports with, and write the reports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from recorded_statuses import fleet

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _report

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import chromium


@pytest.fixture(scope="session")
def browser():
    """Chromium with one page. Without Chromium, the tests fail: tools/setup tests installs it."""
    with chromium.browser() as found:
        yield found


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A function that returns the path of the report of so many hosts."""
    directory = tmp_path_factory.mktemp("reports")

    def write(hosts):
        path = directory / f"{hosts}.html"
        if not path.exists():
            answers = fleet(hosts, seed=7, details=True)
            for _before_and_after in range(2):
                _report.write(answers, str(path), check=False)
                answers = dict(list(fleet(hosts, seed=8, details=True).items())[1:])
        return path

    return write
