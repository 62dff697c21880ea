# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the manual page of the command pingkiller, and its completion in bash."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = CHECKOUT / "roles/pingkiller/files"
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO")


def test_what_make_manual_writes_is_what_is_there():
    tool = [sys.executable, CHECKOUT / "tools/manual", "--check"]
    done = subprocess.run(tool, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def parsers(parser: argparse.ArgumentParser, name: str = "pingkiller"):
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, own in action.choices.items():
                yield from parsers(own, f"{name} {word}")


PARSERS = dict(parsers(cli.parser()))
SUBCOMMANDS = {name.split()[1] for name in PARSERS if " " in name}


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_page_has_every_section_subcommand_and_option_and_no_mistake_for_groff():
    line = ["groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=100n", FILES / "pingkiller.8"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in lines if line in SECTIONS] == list(SECTIONS)
    words = set(re.split(r"[\s,.]+", done.stdout))
    for name, parser in PARSERS.items():
        assert name == "pingkiller" or name in lines
        assert {flag for action in parser._actions for flag in action.option_strings} <= words


def completed(line: str, before: str = "") -> set[str]:
    """Return what bash offers at the end of a line. The last word may be empty."""
    *_words, last = words = line.split(" ")
    script = f"""
        {before}
        compopt() {{ :; }}  # works only while bash completes
        . {FILES / "pingkiller.bash"}
        COMP_WORDS=({" ".join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1}
        $(complete -p pingkiller | grep -o '_[a-z]*') pingkiller {shlex.quote(last)} && printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-uc", script], capture_output=True, text=True, cwd="/")
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_subcommands_and_those_below_them():
    assert completed("pingkiller ") == {*SUBCOMMANDS, "--help", "--version"}
    assert completed("pingkiller stat") == {"status", "stats"}
    assert completed("pingkiller trace sys") == {"syscall", "syscalls"}


@pytest.mark.parametrize(("name", "parser"), list(PARSERS.items()))
def test_bash_completes_the_options_of_each_subcommand_and_no_others(name, parser):
    known = {action.option_strings[-1] for action in parser._actions if action.option_strings}
    assert completed(f"{name} -") == known


def test_bash_completes_the_names_of_lists_also_after_an_option_with_a_value():
    assert completed("pingkiller list ") > set(schema.LISTS)
    assert completed("pingkiller list --limit 5 b") == {"blocklist"}


def test_bash_completes_values_that_it_can_know_and_offers_nothing_for_others():
    assert "lo" in completed("pingkiller apply --interface l")
    assert completed("pingkiller status --config /et") == {"/etc"}
    assert completed("pingkiller list --limit ") == set()


def test_a_value_that_is_called_like_a_subcommand_is_none():
    assert "--interface" in completed("pingkiller apply --interface status --i")


def test_help_that_goes_on_in_its_second_column_stays_with_its_term():
    sys.path.insert(0, str(CHECKOUT / "tools"))
    try:
        import manual_page
    finally:
        del sys.path[0]
    text = "keys:\n  a     first\n        and more   of it\n  a term\n        of its own line\n"
    assert list(manual_page._blocks(text))[2:] == [
        *(".TP", "\\fBa\\fR", "first and more of it"),
        *(".TP", "\\fBa term\\fR", "of its own line"),
    ]
