# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kill or a kernel error at any step: the filter keeps filtering, and the next run reaches the requested state and
reports correctly whether it changed anything.

The steps are the system calls of a run, recorded when the tests are collected. A test run takes every third of some 500
steps, and the next third tomorrow; --faults-every=1 takes all, --faults-day those of another day.
"""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import NamedTuple

import faults
import pytest
from machine import own_machine
from operations import OPERATIONS, assert_converges, assert_filters, met, recorded
from running import killed

#: The kernel's answer if it cannot serve a call of this kind. Calls not named here get EPERM or ENOMEM.
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


#: Maps that are being made, or were set aside for removal: the next run removes them, however many are there.
NOBODYS = "pingkiller_next/"


class Row(NamedTuple):
    operation: str
    step: faults.Step
    fault: int | str

    def __str__(self) -> str:
        fault = errno.errorcode[self.fault] if isinstance(self.fault, int) else self.fault
        return f"{self.operation}-{fault}-{self.step}"


def find_rows() -> list[Row]:
    first = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"
    with own_machine():
        for name in sorted(OPERATIONS, reverse=not first):  # two processes start at opposite ends
            recorded(name)
    rows = [row for name in OPERATIONS for row in rows_of(name)]
    # first-entry and first-attach begin with the same maps on the same host.
    made = {row[1:] for row in rows if row.operation == "first-entry"}
    return [row for row in rows if row.operation != "first-attach" or row[1:] not in made]


def rows_of(name: str) -> list[Row]:
    """Return a kill before every step that leaves something behind, and an error at one step of each kind.

    One kill for each kind of step is enough in maps that nobody uses, or if another operation has the same steps.
    """
    operation = OPERATIONS[name]
    rows, seen = [], set()
    for step in recorded(name).steps:
        if "/include" in step.path or step.what == "unlinkat":  # headers that are written for one compilation
            continue
        brief = operation.brief or step.path.startswith(NOBODYS)
        if step.lasts and not (brief and step.kind in seen):
            rows.append(Row(name, step, faults.KILL))
        if step.kind not in seen and not operation.brief:
            rows.append(Row(name, step, ANSWERS.get(step.what, (errno.EPERM, errno.ENOMEM)[len(seen) % 2])))
        seen.add(step.kind)
    return rows


def pytest_generate_tests(metafunc):
    if "row" in metafunc.fixturenames:
        rows = find_rows() if os.geteuid() == 0 else []
        metafunc.parametrize("row", faults.of_the_day(rows, metafunc.config), ids=str)


@pytest.fixture(scope="module")
def machine():
    """A machine and its latest operation: with several worker processes, each gets rows of any operation."""
    with own_machine():
        yield SimpleNamespace(operation=None)


def test_a_fault_at_any_step_does_no_harm_and_the_next_run_converges(machine, row):
    operation = OPERATIONS[row.operation]
    if machine.operation != row.operation:
        operation.begin()
        machine.operation = row.operation
    operation.set_up()
    counted = met() if operation.counts else 0
    needed = recorded(row.operation).needs(row.step)
    with faults.at(row.step, row.fault) as fault:
        if row.fault == faults.KILL:
            killed(operation.module, *needed, fault.prepare, **operation.arguments)
        else:
            result = operation.run(*needed, fault.prepare)
            assert result.get("failed") is None or result["msg"]
    assert fault.step is not None
    sent = assert_filters(operation)
    assert_converges(operation)
    if operation.counts:
        assert met() == counted + sent
