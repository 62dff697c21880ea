# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how the directory of a filter's pins is named: as earlier versions did it with urllib.parse."""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import paths


@pytest.mark.parametrize("name", ["eth0", "eth0.100", "eth0/tc_egress", "a%2Eb", "ü~_-+", "\udcff\udc80", " \t\x7f"])
def test_directory_of_a_filter_has_the_name_it_always_had_and_tells_the_filter(monkeypatch, name):
    found = os.path.basename(paths.Paths("/sys/fs/bpf/pingkiller").filter_pin(name))
    assert found == quote(name, safe="", errors="surrogateescape").replace(".", "%2E")
    monkeypatch.setattr(os, "listdir", lambda _directory: [found])
    assert paths.Paths("/sys/fs/bpf/pingkiller").filters() == [name]
