# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of tests that each have a machine of their own: those of the modules, and those of the command."""

from __future__ import annotations

import os

import pytest
from machine import own_machine
from running import run


@pytest.fixture(autouse=True)
def machine():
    if os.geteuid() != 0:
        pytest.skip("this needs root")
    with own_machine():
        yield


@pytest.fixture
def filtered():
    """A filter on pk0 with the default options."""
    assert run("xdp_filter", interface="pk0")["changed"]
    return "pk0"
