# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the command's tests: every test has a machine of its own, on which the command is installed."""

from __future__ import annotations

import subprocess

import installed
import pytest
from machine import put_before
from machine_fixtures import filtered, machine  # noqa: F401


@pytest.fixture(scope="session")
def pingkiller(tmp_path_factory):
    """The path of the command."""
    return installed.install(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def anyone(pingkiller):
    """The path of the command where every user can read it."""
    pingkiller.parents[1].chmod(0o755)
    put_before("/usr/local", str(pingkiller.parents[1]))
    return "/usr/local/sbin/pingkiller"


@pytest.fixture
def command(pingkiller):
    """Run the command to its end: command("status", "--json"). Programs that were built before are not compiled anew."""

    def call(*arguments: str, compiled: bool = False, **options):
        before = () if compiled else installed.LOADING
        silence = {} if "input" in options else {"stdin": subprocess.DEVNULL}
        line = [*before, pingkiller, *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, **silence, **options)

    return call
