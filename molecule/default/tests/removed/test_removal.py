# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts from which PingKiller has been removed."""

import json

testinfra_hosts = ["ansible://fleet"]

HOSTS = ("alpha", "bravo", "charlie")
SOURCES = ("203.0.113.66", "2001:db8:bad::66", "198.51.100.7", "192.0.2.1", "203.0.113.11", "203.0.113.5")


def test_every_source_is_answered(name, ping):
    assert [source for source in SOURCES if not ping(source, name, patience=5)] == []


def test_no_program_is_attached(host):
    assert [link["ifname"] for link in json.loads(host.check_output("ip -j -d link")) if "xdp" in link] == []


def test_no_pin_and_no_file_is_left(host):
    assert not host.file("/sys/fs/bpf/pingkiller").exists
    assert not host.file("/etc/pingkiller").exists


def test_facts_of_a_host_without_a_filter_are_empty_and_no_failure(facts):
    assert facts()["filters"] == {}


def test_removing_again_changes_nothing(playbook):
    run = playbook("remove-pingkiller.yml")
    assert run.returncode == 0
    assert run.changed == dict.fromkeys(HOSTS, 0)


def test_check_mode_of_removing_again_predicts_no_change(playbook):
    run = playbook("remove-pingkiller.yml", "--check")
    assert run.returncode == 0
    assert run.changed == dict.fromkeys(HOSTS, 0)
