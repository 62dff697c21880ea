# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that change a host, the runs before each, and what must hold after one of them failed."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

import built
import faults
import kept
from machine import echo_request, held, ping, program
from running import SOURCES, run, unchanged
from schemas import EARLIER, replaced

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, netlink, schema, tc
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import facts
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import (
    entry_list,
    filter_programs,
    hooks,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

TC_ACT_SHOT = 2

#: Limits nested networks and extension headers to 1: no test here needs more, and BCC takes half the time.
SHORT = ("lists.h", "MAX_NESTED_NETWORKS 32", "MAX_NESTED_NETWORKS 1"), ("parse.h", "EXTENSIONS 24", "EXTENSIONS 1")

BLOCKED = "192.0.2.1"
LIST = {"ip": [BLOCKED, "198.51.100.0/24"], "exclusive": True, "owner": "inventory"}
FILTER = {"interface": "pk0", "max_entries": 100, "reset": True, "_sources": replaced(SOURCES, *SHORT)}
OTHER_FILTER = {"interface": "pk1", "hook": "tc_ingress", "_sources": FILTER["_sources"]}
EVERYTHING = {"policy": "drop", "timing_sample": 1, "events": "dropped", "ratelimit_pps": 100}


class Operation(NamedTuple):
    """A run of a module, and the runs before it."""

    before: tuple  #: of modules with their arguments and functions to prepare them
    module: str
    arguments: dict
    filters: bool = True  #: whether a filter is attached before, which must then never stop filtering
    removes: bool = False
    brief: bool = False  #: whether another operation has steps of the same kinds with the same errors

    def set_up(self) -> None:
        for module, arguments, *prepare in self.before:
            result = run(module, *prepare, **arguments)
            assert not result.get("failed"), result
        if self.counts:
            ping("pk0", BLOCKED, 3)

    @property
    def counts(self) -> bool:
        """Whether an entry exists before and after the run and keeps counting what the filter drops."""
        return self.filters and not self.removes

    def run(self, *prepare) -> dict:
        return run(self.module, *prepare, **self.arguments)

    def begin(self) -> None:
        """Prepare a host on which only this operation has run: pins that no set-up removes are there."""
        module, arguments = NOTHING
        run(module, **arguments)
        self.set_up()
        self.run()

    def record(self) -> tuple[list[faults.Step], list[tuple]]:
        """Return the steps of a run that is not the first, and those of its calls that compilation makes."""
        self.begin()
        self.set_up()
        steps = faults.record(lambda prepare: self.run(built.anew, prepare))
        of_compiler = faults.of_compiler(steps)
        if of_compiler:
            self.set_up()
            loaded = faults.record(self.run)
            with_bcc, without = (
                [step for step in each if step.lasts and step.call not in of_compiler] for each in (steps, loaded)
            )
            assert with_bcc == without  # so that a step means the same place in both
        return steps, list(of_compiler)


class Recorded(NamedTuple):
    """What running an operation has shown."""

    steps: list[faults.Step]
    of_compiler: set[tuple]

    def needs(self, step: faults.Step) -> tuple:
        """Return what prepares a run to reach this step: it compiles, except if BCC has no part in the step."""
        return () if step.lasts and step.call not in self.of_compiler else (built.anew,)


def recorded(name: str) -> Recorded:
    """Return the recording of an operation, made by one process for all. It can leave anything on the host."""
    steps, of_compiler = kept.once(f"steps of {name}", OPERATIONS[name].record)
    return Recorded([faults.Step(*each) for each in steps], set(map(tuple, of_compiler)))


NOTHING = ("xdp_filter", {"state": "absent", "all": True})
LISTED = ("xdp_blocklist", LIST)
FILTERED = ("xdp_filter", FILTER)
be_earlier, EARLIER_SOURCES = EARLIER[1]
EARLIER_FILTERED = ("xdp_filter", {**FILTER, "_sources": replaced(EARLIER_SOURCES, *SHORT)})
CLAIMED = ("xdp_blocklist", {"ip": [BLOCKED, "203.0.113.1"], "owner": "feed", "exclusive": True, "direction": "both"})
CHANGED_LIST = {**LIST, "ip": [BLOCKED, "192.0.2.2", "203.0.113.1", "10.0.0.0/8", "2001:db8::/32"]}

OPERATIONS = {
    "first-entry": Operation((NOTHING,), *LISTED, filters=False),
    "first-attach": Operation((NOTHING,), *FILTERED, filters=False),
    "attach": Operation((("xdp_filter", {"interface": "pk0", "state": "absent"}), LISTED), *FILTERED, filters=False),
    "upgrade": Operation((FILTERED, LISTED), "xdp_filter", {**FILTER, **EVERYTHING}),
    "grow": Operation((NOTHING, FILTERED, LISTED, CLAIMED), "xdp_filter", {**FILTER, "max_entries": 200}),
    "migrate": Operation((NOTHING, (*EARLIER_FILTERED, be_earlier), (*LISTED, be_earlier)), *FILTERED, brief=True),
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


def described() -> dict:
    """Return what users are told of those parts of the host that a run could change."""
    told = facts.collect(DEFAULT_BASE)
    filters = {
        name: (each["mode"], each["program"] and each["program"]["id"], each["build_id"], each["options"])
        for name, each in told["filters"].items()
    }
    return {
        "filters": filters,
        "held": held(),
        "capacity": {name: each["capacity"] for name, each in told["lists"].items()},
        "programs": [each.programs for each in netlink.links()],
        "clsact": [each.name for each in netlink.links() if tc.has_clsact(each.ifindex)],
        "there": os.path.isdir(DEFAULT_BASE),
    }


def shot_by(program_id: int, source: str) -> bool:
    """Return whether the stand-in classifier, which filters while the mode changes, drops a ping."""
    with bpf.Program.from_id(program_id) as classifier:
        return classifier.test_run(echo_request(source)).verdict == TC_ACT_SHOT


def met() -> int:
    """Return how many packets have matched the entry of BLOCKED."""
    with entry_list.opened_list(Pins(DEFAULT_BASE), "blocklist") as entries:
        return entries.records.counts(entries.slot_of(socket.inet_aton(BLOCKED)))[0]


def assert_filters(operation: Operation) -> int:
    """Check that the filter still drops what it dropped before; return how many packets this sent."""
    if operation.filters and (program("pk0") or not operation.removes):
        standing_in = filter_programs.stand_in(Pins(DEFAULT_BASE), "pk0")
        assert program("pk0") or standing_in
        assert not program("pk0") or ping("pk0", BLOCKED) == "drop"
        assert program("pk0") or shot_by(standing_in.program_id, BLOCKED)
        return 1
    return 0


def assert_converges(operation: Operation) -> None:
    before = described()
    result = operation.run()
    assert not result.get("failed"), result
    assert result["changed"] == (before != described()), result
    unchanged(operation.module, **operation.arguments)
    at_tc = [interface for interface, hook in map(hooks.split_name, described()["filters"]) if hook != schema.XDP]
    assert described()["clsact"] == at_tc
    if operation.removes:
        assert not os.path.exists(DEFAULT_BASE)
    elif operation.module == "xdp_filter" and operation.arguments.get("state") != "absent":
        assert described()["filters"]


def assert_removable() -> None:
    """Check that a removal removes everything, whatever happened before."""
    run(NOTHING[0], **NOTHING[1])
    assert not os.path.exists(DEFAULT_BASE)
    assert not any(netlink.link(name).programs for name in ("pk0", "pk1"))
    assert os.listdir("/run") == []
