# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how the role installs the command and removes it, below a directory in place of /usr/local."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import zipfile

import pytest

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _runtime

MARKS = _runtime.ROLE_FILES / "marks.sh"
PYTHON = ("/usr/bin/python3", "-I")
#: Runs an archive, and is killed when it has put N files in place and is about to put the next: ARCHIVE N ARGUMENTS.
KILLED = """
import os, runpy, sys
del sys.argv[0]
left = int(sys.argv.pop(1))
def count(event, arguments):
    global left
    left -= event == "os.rename" and not str(arguments[1]).endswith(".pyc")
    if left < 0:
        os._exit(9)
sys.addaudithook(count)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The archive of a version with another library."""
    path = tmp_path_factory.mktemp("earlier") / "archive"
    (digest,) = {name.split("/")[2] for name in _runtime.files() if name.startswith("lib/")}
    other = {name.replace(digest, "0" * 16): text.replace(digest, "0" * 16) for name, text in _runtime.files().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_runtime, "files", lambda: other)
        path.write_bytes(_runtime.build())
    return path


@pytest.fixture
def top(tmp_path):
    """A directory in place of /usr/local, as distributions have it."""
    for name in ("lib", "sbin", "share/man"):
        (tmp_path / "local" / name).mkdir(parents=True)
    return tmp_path / "local"


def do(archive, verb, top):
    return subprocess.run([*PYTHON, archive, verb, top], capture_output=True, text=True, timeout=60)


def install(archive, top):
    done = do(archive, "install", top)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return top / "sbin" / "pingkiller"


def tree(top):
    """Return what is there, without bytecode and the note: mode and content by path."""
    return {
        str(path.relative_to(top)): (stat.filemode(path.lstat().st_mode), path.read_bytes() if path.is_file() else b"")
        for path in top.rglob("*")
        if "__pycache__" not in path.parts and path.name != "made"
    }


def mark(top):
    """Return what the role's look at the host finds, with this directory as /usr/local."""
    script = f"mount --bind {top} /usr/local && directory=/etc && . {MARKS}"
    said = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True).stdout
    return re.search("^pingkiller_command=(.*)$", said, re.MULTILINE)[1]


def test_command_manual_and_completion_are_there_for_everybody(archive, top):
    before = os.umask(0o077)
    try:
        program = install(archive, top)
    finally:
        os.umask(before)
    assert subprocess.run([program, "--version"], stdout=subprocess.PIPE).returncode == 0
    assert program.stat().st_mode & 0o7777 == 0o755
    for path in top.rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & (0o755 if path.is_dir() else 0o644) >= 0o644, path
    assert (top / _runtime.MANUAL).read_text() == _runtime.files()[_runtime.MANUAL]
    assert (top / _runtime.COMPLETION).read_text() == _runtime.files()[_runtime.COMPLETION]


