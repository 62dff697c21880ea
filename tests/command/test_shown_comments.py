# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command shows comments in the format of a list file, whatever they contain."""

from __future__ import annotations

import io
import json
import sys

from machine import held, ping
from running import changed

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli

IP, OTHER = "192.0.2.1", "192.0.2.2"
COMMENT = "läuft # jede Nacht; oft"


def commented():
    changed("xdp_blocklist", ip=IP, comment=COMMENT)
    changed("xdp_blocklist", ip=OTHER)


def test_what_list_shows_is_read_back_as_the_same_entries(command):
    commented()
    before = held()
    shown = command("list", "blocklist").stdout
    changed("xdp_filter", state="absent")
    changed("xdp_blocklist", content=shown, exclusive=True)
    assert held() == before


def test_json_has_a_comment_where_an_entry_has_one(command):
    commented()
    entries = json.loads(command("list", "--json").stdout)["blocklist"]["entries"]
    assert [entry.get("comment") for entry in entries] == [COMMENT, None]


def test_stats_show_the_comments_of_the_busiest_entries(filtered, command):
    commented()
    ping(filtered, IP)
    assert f'    {IP} direction=src comment="{COMMENT}"  # adhoc; 1 packets' in command("stats").stdout


def test_a_terminal_without_the_letters_of_a_comment_gets_them_escaped(monkeypatch, tmp_path):
    commented()
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert cli.main(["list", "--config", str(tmp_path / "pingkiller")]) == 0
    assert b'comment="l\\xe4uft # jede Nacht; oft"' in shown.buffer.getvalue()
