# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller block``, ``unblock`` and ``flush``: they do what the modules do, say what was done, and lose nothing."""

from __future__ import annotations

import json
import os
import re

import pytest
from machine import CONFIG, LOCK_FILE, held, look, mount, ping, umount
from running import facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import lock

FINE, REFUSED, USAGE = 0, 1, 2
MANY = [f"10.{number >> 8}.{number & 255}.7" for number in range(10_000)]


def entries(name: str = "blocklist") -> list[str]:
    return held()[name]


def told(done) -> dict:
    assert done.returncode == FINE, done.stderr
    return json.loads(done.stdout)


def test_what_is_blocked_is_dropped_until_it_is_unblocked(command, filtered):
    done = command("block", "192.0.2.1")
    assert (done.returncode, done.stderr) == (FINE, "")
    assert done.stdout == "blocklist: 1 added; 1 in all\n    added: 192.0.2.1\n"
    assert ping(filtered, "192.0.2.1") == "drop"
    done = command("unblock", "192.0.2.1")
    assert done.stdout == "blocklist: 1 removed; 0 in all\n    removed: 192.0.2.1\n"
    assert ping(filtered, "192.0.2.1") == "pass"


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("line", [("block", "192.0.2.1"), ("unblock", "192.0.2.1"), ("flush", "--owner", "local")])
def test_a_second_run_changes_nothing_and_is_fine(command, line):
    command("block", "192.0.2.1" if line[0] == "block" else "192.0.2.2")
    command(*line)
    before = look()
    done = command(*line)
    assert (done.returncode, done.stderr) == (FINE, "")
    assert done.stdout.startswith("blocklist: nothing to change; ")
    assert look() == before


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize(
    "line",
    [("block", "192.0.2.1", "192.0.2.0/24"), ("unblock", "192.0.2.3", "192.0.2.9"), ("flush", "--owner", "local")],
)
def test_a_check_changes_nothing_and_predicts_what_a_run_says(command, line):
    command("block", "192.0.2.2", "192.0.2.3")
    before = look()
    predicted = told(command(*line, "--check", "--json"))
    assert look() == before
    assert predicted["changed"]
    assert "would be" in command(*line, "--check").stdout
    assert told(command(*line, "--json")) == predicted


@pytest.mark.parametrize("line", [("unblock", "192.0.2.1"), ("flush", "--owner", "local")])
def test_a_host_without_lists_gets_none_from_what_only_removes(command, line):
    before = look()
    assert not told(command(*line, "--json"))["changed"]
    assert look() == before


@pytest.mark.usefixtures("filtered")
def test_every_option_reaches_the_entry(command):
    command("block", "192.0.2.1", "--owner", "fail2ban.sshd", "--direction", "both", "--ttl", "1h")
    command("block", "2001:db8::1", "--list", "allowlist")
    (line,) = entries()
    assert re.fullmatch(r"192\.0\.2\.1 direction=both owner=fail2ban\.sshd until=\S+", line)
    assert entries("allowlist") == ["2001:db8::1 direction=src owner=local"]
    command("unblock", "192.0.2.1", "--owner", "fail2ban.sshd", "--direction", "src")
    assert entries()[0].startswith("192.0.2.1 direction=dst owner=fail2ban.sshd")
    command("unblock", "2001:db8::1", "--list", "allowlist")
    assert entries("allowlist") == []


@pytest.mark.usefixtures("filtered")
def test_networks_ranges_and_duplicates_are_entries_as_everywhere(command):
    result = told(
        command("block", "--json", "198.51.100.0/24", "192.0.2.1-192.0.2.3", "2001:db8::/32", "192.0.2.1", "192.0.2.1")
    )
    assert result["added"] == ["192.0.2.1", "192.0.2.2/31", "198.51.100.0/24", "2001:db8::/32"]


