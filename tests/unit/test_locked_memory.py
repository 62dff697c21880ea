# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how maps are created on kernels before 5.11, which count maps as locked memory of the process."""

from __future__ import annotations

import os
import resource

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, syscall

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def old_kernel(monkeypatch):
    """Simulate a kernel that creates no map under a limit. Returns the list of limits that were set."""
    limits = [(65536, 65536)]

    def create(_attributes, _command):
        if limits[-1] != UNLIMITED:
            raise PermissionError(1, "Operation not permitted")
        return os.open("/dev/null", os.O_RDONLY)

    monkeypatch.setattr(syscall.Attributes, "call", create)
    monkeypatch.setattr(syscall.resource, "getrlimit", lambda _kind: limits[-1])
    monkeypatch.setattr(syscall.resource, "setrlimit", lambda _kind, limit: limits.append(limit))
    return limits


def test_a_map_is_made_where_the_limit_of_locked_memory_forbids_it_until_lifted(old_kernel):
    bpf.probe()
    with bpf.Map.create("name", bpf.MapInfo(type=bpf.ARRAY, key_size=4, value_size=8, max_entries=1, flags=0)):
        assert old_kernel[1:] == [UNLIMITED]


def test_the_kernels_answer_is_told_where_the_limit_may_not_be_lifted(old_kernel, monkeypatch):
    def refuse(_kind, _limit):
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(syscall.resource, "setrlimit", refuse)
    with pytest.raises(PermissionError):
        bpf.probe()
