# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the playbook report tells the truth about real hosts, one of which cannot be reached."""

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "report"
LISTED = "203.0.113.66"


def fleet(*arguments):
    command = [CHECKOUT / "tools/fleet", "--name", NAME, *arguments]
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def play(playbook, directory, *arguments):
    """Run a playbook of the collection in a directory. Returns its output, after checking that it has not failed."""
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", CHECKOUT / f".fleet/{NAME}/inventory.yml", playbook, *arguments],
        cwd=directory,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
            "ANSIBLE_TIMEOUT": "2",
        },
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def deployed(tmp_path_factory):
    """Two hosts with filters. One has dropped something, and to the other nobody can connect by now."""
    fleet("down")
    booted = fleet("up", "--hosts", "alpha,bravo")
    assert booted.returncode == 0, booted.stderr
    try:
        play("pingkiller.fleet.deploy_pingkiller", tmp_path_factory.mktemp("deploy"))
        assert fleet("ping", LISTED, "alpha", "-c", "7", "-i", "0.01", "-W", "0.1").returncode == 1
        assert fleet("exec", "bravo", "systemctl", "stop", "ssh").returncode == 0
        yield
    finally:
        fleet("down")


def test_report_tells_what_a_host_has_dropped_and_which_one_cannot_be_reached(tmp_path):
    said = play("pingkiller.fleet.report", tmp_path, "--check")
    assert f"Would write '{tmp_path}/pingkiller-report.html': 1 of 2 hosts lacks what the inventory wants." in said
    assert os.listdir(tmp_path) == []

    said = play("pingkiller.fleet.report", tmp_path)
    assert said.strip().splitlines()[-1].startswith(f"Wrote '{tmp_path}/pingkiller-report.html': 1 of 2 hosts lacks")
    assert re.search(r"^alpha .* changed=0 ", said, re.MULTILINE)
    page = text(tmp_path)
    assert "1 of 2 hosts lacks what the inventory wants" in page
    assert re.search(r"bravo .* ssh: .* unreachable no answer", page)
    assert re.search(rf"alpha fine 1 of 1 host0 native, pass 0 7 .* {LISTED} 7 packets", page)
    assert re.search(r"blocklist its source or destination is on the blocklist 7 7 0 0", page)
    record = json.loads((tmp_path / "pingkiller-report.json").read_text())
    assert {host: each["state"] for host, each in record["hosts"].items()} == {"alpha": "fine", "bravo": "unreachable"}

    assert fleet("ping", LISTED, "alpha", "-c", "2", "-i", "0.01", "-W", "0.1").returncode == 1
    play("pingkiller.fleet.report", tmp_path)
    assert "2 packets were dropped since then." in text(tmp_path)


def text(directory):
    page = (directory / "pingkiller-report.html").read_text()
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2])).split())
