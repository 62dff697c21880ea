# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploying again, to hosts that PingKiller is deployed to."""

import pytest

HOSTS = ("alpha", "bravo", "charlie")
UNCHANGED = dict.fromkeys(HOSTS, 0)
ONE = ("--limit", "alpha")  # where one host shows it as well as three do


@pytest.fixture
def restored(deploy):
    """The host is as the inventory says when the test is over."""
    yield
    assert deploy(*ONE).returncode == 0


def test_second_deployment_changes_nothing(deploy):
    run = deploy()
    assert run.returncode == 0
    assert run.changed == UNCHANGED


def test_check_mode_of_a_second_deployment_predicts_no_change_and_shows_no_difference(deploy):
    run = deploy("--check", "--diff")
    assert run.returncode == 0
    assert run.changed == UNCHANGED
    assert run.differences == {}


@pytest.mark.usefixtures("restored")
def test_check_mode_predicts_exactly_what_a_change_of_lists_does(deploy):
    lists = {"pingkiller_blocklist_more": ["203.0.113.200", "2001:db8:2::/64"], "pingkiller_allowlist": []}
    predicted = deploy("--check", "--diff", *ONE, **lists)
    done = deploy("--diff", *ONE, **lists)
    assert done.changed["alpha"]
    assert done.changes == predicted.changes
    assert done.differences == predicted.differences
    assert deploy(*ONE, **lists).changed == {"alpha": 0}


@pytest.mark.usefixtures("restored")
def test_check_mode_predicts_exactly_what_a_change_of_options_does(deploy):
    options = {"pingkiller_policy": "drop", "pingkiller_icmp_types": ["echo-request", "timestamp-request"]}
    predicted = deploy("--check", "--diff", *ONE, **options)
    done = deploy("--diff", *ONE, **options)
    assert done.changed["alpha"]
    assert done.changes == predicted.changes
    assert done.differences == predicted.differences
    assert deploy(*ONE, **options).changed == {"alpha": 0}


def test_address_no_longer_listed_is_answered_after_the_next_deployment(deploy, ping):
    assert deploy(pingkiller_blocklist_more=["203.0.113.200"]).returncode == 0
    assert not any(ping("203.0.113.200", host) for host in HOSTS)
    assert deploy().returncode == 0
    assert all(ping("203.0.113.200", host, patience=5) for host in HOSTS)


def test_address_blocked_by_hand_survives_a_deployment(deploy, ping, by_hand):
    by_hand("present", "203.0.113.77")
    try:
        assert deploy().changed == UNCHANGED
        assert not any(ping("203.0.113.77", host) for host in HOSTS)
    finally:
        by_hand("absent", "203.0.113.77")


@pytest.mark.usefixtures("restored")
def test_no_ping_from_a_blocked_source_gets_through_while_options_and_lists_change(deploy, stream):
    end = stream("203.0.113.66", "alpha")
    assert deploy(*ONE, pingkiller_icmp_types=["all"], pingkiller_blocklist_more=["203.0.113.200"]).returncode == 0
    assert deploy(*ONE, pingkiller_policy="drop", pingkiller_allowlist=[]).returncode == 0
    assert deploy(*ONE).returncode == 0
    sent, answered = end()
    assert sent > 100
    assert answered == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"pingkiller_blocklist_bad": ["300.1.1.1"]},
        {"pingkiller_blocklist_bad": ["10.0.0.1/8"]},
        {"pingkiller_policy": "reject"},
        {"pingkiller_interfaces": ["nosuch0"]},
    ],
)
def test_bad_variable_fails_before_anything_changes(deploy, disk, variables):
    before = disk("alpha")
    run = deploy(*ONE, **variables)
    assert run.returncode != 0
    assert run.changed == {"alpha": 0}
    (bad,) = variables.values()
    assert (bad if isinstance(bad, str) else bad[0]) in run.said
    assert disk("alpha") == before


@pytest.mark.parametrize("name", ["playbooks/deploy-pingkiller.yml", "pingkiller.fleet.deploy_pingkiller"])
def test_playbook_is_found_by_each_of_its_names(playbook, name):
    run = playbook(name, "--check", *ONE)
    assert run.returncode == 0
    assert run.changed == {"alpha": 0}
