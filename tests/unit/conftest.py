# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the options of the fuzz tests: how many inputs to generate, and from which seed."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _runtime


def pytest_addoption(parser):
    today = datetime.date.today().toordinal()  # workers of pytest-xdist get it from the main process
    parser.addoption("--inputs", type=int, default=8000, metavar="N", help="how many inputs of each kind to make up")
    parser.addoption(
        "--inputs-seed", type=int, default=today, metavar="S", help="make up those that a run with this seed has had"
    )


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """The path of the archive that installs the command."""
    path = tmp_path_factory.mktemp("runtime") / "archive"
    path.write_bytes(_runtime.build())
    return path
