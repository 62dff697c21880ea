# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed, refused by the kernel, or with the ground taken away at any step: what filtered goes on filtering, and the next
run ends in what was wanted and says truly whether it changed anything.

The steps are the system calls that a run makes, found by running it once when the tests are collected.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

import faults
import pytest
from machine import BPFFS, held, ip, look, mount, own_machine, ping, program, umount
from running import killed, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import addresses, netlink
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import facts as facts_module
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.pins import DEFAULT_BASE

BLOCKED = "192.0.2.1"
LIST = {"ip": [BLOCKED, "198.51.100.0/24"], "exclusive": True, "owner": "inventory"}
FILTER = {"interface": "pk0", "max_entries": 100}
OTHER_FILTER = {"interface": "pk1", "hook": "tc_ingress"}
EVERYTHING = {"policy": "drop", "timing_sample": 1, "events": "dropped", "ratelimit_pps": 100}


class Operation(NamedTuple):
    """A run of a module, and the runs before it."""

    before: tuple  #: of pairs of a module and its arguments
    module: str
    arguments: dict
    filters: bool = True  #: whether a filter is attached before, which must then never stop to filter
    removes: bool = False

    def set_up(self) -> None:
        for module, arguments in self.before:
            result = run(module, **arguments)
            assert not result.get("failed"), result

    def run(self, *prepare) -> dict:
        return run(self.module, *prepare, **self.arguments)


NOTHING = ("xdp_filter", {"state": "absent"})
LISTED = ("xdp_blocklist", LIST)
FILTERED = ("xdp_filter", FILTER)
CLAIMED = ("xdp_blocklist", {"ip": [BLOCKED, "203.0.113.1"], "owner": "feed", "exclusive": True, "direction": "both"})
CHANGED_LIST = {**LIST, "ip": [BLOCKED, "192.0.2.2", "203.0.113.1", "10.0.0.0/8", "2001:db8::/32"]}

OPERATIONS = {
    "first-entry": Operation((NOTHING,), *LISTED, filters=False),
    "first-attach": Operation((NOTHING,), *FILTERED, filters=False),
    "attach": Operation((("xdp_filter", {"interface": "pk0", "state": "absent"}), LISTED), *FILTERED, filters=False),
    "upgrade": Operation((FILTERED, LISTED), "xdp_filter", {**FILTER, **EVERYTHING}),
    "grow": Operation((FILTERED, LISTED, CLAIMED), "xdp_filter", {**FILTER, "max_entries": 200}),
    "to-generic": Operation((FILTERED, LISTED), "xdp_filter", {**FILTER, "mode": "generic"}),
    "to-native": Operation(
        (("xdp_filter", {**FILTER, "mode": "generic"}), LISTED), "xdp_filter", {**FILTER, "mode": "native"}
    ),
    "attach-tc": Operation(
        (FILTERED, LISTED, ("xdp_filter", {**OTHER_FILTER, "state": "absent"})), "xdp_filter", OTHER_FILTER
    ),
    "sync": Operation((FILTERED, LISTED, CLAIMED), "xdp_blocklist", CHANGED_LIST),
    "remove-tc": Operation(
        (FILTERED, LISTED, ("xdp_filter", OTHER_FILTER)), "xdp_filter", {**OTHER_FILTER, "state": "absent"}
    ),
    "remove": Operation((FILTERED, LISTED), *NOTHING, removes=True),
}

#: What a kernel answers when a call of this kind cannot be served; whatever is not named is refused by right or for memory.
ANSWERS = {
    "MAP_CREATE": errno.ENOMEM,
    "MAP_UPDATE": errno.E2BIG,
    "MAP_UPDATE_BATCH": errno.ENOSPC,
    "OBJ_PIN": errno.ENOSPC,
    "PROG_LOAD": errno.ENOMEM,
    "mkdir": errno.ENOSPC,
    "rename": errno.ENOSPC,
    "SETLINK": errno.ENOMEM,
}


class Row(NamedTuple):
    operation: str
    number: int
    step: faults.Step
    fault: int | str

    def __str__(self) -> str:
        fault = errno.errorcode[self.fault] if isinstance(self.fault, int) else self.fault
        return f"{self.operation}-{fault}-{self.number}-{self.step}"


def find_rows() -> list[Row]:
    with own_machine():
        return [row for name in OPERATIONS for row in rows_of(name)]


def rows_of(name: str) -> list[Row]:
    """A kill before every step that leaves something behind, and an error at one step of each kind."""
    operation = OPERATIONS[name]
    for _time in range(2):  # pins that a first run makes and no set-up takes away are there in all the others
        operation.set_up()
        operation.run()
    operation.set_up()
    rows, seen = [], set()
    for number, step in enumerate(faults.record(operation.run)):
        if "/include" in step.path or step.what == "unlinkat":  # of the headers that are written for one compilation
            continue
        if step.lasts:
            rows.append(Row(name, number, step, faults.KILL))
        if step.kind not in seen:
            rows.append(Row(name, number, step, ANSWERS.get(step.what, (errno.EPERM, errno.ENOMEM)[number % 2])))
        seen.add(step.kind)
    return rows


def pytest_generate_tests(metafunc):
    if "row" in metafunc.fixturenames:
        rows = find_rows() if os.geteuid() == 0 else []
        metafunc.parametrize("row", rows, ids=str)


