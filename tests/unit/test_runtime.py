# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the runtime file and its command, as far as they need no host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import VERSION, durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import exit_status
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import entry_notes
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _runtime

COMMANDS = ("status", "stats", "list", "apply", "check")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    path = tmp_path_factory.mktemp("runtime") / "pingkiller"
    path.write_bytes(_runtime.build())
    return path


def call(runtime, *arguments):
    return subprocess.run([sys.executable, runtime, *arguments], capture_output=True, text=True, timeout=60)


def test_same_files_make_the_same_bytes_in_every_zone_and_under_every_umask(runtime, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    before = os.umask(0o077)
    try:
        assert _runtime.build() == runtime.read_bytes()
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()


def test_runtime_holds_the_library_and_the_sources_and_nothing_else(runtime):
    names = set(zipfile.ZipFile(runtime).namelist())
    library = {f"pingkiller/{path.relative_to(_runtime.LIBRARY)}" for path in _runtime.LIBRARY.rglob("*.py")}
    sources = {**_runtime.read_sources(), **_runtime.read_trace_sources()}
    assert names == library | {f"pingkiller/bpf/{name}" for name in sources} | {"__main__.py"}


def test_runtime_reads_the_same_sources_as_the_controller(runtime):
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pingkiller.command import runtime as r"
    code += "; print([r.sources(), r.trace_sources()])"
    done = subprocess.run([sys.executable, "-c", code, runtime], capture_output=True, text=True, check=True)
    assert eval(done.stdout) == [_runtime.read_sources(), _runtime.read_trace_sources()]


def test_a_filter_is_compiled_of_its_own_sources_and_of_no_tracer_s():
    """Changes of a tracer must not change the build id of a filter, or they would replace filters."""
    assert not [name for name in _runtime.read_sources() if name.startswith("trace/")]
    assert "pingkiller.c" in _runtime.read_sources()
    assert {name.partition("/")[0] for name in _runtime.read_trace_sources()} == {"trace", "include"}


@pytest.mark.parametrize("name", ["status", "stats", "list"])
def test_command_that_compiles_nothing_imports_no_compiler(runtime, tmp_path, name):
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pingkiller.command import cli; cli.main(sys.argv[2:])"
    code += "; sys.stderr.write(' '.join(sys.modules))"
    line = [sys.executable, "-c", code, runtime, name, "--config", tmp_path / "pingkiller"]
    imported = subprocess.run(line, capture_output=True, text=True, check=True).stderr.split()
    assert f"pingkiller.command.{'entries' if name == 'list' else name}" in imported
    assert not {"pingkiller.kernel.compiler", "bcc"}.intersection(imported)


def test_interrupt_while_the_library_is_imported_makes_no_traceback(runtime, tmp_path):
    interrupted = tmp_path / "interrupted"
    with zipfile.ZipFile(runtime) as whole, zipfile.ZipFile(interrupted, "w") as other:
        other.writestr("__main__.py", whole.read("__main__.py"))
        other.writestr("pingkiller/__init__.py", "")
        other.writestr("pingkiller/command/__init__.py", "")
        other.writestr("pingkiller/command/cli.py", "import signal\nsignal.raise_signal(signal.SIGINT)\n")
    done = call(interrupted)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_runtime_runs_no_python_of_the_directory_or_of_the_environment_that_it_is_in(runtime, tmp_path):
    for name in ("argparse.py", "json.py", "sitecustomize.py", "usercustomize.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'was here')!r}, 'w')\n")
    command = tmp_path / "pingkiller"
    command.write_bytes(runtime.read_bytes())
    command.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([command, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pingkiller {VERSION}\n", "")
    assert not (tmp_path / "was here").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("name", COMMANDS)
def test_command_tells_who_is_not_root_that_it_needs_root(runtime, name):
    with runtime.open("rb") as file:  # the other user may not open it, since its directory is closed to others
        them = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        command = [*them, "/usr/bin/python3", "-I", f"/dev/fd/{file.fileno()}", name]
        done = subprocess.run(command, pass_fds=[file.fileno()], capture_output=True)
    assert done.returncode == exit_status.ERROR
    assert done.stderr == b"pingkiller: this needs root on the managed host: run it as root, for example with sudo\n"


def test_runtime_runs_without_ansible(runtime):
    done = subprocess.run([sys.executable, "-I", "-S", runtime, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_tells_commands_exit_status_files_and_examples(runtime):
    text = call(runtime, "--help").stdout
    for part in (*COMMANDS, "exit status:", "files:", "examples:"):
        assert part in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_itself(runtime, name):
    text = call(runtime, name, "--help").stdout
    assert "--json" in text
    assert len(text.split("\n\n")[1]) > 40


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
