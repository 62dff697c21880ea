# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the module tests: every test has a machine of its own."""

from __future__ import annotations

import datetime
import os

import faults
import pytest
from machine import mount, umount
from machine_fixtures import filtered, machine  # noqa: F401


def pytest_addoption(parser):
    parser.addoption("--faults-every", type=int, default=3, metavar="N", help="try only every Nth moment for a fault")
    today = datetime.date.today().toordinal()  # pytest-xdist passes it on to its workers
    parser.addoption(
        "--faults-day", type=int, default=today, metavar="D", help="try those that a run on this day has tried"
    )


def pytest_generate_tests(metafunc):
    if "quarter" in metafunc.fixturenames:
        metafunc.parametrize("quarter", faults.of_the_day(range(1, 4), metafunc.config))


@pytest.fixture
def silent(tmp_path):
    """A directory on a file system that never answers."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no such file system can be made here")
    directory = tmp_path / "silent"
    directory.mkdir()
    server = os.open("/dev/fuse", os.O_RDWR)
    mount("fuse", str(directory), options=f"fd={server},rootmode=40000,user_id=0,group_id=0")
    yield directory
    os.close(server)  # ends the wait of blocked readers with an error
    umount(str(directory))
