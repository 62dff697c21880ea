# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the command's tests: every test has a machine of its own, on which the command is installed."""

from __future__ import annotations

import os
import subprocess

import installed
import pytest
from machine import own_machine
from running import run


@pytest.fixture(autouse=True)
def machine():
    if os.geteuid() != 0:
        pytest.skip("the command needs root")
    with own_machine():
        yield


@pytest.fixture(scope="session")
def pingkiller(tmp_path_factory):
    """The path of the command."""
    return installed.install(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def command(pingkiller):
    """Run the command to its end: command("status", "--json"). Programs that were built before are not compiled anew."""

    def call(*arguments: str, compiled: bool = False, **options):
        before = () if compiled else installed.LOADING
        silence = {} if "input" in options else {"stdin": subprocess.DEVNULL}
        line = [*before, pingkiller, *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, **silence, **options)

    return call


@pytest.fixture
def filtered():
    """A filter on pk0 with the default options."""
    assert run("xdp_filter", interface="pk0")["changed"]
    return "pk0"
