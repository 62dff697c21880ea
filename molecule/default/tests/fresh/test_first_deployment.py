# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which PingKiller has never been."""

import ctypes
import ctypes.util
import json
import os
import time

import pytest

HOSTS = ("alpha", "bravo", "charlie")


@pytest.fixture(scope="module")
def before(disk):
    """The hosts' disks before any run."""
    return {host: disk(host) for host in HOSTS}


@pytest.fixture(scope="module")
def predicted(before, deploy):
    """A deployment in check mode."""
    return deploy("--check", "--diff")


@pytest.fixture(scope="module")
def after_prediction(predicted, disk):
    return {host: disk(host) for host in HOSTS}


@pytest.fixture(scope="module")
def deployed(after_prediction, deploy):
    """The deployment itself."""
    return deploy("--diff")


@pytest.fixture(scope="module")
def programs(deployed, on):
    """Ids of the programs that the deployment attached."""
    links = [link for host in HOSTS for link in json.loads(on(host, "ip", "-j", "-d", "link"))]
    return [link["xdp"]["prog"]["id"] for link in links if "xdp" in link]


@pytest.fixture(scope="module")
def removed(deployed, programs, playbook):
    return playbook("remove-pingkiller.yml")


def test_check_mode_succeeds_on_a_fresh_host(predicted):
    assert predicted.returncode == 0
    assert set(predicted.changed) == set(HOSTS)
    assert all(predicted.changed.values())


def test_check_mode_touches_nothing_on_a_fresh_host(before, after_prediction):
    assert after_prediction == before


def test_deployment_changes_exactly_what_check_mode_predicted(predicted, deployed):
    assert deployed.returncode == 0
    assert deployed.changes == predicted.changes
    assert deployed.changed == predicted.changed


def test_deployment_shows_exactly_the_differences_that_check_mode_predicted(predicted, deployed):
    shown, foretold = deployed.differences, predicted.differences
    assert shown == foretold
    assert len(shown) >= 3


def test_deployment_warns_of_exactly_what_check_mode_predicted(predicted, deployed):
    assert deployed.warnings == predicted.warnings


@pytest.mark.parametrize("host", HOSTS)
def test_host_is_as_it_was_after_deployment_and_removal(before, removed, disk, host):
    assert removed.returncode == 0
    assert disk(host) == before[host]


def test_no_program_stays_in_the_kernel_after_removal(programs, removed):
    assert len(programs) == len(HOSTS)
    deadline = time.monotonic() + 5
    # The kernel frees a program a moment after its last reference is gone.
    while left := [number for number in programs if in_kernel(number)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def in_kernel(number):
    """Return whether a program exists. Programs belong to the kernel, which all hosts share with this machine."""
    descriptor = ctypes.CDLL(ctypes.util.find_library("bpf")).bpf_prog_get_fd_by_id(number)
    if descriptor < 0:
        return False
    os.close(descriptor)
    return True
