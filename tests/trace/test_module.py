# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as users call it: the action plugin adds the sources and checks the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ansible", reason="there is no Ansible on this machine")

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*options, **arguments) -> dict:
    """Run the module with ansible, from the checkout and by its full name; return its result."""
    command = [Path(sys.executable).parent / "ansible", "localhost", "-m", "pingkiller.fleet.bpf_trace_info"]
    done = subprocess.run(
        [*command, "-a", json.dumps(arguments), *options],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    return json.loads(done.stdout[done.stdout.index("=> {") + 3 :])


@pytest.mark.parametrize(("probe", "told"), [("syscalls", "rows"), ("syscall", "rows"), ("processes", "events")])
def test_each_probe_returns_what_is_documented(probe, told):
    """The load is everything that runs on this machine, including Ansible."""
    result = run(probe=probe, duration=0.5)
    assert (result["changed"], result["probe"], result["lost"]) == (False, probe, 0)
    assert isinstance(result[told], list)
    assert "_sources" not in json.dumps(result)


def test_check_mode_says_what_it_would_do_and_does_not():
    result = run("--check", probe="processes", duration=3)
    assert result["msg"].startswith("would look at processes for 3 s, with programs at the tracepoints sys_exit, ")
    assert "events" not in result


def test_what_is_refused_is_one_sentence():
    result = run(probe="syscall", name="wrlte")
    assert "rows" not in result
    assert result["msg"].startswith("name='wrlte' is not a system call of ")
