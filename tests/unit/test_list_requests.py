# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which requests for a list are accepted, and how its change is reported."""

from __future__ import annotations

import pytest
from test_plan import as_requested, make_plan

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.plan import Demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError, quoted
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists import result as list_result
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.result import Outcome
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import limits

SOURCE, BOTH = (Claim(schema.DIRECTIONS[name]) for name in ("src", "both"))
REQUEST = ListRequest("blocklist", ip=["192.0.2.1"])


def keys(number):
    return [addresses.parse(f"10.0.{count >> 8}.{count & 255}") for count in range(number)]


def read_wanted(request):
    return read_demand(request).requested.by_key()


def result_of(current, wanted, request=REQUEST, **options):
    demand = Demand(as_requested(wanted), request.owner, **options)
    plan = make_plan(current, wanted, request.owner, **options)
    return list_result.result_of(request, demand, Outcome(plan=plan, total=7, warnings=[]))


def test_exclusive_and_absent_contradict_each_other():
    with pytest.raises(PingKillerError) as raised:
        read_wanted(REQUEST._replace(exclusive=True, absent=True))
    assert str(raised.value) == (
        "exclusive=true and state=absent contradict each other: use exclusive with state=present only"
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"absent": True}, "from_owner and state=absent contradict each other: "),
        ({"owner": "feed"}, "from_owner='feed' is the owner itself: "),
        ({"from_owner": "a feed"}, "from_owner='a feed' is not a valid owner name: "),
    ],
)
def test_a_handover_that_is_none_is_refused(more, said):
    with pytest.raises(PingKillerError) as raised:
        read_demand(REQUEST._replace(**{"from_owner": "feed", **more}))
    assert str(raised.value).startswith(said)


def test_to_ask_for_any_owner_to_want_an_entry_is_refused():
    with pytest.raises(PingKillerError) as raised:
        read_demand(REQUEST._replace(any_owner=True))
    assert str(raised.value) == (
        "any_owner=true and state=present contradict each other: leave out any_owner, and say with owner who wants the entries"
    )


def test_entries_that_are_to_go_go_in_both_directions_unless_one_is_named():
    gone = REQUEST._replace(absent=True)
    assert list(read_wanted(gone).values()) == [BOTH]
    assert list(read_wanted(gone._replace(direction="src")).values()) == [SOURCE]
    assert list(read_wanted(REQUEST).values()) == [SOURCE]


@pytest.mark.parametrize("owner", ["adhoc", "abuse-feed", "a_b.c-d", "7", "o" * 63])
def test_an_owner_has_a_plain_name(owner):
    assert read_wanted(REQUEST._replace(owner=owner))


@pytest.mark.parametrize("owner", ["", "two words", "sch\u00f6n", "a/b", "...", "line\n", "nul\0", "o" * 64])
def test_any_other_name_of_an_owner_is_refused(owner):
    with pytest.raises(PingKillerError) as raised:
        read_wanted(REQUEST._replace(owner=owner))
    assert str(raised.value).startswith(
        f"owner={quoted(owner)} is not a valid owner name: use up to 63 letters, digits, "
    )


def test_white_space_around_an_address_is_no_fault():
    assert list(read_wanted(REQUEST._replace(ip=[" 192.0.2.1", "192.0.2.1\t"]))) == [addresses.parse("192.0.2.1")]


def test_the_direction_is_that_of_every_address_of_the_task():
    assert list(read_wanted(REQUEST._replace(direction="both")).values()) == [BOTH]


def test_a_change_is_told_by_entry_in_order():
    key, other, third = keys(3)
    told = result_of({other: {"adhoc": SOURCE}, third: {"adhoc": SOURCE}}, {key: SOURCE, other: BOTH}, exclusive=True)
    assert told == {
        "changed": True,
        "count": 7,
        "added": ["10.0.0.0"],
        "added_count": 1,
        "updated": ["10.0.0.1"],
        "updated_count": 1,
        "removed": ["10.0.0.2"],
        "removed_count": 1,
        "skipped_count": 0,
        "warnings": [],
        "diff": {
            "before_header": "blocklist",
            "after_header": "blocklist",
            "before": "10.0.0.1 direction=src owner=adhoc\n10.0.0.2 direction=src owner=adhoc\n",
            "after": "10.0.0.0 direction=src owner=adhoc\n10.0.0.1 direction=both owner=adhoc\n",
        },
    }


def test_no_change_is_no_difference():
    (key,) = keys(1)
    told = result_of({key: {"adhoc": SOURCE}}, {key: SOURCE})
    assert told["changed"] is False
    assert told["diff"]["before"] == told["diff"]["after"] == ""


def test_a_long_change_is_told_in_part_and_counted_in_full():
    told = result_of({}, dict.fromkeys(keys(1003), SOURCE))
    assert told["added_count"] == 1003
    assert len(told["added"]) == 1000
    assert told["diff"]["after"].splitlines()[1000:] == ["... and 3 more changed entries"]


def test_a_list_that_does_not_fit_is_refused_with_the_numbers_and_the_way_out():
    limits.check_capacity("blocklist", 10, 10)
    with pytest.raises(PingKillerError) as raised:
        limits.check_capacity("blocklist", 11, 10)
    assert str(raised.value) == (
        "the blocklist would have 11 entries and has room for 10: nothing was changed; raise max_entries of xdp_filter "
        "(pingkiller_max_entries of the role) to 11 or more"
    )


def test_more_prefix_lengths_than_the_filter_follows_are_refused():
    limits.check_prefix_lengths("allowlist", set(range(32)))
    with pytest.raises(PingKillerError) as raised:
        limits.check_prefix_lengths("allowlist", set(range(33)))
    assert "the allowlist would have IPv6 networks of 33 different prefix lengths and may have 32" in str(raised.value)
