# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every subcommand of ``pingkiller`` does."""

from __future__ import annotations

import json

import pytest

FINE = 0
LOOKS = ("status", "stats", "list")


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_at_a_host_without_a_filter_is_fine(command, name):
    done = command(name, "--json")
    assert (done.returncode, done.stderr) == (FINE, "")
    json.loads(done.stdout)
