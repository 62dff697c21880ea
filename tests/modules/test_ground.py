# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the middle of a run, the BPF file system, the interface or its name, or the file being read disappears."""

from __future__ import annotations

import os
from collections.abc import Callable

import faults
import pytest
from machine import BPFFS, held, ip, look, mount, own_machine, ping, umount
from operations import (
    BLOCKED,
    OPERATIONS,
    Operation,
    assert_converges,
    assert_filters,
    assert_removable,
    described,
    recorded,
)
from running import changed, facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import list_files


@pytest.fixture(scope="module")
def machine():
    with own_machine():
        yield look()


def interrupted(name: str, quarter: int, happen: Callable[[], None]) -> tuple[Operation, dict]:
    """Return an operation, and the result of a run in which something happens where a quarter begins.

    Only steps that last count. How often a run reads programs depends on others on the machine, and the kernel has a program
    loaded again if a signal comes meanwhile.
    """
    operation, known = OPERATIONS[name], recorded(name)
    steps = [step for step in known.steps if step.lasts]
    step = steps[len(steps) * quarter // 4]
    operation.begin()
    operation.set_up()
    with faults.at(step, happen) as fault:
        result = operation.run(*known.needs(step), fault.prepare)
    assert fault.step is not None
    return operation, result


def unmount() -> None:
    """Unmount the BPF file system, as somebody may who thinks that it is unused."""
    umount(BPFFS)


@pytest.mark.parametrize("name", ["attach", "upgrade", "grow", "sync", "remove"])
def test_the_bpf_file_system_may_be_unmounted_in_the_middle(machine, name, quarter):
    """The program keeps running with its maps. The next run finds the maps in the program and pins them again."""
    operation, result = interrupted(name, quarter, unmount)
    try:
        assert not result.get("failed") or result["msg"]
        assert_filters(operation)
        assert_converges(operation)
        assert_removable()
    finally:
        if not os.path.ismount(BPFFS):
            mount("bpf", BPFFS)


@pytest.mark.parametrize("name", ["attach", "upgrade"])
def test_an_interface_may_be_renamed_in_the_middle(machine, name, quarter):
    operation, result = interrupted(name, quarter, lambda: ip("link", "set", "pk0", "name", "pknew"))
    try:
        assert not result.get("failed") or result["msg"]
        if operation.filters:
            assert ping("pknew", BLOCKED) == "drop"
        again = run(operation.module, **{**operation.arguments, "interface": "pknew"})
        assert not again.get("failed"), again
        assert list(described()["filters"]) == ["pknew"]
        assert ping("pknew", BLOCKED) == "drop"
        unchanged(operation.module, **{**operation.arguments, "interface": "pknew"})
    finally:
        ip("link", "set", "pknew", "name", "pk0")
        run("xdp_filter", state="absent")


@pytest.mark.parametrize("name", ["attach", "upgrade"])
def test_an_interface_may_go_in_the_middle(machine, name, quarter):
    operation, result = interrupted(name, quarter, lambda: ip("link", "del", "pk0"))
    try:
        assert not result.get("failed") or result["msg"]
    finally:
        ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")
    again = operation.run()
    assert again.get("changed"), again
    unchanged(operation.module, **operation.arguments)
    assert_removable()


@pytest.mark.parametrize("name", ["a\rb\vc\x1c\x85", "\udcff\udcfe", "x - bpf bpf\n1 2 3:4 / /sys rw - bpf"])
def test_a_mount_point_may_be_called_whatever_somebody_likes(machine, tmp_path, name):
    place = str(tmp_path / name)
    os.makedirs(place)
    mount("tmpfs", place)
    changed("xdp_filter", interface="pk0", policy="drop")
    changed("xdp_blocklist", ip="203.0.113.66")
    assert list(facts()["filters"]) == ["pk0"]
    changed("xdp_filter", state="absent", all=True)
    umount(place)


@pytest.mark.parametrize("module", ["xdp_blocklist", "xdp_allowlist"])
@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("192.0.2.9\n"), lambda path: path.open("a").write("192.0.2.9\n")]
)
def test_a_list_file_that_changes_while_it_is_read_is_refused_whole(machine, tmp_path, monkeypatch, module, damage):
    path = tmp_path / "list"
    path.write_text("192.0.2.1\n192.0.2.2\n")
    run(module, src=str(path), exclusive=True)
    before = held()
    parse_file = list_files.parse_file

    def parse_and_damage(*arguments, **options):
        parsed = parse_file(*arguments, **options)
        damage(path)
        return parsed

    monkeypatch.setattr(list_files, "parse_file", parse_and_damage)
    said = run(module, src=str(path), exclusive=True)["msg"]
    assert said == f"src={str(path)!r} was written to while it was read: nothing was changed; run again"
    assert held() == before
    monkeypatch.undo()
    assert run(module, src=str(path), exclusive=True)["changed"]
    unchanged(module, src=str(path), exclusive=True)
    run("xdp_filter", state="absent")
