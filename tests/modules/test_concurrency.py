# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs at once on one host: all make their changes, none waits forever, and one that waits is told for whom."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from machine import LOCK_FILE, held, ping
from running import changed, facts, run

CLIENTS = 8
ROUNDS = 4


def child(call: Callable, *arguments) -> int:
    """Make a call in another process, which ends after it; return its id."""
    process = os.fork()
    if not process:
        status = 1
        try:
            call(*arguments)
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(status)
    return process


def add_and_remove(number: int) -> None:
    """Act as one client: add entries in each round; in all but the first and the last, remove one of them again."""
    for round_ in range(ROUNDS):
        changed("xdp_blocklist", ip=[f"10.{number}.{round_}.1", f"10.{number}.{round_}.2"], owner=f"client{number}")
        changed("xdp_allowlist", ip=f"10.{number}.{round_}.3", owner=f"client{number}")
        if 0 < round_ < ROUNDS - 1:
            changed("xdp_blocklist", ip=f"10.{number}.{round_}.1", owner=f"client{number}", state="absent")


def sync() -> None:
    for round_ in range(2 * ROUNDS):
        ip = ["192.0.2.1", *(f"198.51.100.{last}" for last in range(round_, round_ + 50))]
        changed("xdp_blocklist", ip=ip, owner="inventory", exclusive=True)


def change_filter() -> None:
    for policy in ("drop", "pass"):
        changed("xdp_filter", interface="pk0", policy=policy, icmp_types=["timestamp-request"])


def expected(number: int) -> set:
    kept = {f"10.{number}.{round_}.2 direction=src owner=client{number}" for round_ in range(ROUNDS)}
    return kept | {f"10.{number}.{round_}.1 direction=src owner=client{number}" for round_ in (0, ROUNDS - 1)}


def test_eight_clients_and_a_sync_lose_no_update(filtered):
    changed("xdp_blocklist", ip="192.0.2.1", owner="inventory")
    processes = [child(add_and_remove, number) for number in range(CLIENTS)] + [child(sync), child(change_filter)]
    assert [os.waitpid(process, 0)[1] for process in processes] == [0] * len(processes)
    lists = held()
    wanted = set().union(*(expected(number) for number in range(CLIENTS)))
    assert {line for line in lists["blocklist"] if "client" in line} == wanted
    inventory = {line.split()[0] for line in lists["blocklist"] if "inventory" in line}
    assert inventory == {"192.0.2.1", *(f"198.51.100.{last}" for last in range(2 * ROUNDS - 1, 2 * ROUNDS + 49))}
    assert len(lists["allowlist"]) == CLIENTS * ROUNDS
    assert facts()["lists"]["blocklist"]["count"] == len(lists["blocklist"])
    assert ping(filtered, "192.0.2.1") == "drop"
    assert not os.path.exists(LOCK_FILE)


def test_who_waits_too_long_learns_for_whom(filtered):
    told, tell = os.pipe()
    end, ended = os.pipe()

    def hold():
        from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import change

        def wait(*_arguments, **_options):
            os.write(tell, b".")
            os.read(end, 1)
            raise SystemExit

        sys.argv[0] = "/root/.ansible/tmp/xdp_filter.py"
        change.make_plan = wait

    holder = child(lambda: run("xdp_filter", hold, interface="pk0"))
    try:
        assert os.read(told, 1) == b"."
        for module, arguments in (("xdp_blocklist", {"ip": "192.0.2.1"}), ("xdp_filter", {"state": "absent"})):
            said = run(module, lock_timeout=0.2, **arguments)["msg"]
            assert said.startswith("another PingKiller run on this host (process ")
            assert ", xdp_filter, since 20" in said
            assert said.endswith("for the 0.2 s of lock_timeout: wait for it to end, or end it, and run again")
    finally:
        os.write(ended, b".")
        os.waitpid(holder, 0)
    changed("xdp_blocklist", ip="192.0.2.1", lock_timeout=0)
