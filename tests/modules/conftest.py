# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the modules: every test has a machine of its own."""

from __future__ import annotations

import os

import pytest
from machine import own_machine
from running import run


@pytest.fixture(autouse=True)
def machine():
    if os.geteuid() != 0:
        pytest.skip("the modules need root")
    with own_machine():
        yield


@pytest.fixture
def filtered():
    """The machine has a filter on pk0, with the options that nobody chose."""
    assert run("xdp_filter", interface="pk0")["changed"]
    return "pk0"