@pytest.mark.usefixtures("filtered")
def test_ten_thousand_addresses_fit_on_one_line(command):
    done = command("block", *MANY)
    assert done.stdout == "blocklist: 10000 added; 10000 in all\n"
    assert command("unblock", *MANY).stdout == "blocklist: 10000 removed; 0 in all\n"


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize(
    ("line", "named"),
    [
        (("block", ""), "''"),
        (("block", "192.0.2.1", "192.0.2.300"), "'192.0.2.300'"),
        (("block", "192.0.2.1/24"), "192.0.2.0/24"),
        (("block", "--", "-192.0.2.1"), "'-192.0.2.1'"),
        (("block", "192.0.2.1", "--ttl", "soon"), "ttl='soon'"),
        (("block", "192.0.2.1", "--owner", "a/b"), "owner='a/b'"),
        (("block", "192.0.2.1", "--lock-timeout", "-1"), "lock_timeout=-1"),
        (("unblock", "nobody"), "'nobody'"),
        (("flush", "--owner", ""), "owner=''"),
        (("flush", "--owner", "../inventory"), "owner='../inventory'"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence_and_nothing_changes(command, line, named):
    command("block", "192.0.2.7")
    before = look()
    done = command(*line)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert done.stderr.startswith("pingkiller: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
    assert look() == before


@pytest.mark.parametrize(
    "line",
    [
        ("block",),
        ("block", "-192.0.2.1"),
        ("unblock",),
        ("flush",),
        ("unblock", "192.0.2.1", "--owner", "a", "--any-owner"),
    ],
)
def test_a_wrong_command_line_is_a_matter_of_usage(command, line):
    done = command(*line)
    assert (done.returncode, done.stdout) == (USAGE, "")


@pytest.mark.usefixtures("filtered")
def test_what_has_no_effect_is_said_beside_the_result(command):
    command("block", "192.0.2.0/24", "--list", "allowlist")
    done = command("block", "192.0.2.1")
    assert done.stderr.startswith("pingkiller: warning: 192.0.2.1: not dropped, since 192.0.2.0/24 on the allowlist")
    assert told(command("block", "192.0.2.1", "--json"))["warnings"]


@pytest.mark.usefixtures("filtered")
def test_what_others_want_stays_until_any_owner_is_said(command):
    run("xdp_blocklist", ip="192.0.2.1", owner="adhoc")
    done = command("unblock", "192.0.2.1")
    assert done.returncode == FINE
    assert "still on the blocklist for adhoc" in done.stderr
    assert entries() == ["192.0.2.1 direction=src owner=adhoc"]
    command("unblock", "192.0.2.1", "--any-owner")
    assert entries() == []


@pytest.mark.usefixtures("filtered")
def test_a_flush_takes_all_of_one_owner_and_nothing_of_others(command):
    run("xdp_blocklist", ip=["192.0.2.1", "192.0.2.2"], owner="adhoc")
    command("block", "192.0.2.2", "192.0.2.3", "--list", "allowlist")
    command("block", "192.0.2.2", "192.0.2.3", "198.51.100.0/24")
    result = told(command("flush", "--owner", "local", "--json"))
    assert (result["removed"], result["updated"]) == (["192.0.2.3", "198.51.100.0/24"], ["192.0.2.2"])
    assert entries() == ["192.0.2.1 direction=src owner=adhoc", "192.0.2.2 direction=src owner=adhoc"]
    assert len(entries("allowlist")) == 2


@pytest.mark.usefixtures("filtered")
def test_a_flush_empties_what_is_restored_at_boot(command, config):
    def kept() -> list[str]:
        return sorted(path.name for path in config.glob("entries/blocklist/*"))

    run("xdp_blocklist", ip="192.0.2.1", owner="adhoc", config_dir=str(config), persist=True)
    command("block", "192.0.2.2", "--config", config)
    command("block", "192.0.2.3", "--config", config, "--no-persist")
    assert kept() == ["adhoc.json", "local.json"]
    command("unblock", "192.0.2.2", "192.0.2.3", "--config", config)
    assert kept() == ["adhoc.json"]
    command("block", "192.0.2.2", "--config", config)
    assert (
        "at boot: 192.0.2.2"
        in told(command("flush", "--owner", "local", "--config", config, "--json"))["diff"]["before"]
    )
    assert kept() == ["adhoc.json"]
    assert command("flush", "--owner", "local", "--config", config).stdout == "blocklist: nothing to change; 1 in all\n"


@pytest.fixture
def config(tmp_path):
    directory = tmp_path / "pingkiller"
    directory.mkdir(mode=0o700)
    return directory


@pytest.mark.usefixtures("filtered")
def test_who_flushes_the_inventory_learns_that_a_deployment_brings_it_back(command):
    run("xdp_blocklist", ip="192.0.2.1", owner="inventory")
    done = command("flush", "--owner", "inventory")
    assert "the next deployment puts the entries of the inventory back" in done.stderr
    assert entries() == []


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("line", [("block", "192.0.2.1"), ("stream", "--owner", "local")])
def test_on_a_full_disk_the_list_changes_and_the_message_says_that_a_boot_undoes_it(command, line):
    os.mkdir(CONFIG, 0o700)
    mount("tmpfs", CONFIG, options="size=64k,mode=0700")
    full = os.path.join(CONFIG, "full")
    with open(full, "w") as file:
        file.write("x" * 65536)
    said = {"block": "stderr", "stream": "stdout"}[line[0]]
    done = command(*line, "--persist", input="add 192.0.2.1\n")
    assert "the change is made, but a boot will undo it, since it could not be noted ([Errno 28]" in getattr(done, said)
    assert len(entries()) == 1
    os.unlink(full)
    done = command("block", "192.0.2.1", "--persist")
    umount(CONFIG)
    assert "only what is restored at boot changed" in done.stdout


@pytest.mark.usefixtures("filtered")
def test_a_held_lock_is_one_sentence_with_its_holder(command):
    with lock.host_lock():
        done = command("block", "192.0.2.1", "--lock-timeout", "0")
    assert done.returncode == REFUSED
    assert f"(process {os.getpid()}, " in done.stderr
    unchanged("xdp_blocklist", ip="192.0.2.1", state="absent")


def test_two_hundred_at_once_lose_nothing(filtered):
    """They are forked from this process, so that they really wait for each other, and not for Python to start."""
    processes = [forked("block", f"192.0.2.{number}") for number in range(200)]
    assert [os.waitpid(process, 0)[1] for process in processes] == [FINE] * len(processes)
    assert {line.split()[0] for line in entries()} == {f"192.0.2.{number}" for number in range(200)}
    assert facts()["lists"]["blocklist"]["count"] == 200
    assert ping(filtered, "192.0.2.199") == "drop"
    assert not os.path.exists(LOCK_FILE)


def forked(*line: str) -> int:
    """Run the command in a child of this process. Return its process id."""
    process = os.fork()
    if not process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 70
        try:
            status = cli.main(list(line))
        finally:
            os._exit(status)
    return process
