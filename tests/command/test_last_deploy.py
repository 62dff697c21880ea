# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the role last ended a deployment: what its last task notes, and what ``pingkiller metrics`` says of it."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

import pytest
from machine import CONFIG
from running import changed, run

NOTE = Path(CONFIG) / "deployed"
ENTRY = {"ip": "192.0.2.1", "deployed": True}


@pytest.fixture
def last(command):
    def ask() -> int | None:
        said = command("metrics").stdout
        found = re.search(r"^pingkiller_last_deploy_timestamp_seconds (\S+)$", said, re.MULTILINE)
        return int(found[1]) if found else None

    return ask


def test_nothing_is_said_before_the_first_deployment(last):
    changed("xdp_blocklist", ip="192.0.2.1", persist=True)
    assert not NOTE.exists()
    assert last() is None


def test_last_task_of_a_deployment_notes_its_time_and_calls_it_no_change(last):
    before = int(time.time())
    changed("xdp_blocklist", persist=True, **ENTRY)
    assert before <= last() <= time.time()
    assert stat.S_IMODE(NOTE.stat().st_mode) == 0o600
    os.utime(NOTE, (1, 1_000_000_000))
    assert last() == 1_000_000_000
    again = run("xdp_blocklist", persist=True, **ENTRY)
    assert again["changed"] is False
    assert before <= last() <= time.time()


def test_check_mode_notes_nothing():
    changed("xdp_blocklist", persist=True, **ENTRY)
    os.utime(NOTE, (1, 1_000_000_000))
    run("xdp_blocklist", check=True, persist=True, **ENTRY)
    assert NOTE.stat().st_mtime == 1_000_000_000
    NOTE.unlink()
    run("xdp_blocklist", check=True, persist=True, **ENTRY)
    assert not NOTE.exists()


def test_boot_does_not_touch_the_time(command, last):
    changed("xdp_filter", interface="pk0", persist=True)
    changed("xdp_blocklist", persist=True, **ENTRY)
    os.utime(NOTE, (1, 1_000_000_000))
    assert command("apply").returncode == 0
    assert last() == 1_000_000_000


def test_link_in_the_place_of_the_note_is_not_followed(last, tmp_path):
    changed("xdp_blocklist", ip="192.0.2.1", persist=True)
    target = tmp_path / "target"
    NOTE.symlink_to(target)
    assert run("xdp_blocklist", persist=True, **ENTRY)["failed"]
    assert not target.exists()
    target.write_text("")
    assert last() is None
