# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploying again to hosts with PingKiller."""

import pytest

HOSTS = ("alpha", "bravo", "charlie")
UNCHANGED = dict.fromkeys(HOSTS, 0)


@pytest.fixture(scope="module")
def second(deploy, by_hand):
    """A second deployment; before it, an address was blocked by hand."""
    by_hand("present", "203.0.113.77")
    yield deploy()
    by_hand("absent", "203.0.113.77")


def test_second_deployment_changes_nothing(second):
    assert second.returncode == 0
    assert second.changed == UNCHANGED


@pytest.mark.usefixtures("second")
def test_address_blocked_by_hand_survives_a_deployment(ping):
    assert not any(ping("203.0.113.77", host) for host in HOSTS)


@pytest.mark.parametrize("name", ["playbooks/deploy-pingkiller.yml", "pingkiller.fleet.deploy_pingkiller"])
def test_check_mode_of_a_second_deployment_by_each_name_predicts_no_change_and_shows_no_difference(playbook, name):
    run = playbook(name, "--check", "--diff")
    assert run.returncode == 0
    assert run.changed == UNCHANGED
    assert run.differences == {}


def test_address_no_longer_listed_is_answered_after_the_next_deployment(deploy, ping):
    assert deploy(pingkiller_blocklist_more=["203.0.113.200"]).returncode == 0
    assert not any(ping("203.0.113.200", host) for host in HOSTS)
    assert deploy().returncode == 0
    assert all(ping("203.0.113.200", host, patience=5) for host in HOSTS)
