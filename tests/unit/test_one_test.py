# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how ``make test ONE=...`` selects a suite by path, and which paths it refuses."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def asked(monkeypatch):
    """Return a function that gives, for a path, its suite and the arguments for pytest."""
    loader = SourceFileLoader("tools_test", str(CHECKOUT / "tools/test"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, loader.name, tool)  # dataclasses look up the module here
    loader.exec_module(tool)

    def ask(path: str) -> tuple[str, list[str]]:
        said: list = []
        monkeypatch.setattr(tool, "run", lambda *command: (said.extend(command), (0, ""))[1])
        ((suite, run_it),) = tool.one(path).items()
        run_it()
        return suite, [word for word in said[3:] if not word.startswith("--junitxml")]

    monkeypatch.chdir(CHECKOUT)
    return ask


@pytest.mark.parametrize("path", ["tests/unit/test_plan.py", str(CHECKOUT / "tests/unit/test_plan.py")])
def test_file_of_unit_tests_runs_by_itself(asked, path):
    assert asked(path) == ("unit", ["tests/unit/test_plan.py"])


@pytest.mark.parametrize("suite", ["kernel", "modules"])
def test_file_whose_tests_do_not_meet_runs_on_every_processor(asked, suite):
    path = min((CHECKOUT / "tests" / suite).glob("test_*.py")).relative_to(CHECKOUT)
    assert asked(str(path)) == (suite, [str(path), "--numprocesses", str(os.cpu_count()), "--dist", "worksteal"])


def test_single_test_runs_alone_whatever_its_name(asked):
    test = "tests/kernel/test_table.py::test_row[a::b, 'c']"
    assert asked(test) == ("kernel", [test])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("molecule/default/tests/deployed/test_host.py", "make test-molecule"),
        ("molecule/vm/tests/kernel/test_kernel.py::test_x", "make test-vm"),
        ("tests/unit/test_of_nothing.py", "is no file of tests"),
        ("tests/unit", "is no file of tests"),
        ("bpf/parse.h", "is no file of tests"),
        ("/etc/passwd", "is no file of tests"),
    ],
)
def test_what_cannot_run_alone_is_told_in_a_sentence(asked, path, said):
    with pytest.raises(SystemExit, match=said):
        asked(path)
