# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller health``: what Nagios, Icinga and Zabbix read of a host.

The form is that of https://www.monitoring-plugins.org/doc/guidelines.html: one line, performance data behind a bar, exit
status 0 to 3.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess

import pytest
from machine import BPFFS, CONFIG, LOCK_FILE, ip, look, mount, ping, put_foreign_program, umount
from running import changed

OK, WARNING, CRITICAL, UNKNOWN = range(4)
LINE = re.compile(r"PINGKILLER (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+?)(?: \| ([^|\n]+))?\n")
DATUM = re.compile(r"(\w+)=(\d+)(?:c|;;;0;(\d*))")


@pytest.fixture
def wanted():
    """A host that wants a filter on pk0, and has it."""
    changed("xdp_filter", interface="pk0", persist=True, owner="inventory")
    changed("xdp_blocklist", ip=["192.0.2.1", "192.0.2.2"], persist=True)


@pytest.fixture
def health(command):
    """Return the exit status and the message of the command, as one line and as JSON, and the performance data."""

    def call() -> tuple[int, str, dict[str, str]]:
        done, as_json = command("health"), command("health", "--json")
        assert done.stderr == as_json.stderr == ""
        state, message, data = LINE.fullmatch(done.stdout).groups()
        found = json.loads(as_json.stdout)
        assert (found["status"], found["state"]) == (done.returncode, state)
        assert as_json.returncode == done.returncode
        assert message == found["message"].replace("|", "/")
        fields = [DATUM.fullmatch(each).groups() for each in (data or "").split()]
        assert all(found[name] == int(number) for name, number, _most in fields)
        return done.returncode, message, {name: number for name, number, _most in fields}

    return call


def test_a_host_that_is_as_wanted_is_ok_with_what_it_counted(wanted, health):
    ping("pk0", "192.0.2.1", 5)
    ping("pk0", "192.0.2.9", 2)
    before = look()
    status, message, data = health()
    assert (status, message) == (OK, "1 filter as wanted")
    assert data == {"passed": "2", "dropped": "5", "would_drop": "0", "blocklist": "2", "allowlist": "0"}
    assert look() == before


def test_the_line_has_the_capacity_of_a_list(wanted, command):
    assert command("health").stdout == (
        "PINGKILLER OK - 1 filter as wanted | passed=0c dropped=0c would_drop=0c blocklist=2;;;0;65536 allowlist=0;;;0;65536\n"
    )


def test_monitor_mode_is_told_but_is_not_wrong(health):
    changed("xdp_filter", interface="pk0", persist=True)
    changed("xdp_filter", interface="pk1", persist=True, policy="drop", monitor=True)
    ping("pk1", "192.0.2.9", 3)
    status, message, data = health()
    assert (status, message) == (OK, "2 filters as wanted, 1 of them only monitors")
    assert (data["dropped"], data["would_drop"]) == ("0", "3")


@pytest.mark.parametrize("kept", [True, False], ids=["restored at boot", "of the role only"])
def test_a_host_that_does_not_filter_is_critical(health, kept):
    changed("xdp_filter", interface="pk0", persist=kept, owner="inventory")
    ip("link", "set", "dev", "pk0", "xdp", "off")
    assert health()[:2] == (CRITICAL, "no filter on pk0")


def test_all_filters_that_are_missing_are_named(wanted, health):
    changed("xdp_filter", interface="pk1", hook="tc_egress", persist=True)
    umount(BPFFS)
    mount("bpf", BPFFS)
    ip("link", "del", "pk0")
    ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")
    status, message, data = health()
    assert (status, message) == (CRITICAL, "no filter on pk0, pk1/tc_egress")
    assert data["blocklist"] == "0"


def test_a_host_that_wants_no_filter_is_critical(health):
    """It is checked, so somebody thinks that it filters."""
    assert health()[:2] == (CRITICAL, "no filter is wanted here: deploy, or do not check this host")


def test_a_filter_with_other_options_is_a_warning(wanted, health, tmp_path):
    changed("xdp_filter", interface="pk0", policy="drop", config_dir=str(tmp_path / "pingkiller"))
    status, message, data = health()
    assert (status, message) == (WARNING, "missing or different: filter on pk0")
    assert data["blocklist"] == "2"


def test_a_list_without_its_entries_is_a_warning(wanted, health, tmp_path):
    changed("xdp_blocklist", ip="192.0.2.1", state="absent", config_dir=str(tmp_path / "pingkiller"))
    status, message, _data = health()
    assert status == WARNING
    assert message.startswith("missing or different: entries of adhoc on the blocklist")


def test_what_cannot_be_found_out_is_unknown_with_the_reason(wanted, health):
    os.chmod(CONFIG, 0o777)
    status, message, _data = health()
    assert status == UNKNOWN
    assert CONFIG in message


def test_maps_of_somebody_else_are_unknown(wanted, health):
    os.unlink(f"{BPFFS}/pingkiller/control")
    os.mkdir(f"{BPFFS}/pingkiller/control")
    status, message, data = health()
    assert (status, data) == (UNKNOWN, {})
    assert "control" in message


def test_a_missing_filter_is_critical_whatever_else_cannot_be_found_out(wanted, health):
    put_foreign_program("pk1")
    ip("link", "set", "dev", "pk0", "xdp", "off")
    with open(f"{CONFIG}/filters/pk1.json", "w") as file:
        file.write("[")
    assert health()[:2] == (CRITICAL, "no filter on pk0")


def test_without_root_the_state_is_unknown_on_standard_output(anyone):
    them = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run([*them, anyone, "health"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (UNKNOWN, "")
    assert done.stdout.startswith("PINGKILLER UNKNOWN - this needs root on the managed host: ")


def test_it_waits_for_no_other_run(wanted, health):
    with open(LOCK_FILE, "w") as file:
        os.chmod(LOCK_FILE, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert health()[0] == OK


def test_a_bar_and_a_line_end_in_a_name_begin_no_performance_data(wanted, health):
    with open(f"{CONFIG}/owners.json") as file:
        owners = file.read()
    assert owners.count('"pk0"') == 1, owners
    with open(f"{CONFIG}/owners.json", "w") as file:
        file.write(owners.replace('"pk0"', r'"a|b=1\nc"'))
    status, message, _data = health()
    assert (status, message) == (CRITICAL, r"no filter on a/b=1\nc")
