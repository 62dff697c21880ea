# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how wide the help of the command is. It asks for the terminal's width by itself, as argparse would."""

from __future__ import annotations

import argparse

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import parsers


@pytest.mark.parametrize("columns", ["", "0", "40", "200", "-7", "wide", "٤٠"])
def test_help_is_as_wide_as_argparse_would_make_it(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    texts = []
    for formatter in (argparse.RawDescriptionHelpFormatter, parsers.Formatter):
        parser = argparse.ArgumentParser(prog="some", formatter_class=formatter)
        parser.add_argument("--option", help="word " * 60)
        texts.append(parser.format_help())
    assert texts[0] == texts[1]
