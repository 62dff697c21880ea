# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the kernel tests. Only the tests of the model itself run without root."""

from __future__ import annotations

import datetime
import os
from contextlib import ExitStack

import built
import pytest
from harness import Host
from network import Cable, run, unique_name

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import compiler
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import lock


def pytest_addoption(parser):
    parser.addoption(
        "--groups", type=int, default=300, metavar="N", help="ask the kernel so many questions of each sort"
    )
    parser.addoption(
        "--row", default="", metavar="NAME", help="of the table, only the rows that have this in their names"
    )
    today = datetime.date.today().toordinal()
    parser.addoption(
        "--seed", type=int, default=today, metavar="S", help="ask those that a run with this seed has asked"
    )


@pytest.fixture(scope="session")
def _bpf_file_system():
    """Skip without root. The library mounts the BPF file system if it is missing. Unmount it again in that case."""
    if os.geteuid() != 0:
        pytest.skip("loading programs into the kernel needs root")
    had_one = os.path.ismount("/sys/fs/bpf")
    yield
    if not had_one and not os.listdir("/sys/fs/bpf"):
        run("umount", "/sys/fs/bpf", check=False)


@pytest.fixture(scope="session", autouse=True)
def _beside_others(tmp_path_factory):
    """Share compiled programs with the other processes of this run, but not the lock: hosts are separate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "compile_program", built.compile_program)
        patch.setattr(lock, "LOCK_FILE", str(tmp_path_factory.mktemp("host") / "lock"))
        yield


@pytest.fixture(scope="session")
def host(_bpf_file_system):
    """One host for all test runs, with one filter for each set of options."""
    with Host() as made:
        yield made


@pytest.fixture
def cable(_bpf_file_system):
    """A veth pair into a namespace, for real traffic."""
    with ExitStack() as stack:
        yield Cable(stack, unique_name())


@pytest.fixture
def live_host(cable):
    """A host for one test with real traffic. It is removed before the cable."""
    with Host() as made:
        yield made
