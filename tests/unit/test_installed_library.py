# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module takes the library from where the role has installed it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _runtime

PLUGINS = "ansible_collections.pingkiller.fleet.plugins.module_utils"
#: Prints where the library's files come from, given the directory in place of /usr/local/lib/pingkiller.
ASK = f"""
import sys
from {PLUGINS} import _installed
from {PLUGINS}._pingkiller.report import marks
_installed._LIBRARY = sys.argv[1]
_installed.prefer_installed()
from {PLUGINS}._pingkiller.report import busiest, status
for each in (marks, busiest, status):
    print(each.__file__)
"""


@pytest.fixture
def installed(tmp_path):
    """The library as the role installs it below /usr/local/lib, without bytecode."""
    for name, text in _runtime.files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    library = tmp_path / "lib/pingkiller"
    (library / "made").write_text("")
    return library


def ask(library):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", ASK, library], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_what_is_not_imported_yet_comes_from_the_installed_library_and_leaves_no_bytecode_there(installed):
    (version,) = (path for path in installed.iterdir() if path.is_dir())
    before, *others = ask(installed)
    assert not before.startswith(str(installed))
    assert others == [f"{version}/pingkiller/report/{name}.py" for name in ("busiest", "status")]
    assert not list(installed.rglob("__pycache__"))


def test_file_that_goes_missing_is_taken_from_what_came_along(installed):
    (path,) = installed.glob("*/pingkiller/report/busiest.py")
    path.unlink()
    _before, busiest, status = ask(installed)
    assert not busiest.startswith(str(installed))
    assert status == str(path.with_name("status.py"))
