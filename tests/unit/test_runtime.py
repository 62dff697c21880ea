# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the runtime and the command that it installs, as far as they need no host."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import installed
import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import VERSION, durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import exit_status
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import entry_notes
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _runtime


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """The path of the installed command."""
    return installed.install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def library(runtime):
    """The directory of the installed library."""
    (directory,) = runtime.parents[1].glob("lib/pingkiller/*/")
    return directory


def call(runtime, *arguments):
    return subprocess.run([runtime, *arguments], capture_output=True, text=True, timeout=60)


def test_same_files_make_the_same_bytes_in_every_zone_and_under_every_umask(archive, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    before = os.umask(0o077)
    try:
        assert _runtime.build() == archive.read_bytes()
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()


def test_runtime_holds_the_library_and_the_sources_and_what_users_read_and_nothing_else(archive):
    names = set(zipfile.ZipFile(archive).namelist())
    files = {f"{path.relative_to(_runtime.LIBRARY)}" for path in _runtime.LIBRARY.rglob("*.py")}
    files |= {f"bpf/{name}" for name in {**_runtime.read_sources(), **_runtime.read_trace_sources()}}
    own = {name for name in names if name.startswith("lib/pingkiller/")}
    assert {name.split("/", 4)[4] for name in own} == files
    assert len({name.split("/")[2] for name in own}) == 1
    assert names - own == {"__main__.py", _runtime.PROGRAM, _runtime.MANUAL, _runtime.COMPLETION}


def test_runtime_reads_the_same_sources_as_the_controller(library):
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pingkiller.command import runtime as r"
    code += "; print([r.sources(), r.trace_sources()])"
    done = subprocess.run([sys.executable, "-c", code, library], capture_output=True, text=True, check=True)
    assert eval(done.stdout) == [_runtime.read_sources(), _runtime.read_trace_sources()]


def test_a_filter_is_compiled_of_its_own_sources_and_of_no_tracer_s():
    """Changes of a tracer must not change the build id of a filter, or they would replace filters."""
    assert not [name for name in _runtime.read_sources() if name.startswith("trace/")]
    assert "pingkiller.c" in _runtime.read_sources()
    assert {name.partition("/")[0] for name in _runtime.read_trace_sources()} == {"trace", "include"}


def test_interrupt_while_the_library_is_imported_makes_no_traceback(runtime, tmp_path):
    top = tmp_path / "top"
    shutil.copytree(runtime.parents[1], top, symlinks=True)
    (file,) = top.glob("lib/pingkiller/*/pingkiller/command/cli.py")
    file.write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    done = call(top / "sbin" / "pingkiller")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_runtime_runs_no_python_of_the_directory_or_of_the_environment_that_it_is_in(runtime, tmp_path):
    top, here = tmp_path / "top", tmp_path / "top" / "sbin"
    shutil.copytree(runtime.parents[1], top, symlinks=True)
    for name in ("argparse.py", "json.py", "pingkiller.py", "sitecustomize.py", "usercustomize.py"):
        (here / name).write_text(f"open({str(tmp_path / 'was here')!r}, 'w')\n")
    environment = {**os.environ, "PYTHONPATH": str(here)}
    done = subprocess.run([here / "pingkiller", "--version"], cwd=here, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pingkiller {VERSION}\n", "")
    assert not (tmp_path / "was here").exists()


def test_command_runs_by_a_link_too(runtime, tmp_path):
    (tmp_path / "pk").symlink_to(runtime)
    assert call(tmp_path / "pk", "--version").returncode == 0


def test_help_tells_commands_exit_status_files_and_examples(runtime):
    text = call(runtime, "--help").stdout
    for part in ("status", "apply", "exit status:", "files:", "examples:"):
        assert part in text


@pytest.mark.parametrize(
    "line", [[], ["nonsense"], ["list", "nonsense"], ["list", "--limit", "-1"], ["apply", "--bogus"]]
)
def test_wrong_command_line_is_status_2(runtime, line):
    assert call(runtime, *line).returncode == exit_status.USAGE


def test_time_on_the_wall_is_read_as_it_was_written():
    now = time.time()
    assert durations.from_iso(durations.iso(now)) == round(now)


@pytest.mark.parametrize(("left", "ttl", "expected"), [(50, 100, 50), (500, 100, 100), (0, 100, 0), (-9, 100, 0)])
def test_what_is_left_is_neither_negative_nor_more_than_was_given(left, ttl, expected):
    about = {"direction": "src", "until": durations.iso(time.time() + left), "ttl": ttl}
    assert abs(entry_notes.seconds_left(about) - expected) <= 1
    assert entry_notes.seconds_left({"direction": "src"}) is None


def test_duration_that_begins_now_is_noted_with_its_length():
    assert durations.left(durations.until(60)) in (59, 60)
    assert durations.left(schema.FOREVER) > 10**9
