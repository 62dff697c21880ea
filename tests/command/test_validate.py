# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller validate``: whether a list file is one that the lists can take."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from machine import as_nobody, look
from running import Command, changed, run

FINE, ERROR, USAGE = 0, 1, 2


@pytest.fixture
def listed(tmp_path):
    """Write a list file, and return its path."""

    def write(text: str) -> str:
        path = tmp_path / "list"
        path.write_text(text)
        return str(path)

    return write


def test_a_list_file_is_counted_by_what_its_entries_are(command, listed):
    path = listed("192.0.2.1\n192.0.2.1 ttl=1h # twice\n192.0.2.0/24\n2001:db8::1\n2001:db8::/32\n198.51.100.1\n")
    before = look()
    done = command("validate", path)
    assert (done.returncode, done.stderr.count("\n")) == (FINE, 1)  # the two ways in which one is asked for
    assert done.stdout == f"{path}: 5 entries (2 IPv4 addresses, 1 IPv6 addresses, 1 IPv4 networks, 1 IPv6 networks)\n"
    told = json.loads(command("validate", "--json", path).stdout)
    assert told["entries"] == 5
    assert told["kinds"] == {"exact4": 2, "exact6": 1, "network4": 1, "network6": 1}
    assert look() == before


@pytest.mark.parametrize("text", ["192.0.2.1\nspam\n", "10.0.0.1/8\n", "192.0.2.1 blocked since May\n", "{}", "<html>"])
def test_what_the_module_refuses_is_refused_with_the_same_sentence(command, listed, text):
    path = listed(text)
    done = command("validate", path)
    refused = run("xdp_blocklist", src=path, check=True)
    assert refused["failed"]
    assert (done.returncode, done.stdout, done.stderr) == (ERROR, "", f"pingkiller: {refused['msg']}\n")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("192.0.2.1 blocked since May\n", {"format": "first_column"}),
        ("10.0.0.1/8\n", {"host_bits": "mask"}),
        ("192.0.2.1\nspam\n", {"on_invalid": "skip"}),
    ],
)
def test_a_file_is_read_with_the_options_of_the_module(command, listed, text, options):
    path = listed(text)
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    done = command("validate", *words, path)
    assert (done.returncode, done.stdout.split(" (")[0]) == (FINE, f"{path}: 1 entries")
    warnings = run("xdp_blocklist", src=path, check=True, **options)["warnings"]
    assert all(warning in done.stderr for warning in warnings if "left out" in warning)


def test_an_entry_that_is_everybody_is_warned_about_on_the_blocklist_only(command, listed):
    path = listed("0.0.0.0/0\n")
    done = command("validate", path)
    assert (done.returncode, done.stderr.split(" is ")[0]) == (FINE, "pingkiller: warning: 0.0.0.0/0")
    assert command("validate", "--list", "allowlist", path).stderr == ""


def test_a_file_that_does_not_fit_into_the_lists_of_this_host_is_refused(command, listed):
    path = listed("".join(f"192.0.2.{number}\n" for number in range(11)))
    changed("xdp_filter", interface="pk0", max_entries=10)
    done = command("validate", path)
    assert done.returncode == ERROR
    assert done.stderr.startswith("pingkiller: the blocklist would have 11 entries and has room for 10: ")


def test_any_user_may_validate(anyone):
    Path("/run/list").write_text("192.0.2.1\n")
    os.chmod("/run", 0o755)
    done = as_nobody(anyone, "validate", "/run/list")
    assert (done.returncode, done.stderr) == (FINE, "")


def test_a_list_can_come_on_standard_input(command):
    done = command("validate", "-", input="192.0.2.1\n")
    assert (done.returncode, done.stdout) == (FINE, "-: 1 entries (1 IPv4 addresses)\n")
    done = command("validate", "-", input="spam\n")
    assert (done.returncode, done.stderr.split(" is ")[0]) == (ERROR, "pingkiller: standard input, line 1: 'spam'")


@pytest.mark.parametrize("path", ["/nosuch", "/dev/zero", "/etc", ""])
def test_what_is_no_file_is_refused_in_a_sentence(command, path):
    done = command("validate", path)
    assert (done.returncode, done.stdout) == (ERROR, "")
    assert done.stderr.startswith(f"pingkiller: src='{path}' ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("text", "accepted"), [("192.0.2.1\n", True), ("spam\n", False)])
def test_ansible_replaces_a_list_file_only_by_one_that_is_valid(pingkiller, listed, tmp_path, text, accepted):
    source, target = listed(text), tmp_path / "blocklist"
    target.write_text("198.51.100.1\n")
    arguments = f"src={source} dest={target} validate='{pingkiller} validate %s'"
    result = Command(tmp_path).module("copy", arguments)
    assert ("FAILED" in result["heading"]) != accepted, result
    assert target.read_text() == (text if accepted else "198.51.100.1\n")
    if not accepted:
        assert "line 1: 'spam' is not an IPv4 or IPv6 address" in result["msg"] + json.dumps(result)


def test_a_full_disk_is_told_in_a_sentence(pingkiller, listed):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [pingkiller, "validate", listed("192.0.2.1\n")],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == ERROR
    assert done.stderr.startswith("pingkiller: a system call failed ([Errno 28]")