def described() -> dict:
    """What a user is told of the host that a run could change."""
    told = facts_module.collect(DEFAULT_BASE)
    filters = {
        name: (each["mode"], each["program"] and each["program"]["id"], each["build_id"], each["options"])
        for name, each in told["filters"].items()
    }
    return {
        "filters": filters,
        "held": held(),
        "capacity": {name: each["capacity"] for name, each in told["lists"].items()},
        "there": os.path.isdir(DEFAULT_BASE),
    }


@pytest.fixture(scope="module")
def machine():
    with own_machine():
        yield look()


def test_a_fault_at_any_step_does_no_harm_and_the_next_run_converges(machine, row):
    operation = OPERATIONS[row.operation]
    operation.set_up()
    with faults.at(row.number, row.fault) as fault:
        if row.fault == faults.KILL:
            killed(operation.module, fault.prepare, **operation.arguments)
        else:
            result = operation.run(fault.prepare)
            assert result.get("failed") is None or result["msg"]
    assert fault.step is not None
    assert_filters(operation)
    assert_converges(operation)


def assert_filters(operation: Operation) -> None:
    """What was filtered before is filtered still."""
    if operation.filters and (program("pk0") or not operation.removes):
        assert ping("pk0", BLOCKED) == "drop"


def assert_converges(operation: Operation) -> None:
    before = described()
    result = operation.run()
    assert not result.get("failed"), result
    assert result["changed"] == (before != described()), result
    unchanged(operation.module, **operation.arguments)
    if operation.removes:
        assert not os.path.exists(DEFAULT_BASE)
    elif operation.module == "xdp_filter" and operation.arguments.get("state") != "absent":
        assert described()["filters"]


def assert_removable() -> None:
    """Gone is gone, whatever happened before."""
    run(NOTHING[0], **NOTHING[1])
    assert not os.path.exists(DEFAULT_BASE)
    assert not any(netlink.link(name).programs for name in ("pk0", "pk1"))
    assert os.listdir("/run") == []


def unmount() -> None:
    """What somebody does who takes the BPF file system for something that nobody needs."""
    umount(BPFFS)


@pytest.mark.parametrize("quarter", range(1, 4))
@pytest.mark.parametrize("name", ["attach", "upgrade", "grow", "sync", "remove"])
def test_the_bpf_file_system_may_be_unmounted_in_the_middle(machine, name, quarter):
    """The program goes on, and keeps its maps. The next run finds them in it, and pins them again."""
    operation = OPERATIONS[name]
    operation.set_up()
    steps = faults.record(operation.run)
    operation.set_up()
    with faults.at(len(steps) * quarter // 4, unmount) as fault:
        result = operation.run(fault.prepare)
    try:
        assert not result.get("failed") or result["msg"]
        assert_filters(operation)
        assert_converges(operation)
        assert_removable()
    finally:
        if not os.path.ismount(BPFFS):
            mount("bpf", BPFFS)


@pytest.mark.parametrize("quarter", range(1, 4))
@pytest.mark.parametrize("name", ["attach", "upgrade"])
def test_an_interface_may_be_renamed_in_the_middle(machine, name, quarter):
    operation = OPERATIONS[name]
    operation.set_up()
    steps = faults.record(operation.run)
    operation.set_up()
    with faults.at(len(steps) * quarter // 4, lambda: ip("link", "set", "pk0", "name", "pknew")) as fault:
        result = operation.run(fault.prepare)
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


@pytest.mark.parametrize("quarter", range(1, 4))
@pytest.mark.parametrize("name", ["attach", "upgrade"])
def test_an_interface_may_go_in_the_middle(machine, name, quarter):
    operation = OPERATIONS[name]
    operation.set_up()
    steps = faults.record(operation.run)
    operation.set_up()
    with faults.at(len(steps) * quarter // 4, lambda: ip("link", "del", "pk0")) as fault:
        result = operation.run(fault.prepare)
    try:
        assert not result.get("failed") or result["msg"]
    finally:
        ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")
    again = operation.run()
    assert again.get("changed"), again
    unchanged(operation.module, **operation.arguments)
    assert_removable()


@pytest.mark.parametrize("module", ["xdp_blocklist", "xdp_allowlist"])
@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("192.0.2.9\n"), lambda path: path.open("a").write("192.0.2.9\n")]
)
def test_a_list_file_that_changes_while_it_is_read_is_refused_whole(machine, tmp_path, monkeypatch, module, damage):
    path = tmp_path / "list"
    path.write_text("192.0.2.1\n192.0.2.2\n")
    run(module, src=str(path), exclusive=True)
    before = held()
    parse_file = addresses.parse_file

    def parse_and_damage(*arguments):
        parsed = parse_file(*arguments)
        damage(path)
        return parsed

    monkeypatch.setattr(addresses, "parse_file", parse_and_damage)
    said = run(module, src=str(path), exclusive=True)["msg"]
    assert said == f"src={str(path)!r} was written to while it was read: nothing was changed; run again"
    assert held() == before
    monkeypatch.undo()
    assert run(module, src=str(path), exclusive=True)["changed"]
    unchanged(module, src=str(path), exclusive=True)
    run("xdp_filter", state="absent")
