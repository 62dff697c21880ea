# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every subcommand of ``pingkiller`` does, whichever there are."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess

import pytest
from machine import CONFIG, LOCK_FILE
from running import changed, run

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli

FINE, ERROR = 0, 1
LOOKS = ("status", "stats", "list")
#: What stands for an argument that has to be given, by its name in the help.
SAMPLES = {"IP": "192.0.2.1", "ADDRESS": "192.0.2.1", "FILE": "/dev/null"}
WAITS_NOT = {"check", "stream"}  # the first changes nothing, the second answers with the sentence: see test_stream.py
TO_CHANGE = {"top": ["--timing"]}  #: what a subcommand needs to change something
#: Modules of Python that take long to import, and that nobody needs who only looks, blocks or unblocks.
HEAVY = {
    "asyncio",
    "bz2",
    "copy",
    "dataclasses",
    "email",
    "importlib.resources",
    "inspect",
    "ipaddress",
    "lzma",
    "shlex",
    "shutil",
    "subprocess",
    "tempfile",
    "urllib.parse",
}
IMPORTS_COMPILER = {"apply"}


def parsers(parser: argparse.ArgumentParser, *words: str):
    """Yield the words that call each subcommand, and its parser; not those that only have further ones."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield " ".join(words), parser
    for action in nested:
        for name, own in action.choices.items():
            yield from parsers(own, *words, name)


PARSERS = dict(parsers(cli.parser()))
#: tests/trace has such tests of the tracers, which compile.
UNTRACED = [name for name in PARSERS if not name.startswith("trace ")]


def flags(name: str) -> set[str]:
    return {flag for action in PARSERS[name]._actions for flag in action.option_strings}


@pytest.fixture
def line(tmp_path):
    """Return a command line of a subcommand on which nothing is missing, and that ends soon, on a host that wants a filter."""
    config = str(tmp_path / "pingkiller")
    assert run("xdp_filter", interface="pk0", persist=True, config_dir=config)["changed"]

    def made(name: str) -> list[str]:
        words = name.split()
        for action in PARSERS[name]._actions:
            if action.required:
                words += [*action.option_strings[-1:], SAMPLES.get(str(action.metavar), "somebody")]
        for option, value in (("--duration", "1"), ("--config", config)):
            words += [option, value] if option in flags(name) else []
        return words

    return made


@pytest.mark.parametrize("name", PARSERS)
def test_help_says_what_it_does_with_an_example_and_for_programs_there_is_json(name):
    assert len(PARSERS[name].description) > 40
    assert "\nexamples:\n  pingkiller " in f"\n{PARSERS[name].epilog}"
    assert "--json" in flags(name)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_at_a_host_without_a_filter_is_fine(command, name):
    done = command(name, "--json")
    assert (done.returncode, done.stderr) == (FINE, "")
    json.loads(done.stdout)


@pytest.mark.parametrize("name", PARSERS)
def test_who_is_not_root_is_told_that_it_needs_root(anyone, line, name):
    them = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run([*them, anyone, *line(name)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    needs_root = "this needs root on the managed host: run it as root, for example with sudo"
    if PARSERS[name].get_default("root"):
        assert (done.returncode, done.stderr) == (ERROR, f"pingkiller: {needs_root}\n")
    else:
        assert needs_root not in done.stderr


@pytest.mark.parametrize("name", UNTRACED)
def test_reader_that_has_seen_enough_is_no_failure(pingkiller, line, name):
    script = '"$@" | true; exit ${PIPESTATUS[0]}'
    done = subprocess.run(
        ["bash", "-c", script, "bash", pingkiller, *line(name)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    if name in LOOKS:
        assert (done.returncode, done.stderr) == (FINE, "")


@pytest.mark.parametrize("name", UNTRACED)
def test_output_that_cannot_be_written_is_one_sentence(pingkiller, line, name):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [pingkiller, *line(name)], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert "Traceback" not in done.stderr
    assert done.returncode != FINE or name not in LOOKS
    if name in LOOKS:
        assert done.stderr.count("\n") == 1
        assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    "name", [name for name in UNTRACED if "--lock-timeout" in flags(name) and name not in WAITS_NOT]
)
def test_lock_that_another_run_holds_is_waited_for_as_long_as_was_said(command, line, name):
    with open(LOCK_FILE, "w") as file:
        os.chmod(LOCK_FILE, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        done = command(*line(name), *TO_CHANGE.get(name, ()), "--lock-timeout", "0.1")
    assert done.returncode == ERROR
    assert "Traceback" not in done.stderr
    assert f"kept {LOCK_FILE} for the 0.1 s of lock_timeout" in done.stderr


#: Runs a program, and says at its end which modules it has imported. It imports nothing that Python has not.
TELLING = """
import atexit, os, sys
sys.argv = sys.argv[1:]
__file__ = sys.argv[0]
tell = lambda *_status: print("imported", *sys.modules, file=sys.stderr)
atexit.register(tell)
os._exit = lambda _status, end=os._exit: end(tell() or 0)
exec(open(__file__).read())
"""


def imported(pingkiller, line: list[str]) -> set[str]:
    """Return the names of what a run of the command imports, without what other packages import at every start of Python."""
    python = ["/usr/bin/python3", "-IS", "-c", TELLING]
    done = subprocess.run([*python, pingkiller, *line], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    _mark, *names = done.stderr.splitlines()[-1].split()
    return set(names)


@pytest.mark.parametrize("name", [name for name in UNTRACED if name != "apply"])
def test_subcommand_that_compiles_nothing_imports_little(pingkiller, line, name):
    found = imported(pingkiller, line(name))
    assert "pingkiller.command.parsers" in found
    assert not found & {"bcc", *HEAVY, *(() if name in IMPORTS_COMPILER else ["pingkiller.kernel.compiler"])}


def test_only_the_called_subcommand_is_imported(pingkiller, line):
    found = imported(pingkiller, line("status"))
    assert "pingkiller.command.status" in found
    assert not found & {
        f"pingkiller.command.{file}" for file in ("acting", "entries", "stats", "stream", "top", "trace")
    }


@pytest.mark.parametrize("missing", ["command/explain.py", "command/cli.py", "report/explain.py", "."])
def test_file_of_the_command_that_is_missing_is_one_sentence(pingkiller, tmp_path, missing):
    shutil.copytree(pingkiller.parents[1], tmp_path / "local")
    (library,) = tmp_path.glob("local/lib/pingkiller/*/pingkiller")
    gone = library / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    done = subprocess.run([tmp_path / "local/sbin/pingkiller", "explain", "192.0.2.1"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pingkiller: a file of the command is missing (")
    assert done.stderr.count("\n") == 1


def test_what_was_written_before_an_error_is_not_lost_at_the_end(command, filtered):
    changed("xdp_blocklist", ip="192.0.2.1")
    os.makedirs(f"{CONFIG}/filters/pk0.json", mode=0o700)  # not a file that can be read
    done = command("status")
    assert done.returncode == ERROR
    assert "filter pk0" in done.stdout
    assert "pk0.json" in done.stderr
