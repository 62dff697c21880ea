# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which files go into the artifact that users install. It is built as a maintainer builds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
#: Untracked files in a checkout. The first has the directory and suffix of files that do go into the artifact.
SECRETS = (
    "plugins/modules/secret.py",
    "secret.env",
    ".env",
    "docs/.notes.md",
    "roles/pingkiller/files/id_rsa",
    "bpf/a.key",
)


def run(directory: Path, *command: object, **environment: str) -> subprocess.CompletedProcess:
    # git must use the given directory. In a git hook, variables GIT_* point to another one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env={**inherited, "PATH": path, "ANSIBLE_HOME": str(directory / ".ansible"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def checkout(tmp_path):
    """Return a function that makes checkouts of the files tracked here, with their uncommitted changes."""

    def make(name: str) -> Path:
        directory = tmp_path / name
        for path in run(CHECKOUT, "git", "ls-files", "-z").stdout.split("\0"):
            if path and (CHECKOUT / path).is_file():
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / path, directory / path)
        for command in (("init", "--quiet"), ("add", "--all")):
            assert run(directory, "git", *command).returncode == 0
        return directory

    return make


def build(directory: Path, *command: object, **environment: str) -> Path:
    """Run a command, and return the artifact that it puts into build/."""
    done = run(directory, *command, **environment)
    assert done.returncode == 0, done.stderr
    (artifact,) = (directory / "build").glob("*.tar.gz")
    return artifact


@pytest.fixture
def littered(checkout):
    directory = checkout("littered")
    for name in SECRETS:
        (directory / name).write_text("password")
    return directory


def names(artifact: Path) -> set[str]:
    with tarfile.open(artifact) as archive:
        return {member.name for member in archive}


def test_artifact_holds_nothing_that_git_does_not_track(littered):
    held = names(build(littered, "tools/build"))
    assert {"plugins/modules/xdp_filter.py", "bpf/pingkiller.c", "README.md"} <= held
    assert {"playbooks/callback_plugins/last_words.py", "playbooks/tasks/status.yml"} <= held
    assert not held & set(SECRETS)


def test_artifact_built_by_hand_holds_nothing_of_another_kind_than_the_collection(littered):
    held = names(build(littered, "ansible-galaxy", "collection", "build", "--output-path", "build"))
    assert {"plugins/modules/xdp_filter.py", "bpf/pingkiller.c", "README.md"} <= held
    assert not held & set(SECRETS[1:])


def test_same_files_make_the_same_artifact_wherever_and_whenever(checkout):
    one, other = checkout("one"), checkout("elsewhere/other")
    for path in other.rglob("*.*"):
        os.utime(path, (1, 1_000_000_000.5))
        if path.suffix == ".yml":
            path.chmod(0o600)  # as with a stricter umask
    made = [build(one, "tools/build"), build(other, "tools/build", TZ="Asia/Tokyo")]
    assert made[0].read_bytes() == made[1].read_bytes()


def test_what_is_no_checkout_is_refused_in_a_sentence(checkout):
    directory = checkout("unpacked")
    shutil.rmtree(directory / ".git")
    done = run(directory, "tools/build", GIT_CEILING_DIRECTORIES=str(directory.parent))
    assert done.returncode == 1
    assert done.stderr.startswith(f"build: {directory} has to be a checkout, since git says which files belong")
    assert not (directory / "build").exists()