def test_bytecode_is_there_for_every_file_so_that_nothing_is_compiled_at_boot(archive, top):
    install(archive, top)
    sources = list((top / "lib/pingkiller").rglob("*.py"))
    assert len(sources) > 100
    for path in sources:
        (bytecode,) = (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")
        assert bytecode.stat().st_mtime_ns >= path.stat().st_mtime_ns


@pytest.mark.parametrize("files", [0, 1, 60, len(_runtime.files()) - 1])
def test_earlier_version_works_until_the_new_one_is_complete_and_another_run_completes_it(archive, earlier, top, files):
    program = install(earlier, top)
    before = program.read_bytes()
    line = [*PYTHON, "-c", KILLED, archive, str(files), "install", top]
    assert subprocess.run(line, timeout=60).returncode == 9
    assert program.read_bytes() == before
    assert subprocess.run([program, "--version"], stdout=subprocess.PIPE).returncode == 0
    install(archive, top)
    other = top.with_name("other")
    shutil.copytree(top, other)
    shutil.rmtree(top / "lib/pingkiller")
    install(archive, top)
    assert tree(other) == tree(top)
    assert "0" * 16 not in os.listdir(top / "lib/pingkiller")


#: Shell commands below /usr/local that change what was installed, with the names of the library and of a file in it.
BROKEN = {
    "edited": "sed -i s/PingKillerError/PingKillerFault/ $file",
    "of the same size and time": "touch -r $file ../then; sed -i s/e/f/ $file; touch -r ../then $file",
    "missing": "rm $file",
    "for others to write": "chmod o+w $file",
    "a directory for others to write": "chmod o+w $library",
    "of another user": "chown 1 $file",
    "a link": "mv $file ../errors.py; ln -s $PWD/../errors.py $file",
    "a directory that is a link": "mv $library/pingkiller/store ..; ln -s $PWD/../store $library/pingkiller",
    "a directory": "rm $file; mkdir $file",
    "more": ">$library/argparse.py",
    "more directories": "mkdir $library/json",
    "the program": "echo '#!/bin/sh' >sbin/pingkiller",
    "the manual": "rm share/man/man8/pingkiller.8",
}


@root_only
@pytest.mark.parametrize("how", BROKEN)
def test_what_is_not_as_installed_is_noticed_and_put_right(archive, top, how):
    install(archive, top)
    assert mark(top) == _runtime.mark()
    names = "set -e; library=$(echo lib/pingkiller/*/); file=$library/pingkiller/errors.py"
    subprocess.run(["sh", "-c", f"{names}; {BROKEN[how]}"], cwd=top, check=True)
    assert mark(top) != _runtime.mark()
    program = install(archive, top)
    assert mark(top) == _runtime.mark()
    assert subprocess.run([program, "--version"], stdout=subprocess.PIPE).returncode == 0


@root_only
def test_bytecode_of_another_python_and_missing_bytecode_are_no_difference(archive, top):
    install(archive, top)
    for number, path in enumerate((top / "lib/pingkiller").rglob("*.pyc")):
        path.rename(path.with_name("errors.cpython-399.pyc")) if number % 2 else path.unlink()
    assert mark(top) == _runtime.mark()


@root_only
def test_what_is_installed_is_root_s_also_where_a_group_owns_what_is_made_below_usr_local(archive, top):
    for path in (top, *(path for path in top.rglob("*") if path.is_dir())):
        os.chown(path, 0, 50)
        path.chmod(0o2775)
    install(archive, top)
    assert mark(top) == _runtime.mark()


@root_only
def test_nothing_installed_is_told_as_nothing(top):
    assert mark(top) == ""


def test_removal_leaves_what_was_there_before_and_nothing_else(archive, top):
    before = tree(top)
    install(archive, top)
    assert do(archive, "remove", top).returncode == 0
    assert tree(top) == before
    assert not list(top.rglob("made"))


def test_removal_leaves_directories_that_others_use_or_had_made(archive, top):
    (top / "share/man/man8").mkdir()
    install(archive, top)
    (top / "share/bash-completion/completions/other").write_text("")
    before = tree(top)
    assert do(archive, "remove", top).returncode == 0
    left = tree(top)
    assert {"share/man/man8", "share/bash-completion/completions/other"} < left.keys()
    assert not [path for path in left if "pingkiller" in path]
    assert left.items() <= before.items()


def test_removal_after_an_interrupted_installation_removes_all_of_it(archive, top):
    before = tree(top)
    line = [*PYTHON, "-c", KILLED, archive, str(len(_runtime.files()) - 1), "install", top]
    assert subprocess.run(line, timeout=60).returncode == 9
    assert do(archive, "remove", top).returncode == 0
    assert tree(top) == before
    assert do(archive, "remove", top).returncode == 0


def test_one_file_that_a_version_before_was_is_replaced_or_removed(archive, top):
    program = top / "sbin/pingkiller"
    for verb in ("install", "remove"):
        with zipfile.ZipFile(program, "w") as whole:
            whole.writestr("__main__.py", "")
        assert do(archive, verb, top).returncode == 0
        assert program.exists() == (verb == "install")


def test_two_runs_at_once_both_succeed(archive, top):
    line = [*PYTHON, archive, "install", top]
    running = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [("", 0)] * 2
    assert subprocess.run([top / "sbin/pingkiller", "--version"], stdout=subprocess.PIPE).returncode == 0
