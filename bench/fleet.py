#!/usr/bin/env python3
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure commands on a whole fleet: a first deploy, a deploy without changes, a new blocklist entry, facts, a
look for the status, and a ping.

The measured time is that of the whole command for all hosts, as a user types it. The commands take turns. tools/fleet
makes the hosts, each with its own systemd, sshd, network and BPF file system. The hosts share the processors of this
machine with Ansible, so work that real machines do in parallel is done one after the other here. The seconds per host
are therefore higher than in a fleet of real machines.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import report

FLEET = "bench"
PLAYBOOK = "deploy-pingkiller.yml"
PING, FIRST, AGAIN, BLOCK, FACTS, STATUS = (
    "ansible all -m ping",
    "the first deploy",
    "a deploy that changes nothing",
    "ansible all -m xdp_blocklist -a ip=...",
    "ansible all -m xdp_facts -a list_limit=0",
    "the role's tasks status",
)
COMMANDS = (PING, FIRST, AGAIN, BLOCK, FACTS, STATUS)
#: Only the look, which no other command has as its only task, and without the second that it measures for.
LOOK = """\
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: pingkiller.fleet.pingkiller, tasks_from: status}
  vars: {pingkiller_status_window: 0}
"""
COLUMNS = {
    "hosts": "hosts",
    "what": "command",
    "seconds": "seconds",
    "each": "ms a host",
    "against_ping": "of ping",
    "controller": "CPU ms a host",
    "runs": "runs",
}

#: The systemd of a host uses inotify instances. The limit for root is one for all hosts of the machine together.
WATCHES = Path("/proc/sys/fs/inotify/max_user_instances")
WATCHES_A_HOST = 8


@contextlib.contextmanager
def fleet(hosts: int):
    """Make a fleet with this number of hosts, and remove it at the end."""
    names = ",".join(f"host{number}" for number in range(1, hosts + 1))
    allowed = WATCHES.read_text()
    try:
        if int(allowed) < hosts * WATCHES_A_HOST + 128:
            WATCHES.write_text(f"{hosts * WATCHES_A_HOST + 128}\n")
        run(sys.executable, "tools/fleet", "--name", FLEET, "up", "--hosts", names)
        yield
    finally:
        run(sys.executable, "tools/fleet", "--name", FLEET, "down")
        shutil.rmtree(report.CHECKOUT / ".fleet" / FLEET, ignore_errors=True)  # the playbook LOOK is in it
        WATCHES.write_text(allowed)


def run(*command: str) -> str:
    """Run a command and return its output, which is shown only if the command fails."""
    environment = {
        **os.environ,
        "ANSIBLE_INVENTORY": f".fleet/{FLEET}/inventory.yml",
        "ANSIBLE_CONFIG": str(report.CHECKOUT / "ansible.cfg"),
        "PATH": f"{report.CHECKOUT / '.venv/bin'}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=report.CHECKOUT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def timed(*command: str) -> tuple[float, float, str]:
    """Run a command. Return its seconds, its CPU seconds on the controller, and its output."""
    before, began = os.times(), time.perf_counter()
    said = run(*command)
    seconds, after = time.perf_counter() - began, os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, worked, said


def measure(hosts: int, runs: int) -> list[dict]:
    forks = ("--forks", str(hosts))
    deploy = ("ansible-playbook", *forks, PLAYBOOK)
    ad_hoc = ("ansible", "all", *forks, "-m")
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def turn(what: str, *command: str) -> str:
        *figures, said = timed(*command)
        taken[what].append(tuple(figures))
        return said

    run(*ad_hoc, "ping")  # sets up the connections, which last for a minute after each command
    (report.CHECKOUT / ".fleet" / FLEET / "look.yml").write_text(LOOK)
    turn(FIRST, *deploy)
    for number in range(runs):
        turn(PING, *ad_hoc, "ping")
        unchanged(turn(AGAIN, *deploy), hosts)
        turn(BLOCK, *ad_hoc, "xdp_blocklist", "-a", f"ip=192.0.2.{number % 250 + 1}")
        turn(FACTS, *ad_hoc, "xdp_facts", "-a", "list_limit=0")
        turn(STATUS, "ansible-playbook", *forks, f".fleet/{FLEET}/look.yml")
    ping = statistics.median(seconds for seconds, _ in taken[PING])
    return [row(hosts, what, taken[what], ping) for what in COMMANDS]


def unchanged(said: str, hosts: int) -> None:
    """Exit if the deploy changed something, because its figure is for a deploy without changes."""
    if said.count(" changed=0 ") != hosts:
        sys.exit(f"bench: the deploy was to change nothing on {hosts} hosts, but:\n{said[-4000:]}")


def row(hosts: int, what: str, taken: list[tuple[float, float]], ping: float) -> dict:
    seconds, worked = (statistics.median(figures) for figures in zip(*taken))
    return {
        "hosts": hosts,
        "what": what,
        "seconds": round(seconds, 1),
        "each": round(seconds / hosts * 1000),
        "against_ping": f"{seconds / ping:.1f}",
        "controller": round(worked / hosts * 1000),
        "runs": len(taken),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[8, 16, 32], help="sizes of fleets (default: 8 16 32)")
    parser.add_argument("--runs", type=int, default=3, help="how often each command is run (default: %(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    rows = []
    for hosts in options.hosts:
        with fleet(hosts):
            rows += measure(hosts, options.runs)
        print(report.table(rows[-len(COMMANDS) :], COLUMNS), end="\n\n", flush=True)
    report.write_json(report.OUTPUT / "fleet.json", rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
