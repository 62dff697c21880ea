# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the role's variables for a host with PingKiller."""

import pytest

HOST = "alpha"
ONE = ("--limit", HOST)
CHANGE = {
    "pingkiller_icmp_types": ["echo-request", "timestamp-request"],
    "pingkiller_policy": "drop",
    "pingkiller_blocklist_more": ["203.0.113.200", "2001:db8:2::/64"],
    "pingkiller_allowlist": [],
}
OTHER_CHANGE = {"pingkiller_icmp_types": ["all"], "pingkiller_blocklist_more": ["203.0.113.200"]}
TO_IT = {"ip": "203.0.113.201", "direction": "dst"}


def test_change_of_options_and_lists_is_exactly_what_check_mode_predicted_and_lets_no_ping_from_a_blocked_source_through(
    deploy, stream
):
    end = stream("203.0.113.66", HOST)
    try:
        predicted = deploy("--check", "--diff", *ONE, **CHANGE)
        done = deploy("--diff", *ONE, **CHANGE)
        again = deploy(*ONE, **CHANGE)
        assert deploy(*ONE, **OTHER_CHANGE).changed[HOST]
    finally:
        assert deploy(*ONE).returncode == 0
    sent, answered = end()
    assert done.changed[HOST]
    assert done.changes == predicted.changes
    assert done.differences == predicted.differences
    assert again.changed == {HOST: 0}
    assert sent > 100
    assert answered == 0


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"pingkiller_hook": "tc_egress"}, ["no filter on this host sees what arrives"]),
        ({"pingkiller_monitor": True}, ["every filter on this host has monitor=true"]),
        (
            {"pingkiller_allowlist_more": ["192.0.2.0/28"], "pingkiller_blocklist_more": ["192.0.2.7"]},
            ["192.0.2.7: not dropped, since 192.0.2.0/28 on the allowlist (owner inventory)"],
        ),
        ({"pingkiller_filters": [{}, {"hook": "tc_egress"}], "pingkiller_blocklist_more": [TO_IT]}, []),
        ({"pingkiller_blocklist_more": [TO_IT]}, ["no filter on this host sees what leaves"]),
        ({}, []),
    ],
    ids=["other hook", "monitor", "allowlist", "both hooks", "one hook", "as before"],
)
def test_check_mode_gives_the_warnings_of_the_run(deploy, variables, told):
    """Each change begins with the state that the change before it left."""
    foretold = deploy("--check", *ONE, **variables)
    run = deploy(*ONE, **variables)
    assert (foretold.returncode, run.returncode) == (0, 0)
    assert foretold.warnings == run.warnings
    said = sorted(line.removeprefix("[WARNING]: ") for _task, line in run.warnings)
    assert len(said) == len(told)
    assert all(line.startswith(start) for line, start in zip(said, told))
