# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the changes of a list whose entries belong to several owners."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import claims as claims_module
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import plan as plan_module
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.plan import Demand, Held
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.requested import (
    OtherClaims,
    RequestedEntries,
    merge_duplicates,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema

settings.register_profile("unit", deadline=None)  # a busy machine is not a failure
settings.load_profile("unit")

FOREVER = schema.FOREVER
SOURCE, DESTINATION, BOTH = (Claim(schema.DIRECTIONS[name]) for name in ("src", "dst", "both"))
KEYS = [addresses.parse(text) for text in ("192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32", "::/0")]
KEY, OTHER, *_ = KEYS
MANY = [*KEYS, *(addresses.parse(f"10.0.0.{number}") for number in range(4)), addresses.parse("2001:db8::2")]
OWNERS = ["adhoc", "inventory", "feed"]

requests = st.builds(
    Claim,
    st.sampled_from(list(schema.DIRECTIONS.values())),
    st.sampled_from([5, 9, FOREVER]),
    st.sampled_from(["", "scans", "spoofs"]),
)
claims = st.dictionaries(st.sampled_from(OWNERS), requests, min_size=1)
contents = st.dictionaries(st.sampled_from(KEYS), claims)
requested_claims = st.dictionaries(st.sampled_from(KEYS), requests)
#: The three kinds of requests.
kinds = st.sampled_from([{}, {"absent": True}, {"exclusive": True}])


def as_held(current):
    """Group keys of the same kind with the same claims, as a list is read from the kernel. Takes claims by key."""
    alike = {}
    for slot, (key, claims) in enumerate(current.items()):
        group = len(key), tuple(sorted(claims.items()))
        held = alike.setdefault(group, Held([], [], claims_module.effective(claims), claims))
        held.keys.append(key)
        held.slots.append(slot)
    return list(alike.values())


def as_requested(wanted):
    """Make requested entries from the claim for each key."""
    values = list(wanted.values())
    usual = max(values, key=values.count, default=SOURCE)
    others = OtherClaims((position, value) for position, value in enumerate(values) if value != usual)
    return RequestedEntries(list(wanted), usual, others)


def make_plan(current, wanted, owner, **kind):
    return plan_module.make_plan(as_held(current), Demand(as_requested(wanted), owner, **kind))


def keys(changes):
    """Return the keys of changes. Fails if a key is there twice."""
    found = [key for change in changes for key in change.keys]
    assert len(set(found)) == len(found)
    return set(found)


def without(claim, gone):
    """Return a claim without the sides of another one; None if no side is left."""
    sides = tuple(side for side in claim.sides if gone is None or side not in gone.sides)
    return claim._replace(sides=sides) if sides else None


def applied(plan, current):
    """Return the list after a plan is applied to it. Checks that the plan matches the list."""
    after, slots = dict(current), {key: slot for slot, key in enumerate(current)}
    for change in [*plan.added, *plan.updated, *plan.removed]:
        assert len({len(key) for key in change.keys}) == 1
        assert list(change.before.slots) == [slots[key] for key in change.keys if key in slots]
        for key in change.keys:
            assert current.get(key, {}) == change.before.claims
            after[key] = change.after
    return {key: claims for key, claims in after.items() if claims}


@given(contents, requested_claims, st.sampled_from(OWNERS), kinds)
def test_a_change_leaves_the_owner_with_what_was_asked_for(current, wanted, owner, kind):
    after = applied(make_plan(current, wanted, owner, **kind), current)
    mine = {key: claims[owner] for key, claims in after.items() if owner in claims}
    before = {key: claims[owner] for key, claims in current.items() if owner in claims}
    if "absent" in kind:
        expected = {key: left for key, claim in before.items() if (left := without(claim, wanted.get(key)))}
    else:
        expected = wanted if "exclusive" in kind else {**before, **wanted}
    assert mine == expected


@given(contents, requested_claims, st.sampled_from(OWNERS), kinds)
def test_a_change_never_touches_what_others_want(current, wanted, owner, kind):
    def theirs(content):
        claims = ((key, name, claim) for key, claims in content.items() for name, claim in claims.items())
        return {claim for claim in claims if claim[1] != owner}

    after = applied(make_plan(current, wanted, owner, **kind), current)
    assert theirs(after) == theirs(current)


@given(contents, requested_claims, st.sampled_from(OWNERS), kinds)
def test_the_same_change_again_is_none(current, wanted, owner, kind):
    after = applied(make_plan(current, wanted, owner, **kind), current)
    assert not make_plan(after, wanted, owner, **kind)


@given(contents, requested_claims, st.sampled_from(OWNERS), kinds)
def test_a_change_is_told_as_what_it_is(current, wanted, owner, kind):
    plan = make_plan(current, wanted, owner, **kind)
    after = applied(plan, current)
    assert keys(plan.added) == after.keys() - current.keys()
    assert keys(plan.removed) == current.keys() - after.keys()
    both = after.keys() & current.keys()
    assert keys(plan.updated) == {key for key in both if after[key] != current[key]}


@given(contents, requested_claims, st.sampled_from(OWNERS))
def test_what_was_to_go_and_does_not_is_told(current, wanted, owner):
    plan = make_plan(current, wanted, owner, absent=True)
    mine = {key: content[owner] for key, content in current.items() if owner in content}
    untouched = {key for key in wanted if key not in mine or without(mine[key], wanted[key]) == mine[key]}
    assert keys(plan.staying) == untouched & current.keys()
    assert not make_plan(current, wanted, owner).staying


@given(contents, requested_claims, st.sampled_from(OWNERS), st.sampled_from([{}, {"absent": True}]))
def test_only_an_exact_sync_looks_at_entries_that_nobody_asked_about(current, wanted, owner, kind):
    concerned = {key: claims for key, claims in current.items() if key in wanted}
    plan, narrow = (make_plan(content, wanted, owner, **kind) for content in (current, concerned))
    others = {key: claims for key, claims in current.items() if key not in wanted}
    assert applied(plan, current) == {**others, **applied(narrow, concerned)}


rows = st.lists(st.sampled_from(MANY), max_size=12)


@given(rows, rows, st.sampled_from([{}, {"absent": True}, {"exclusive": True}]))
def test_neither_order_nor_doubles_of_what_is_asked_for_make_a_difference(held, asked, kind):
    """Rows of keys with equal claims are compared by position, where order and duplicates could matter."""
    current = {key: {"adhoc": SOURCE} for key in held}
    plan = plan_module.make_plan(as_held(current), Demand(RequestedEntries(asked, SOURCE), "adhoc", **kind))
    before, wanted = set(held), set(asked)
    assert keys(plan.added) == (set() if "absent" in kind else wanted - before)
    assert keys(plan.removed) == {"absent": before & wanted, "exclusive": before - wanted}.get(*kind or ["none"], set())
    assert not plan.updated
    assert not plan.staying


def all_of(asked):
    """Merge the claims of several lines, by key."""
    found = {}
    for key, value in asked:
        sides, until, comment = found.get(key, ((), 0, ""))
        found[key] = Claim(tuple(sorted({*sides, *value.sides})), max(until, value.until), comment or value.comment)
    return found


@given(rows, st.lists(st.tuples(st.sampled_from(MANY), requests), max_size=12))
def test_of_doubles_directions_add_up_and_the_latest_end_holds(held, asked):
    current = {key: {"adhoc": SOURCE} for key in held}
    others = OtherClaims((position, value) for position, (_key, value) in enumerate(asked) if value != SOURCE)
    requested = merge_duplicates(RequestedEntries([key for key, _value in asked], SOURCE, others))
    plan = plan_module.make_plan(as_held(current), Demand(requested, "adhoc", exclusive=True))
    assert applied(plan, current) == {key: {"adhoc": value} for key, value in all_of(asked).items()}
    differ = {key for key, value in asked if value[:2] != asked[[each for each, _value in asked].index(key)][1][:2]}
    assert bool(requested.notes) == bool(differ)


@given(contents, requested_claims, st.sampled_from(OWNERS))
def test_entries_can_go_whoever_wants_them(current, wanted, owner):
    plan = make_plan(current, dict.fromkeys(wanted, BOTH), owner, absent=True, any_owner=True)
    assert applied(plan, current) == {key: content for key, content in current.items() if key not in wanted}
    assert not plan.staying


@given(
    contents,
    requested_claims,
    st.sampled_from(OWNERS),
    st.sampled_from(OWNERS),
    st.sampled_from([{}, {"exclusive": True}]),
)
def test_an_entry_that_is_handed_over_leaves_the_one_owner_and_has_the_other(current, wanted, owner, giver, kind):
    def of(name, content):
        return {key: claims[name] for key, claims in content.items() if name in claims}

    assume(owner != giver)
    after = applied(make_plan(current, wanted, owner, from_owner=giver, **kind), current)
    assert of(giver, after) == {key: claim for key, claim in of(giver, current).items() if key not in wanted}
    assert of(owner, after) == (wanted if kind else {**of(owner, current), **wanted})
    (third,) = set(OWNERS) - {owner, giver}
    assert of(third, after) == of(third, current)
    assert not make_plan(after, wanted, owner, from_owner=giver, **kind)


@given(contents, requested_claims, st.sampled_from(OWNERS), st.sampled_from([None, *OWNERS]))
def test_an_entry_that_is_asked_for_without_a_comment_may_keep_the_one_that_it_has(current, wanted, owner, giver):
    assume(owner != giver)
    demand = {"from_owner": giver, "keeps_comments": True}
    after = applied(make_plan(current, wanted, owner, **demand), current)
    for key, claim in wanted.items():
        had = [current.get(key, {}).get(name, SOURCE).comment for name in (owner, giver)]
        comment = claim.comment or had[0] or had[1]
        assert after[key][owner] == claim._replace(comment=comment)
    assert not make_plan(after, wanted, owner, **demand)


def test_an_exact_sync_with_nothing_takes_back_all_that_the_owner_has():
    current = {KEY: {"inventory": SOURCE}, OTHER: {"adhoc": SOURCE, "inventory": BOTH}}
    plan = make_plan(current, {}, "inventory", exclusive=True)
    assert applied(plan, current) == {OTHER: {"adhoc": SOURCE}}
    assert keys(plan.removed) == {KEY}
    assert keys(plan.updated) == {OTHER}


def test_a_new_direction_is_an_update():
    current = {KEY: {"adhoc": SOURCE}}
    plan = make_plan(current, {KEY: DESTINATION}, "adhoc")
    assert (plan.added, plan.removed) == ([], [])
    assert applied(plan, current) == {KEY: {"adhoc": DESTINATION}}


def test_a_second_owner_joins_and_the_last_one_to_leave_takes_the_entry_along():
    joined = applied(make_plan({KEY: {"adhoc": SOURCE}}, {KEY: SOURCE}, "feed"), {KEY: {"adhoc": SOURCE}})
    assert joined == {KEY: {"adhoc": SOURCE, "feed": SOURCE}}
    left = applied(make_plan(joined, {KEY: SOURCE}, "adhoc", absent=True), joined)
    assert left == {KEY: {"feed": SOURCE}}
    assert applied(make_plan(left, {KEY: SOURCE}, "feed", absent=True), left) == {}


@pytest.mark.parametrize(
    ("claims", "untils"),
    [
        ([SOURCE], (FOREVER, 0)),
        ([DESTINATION], (0, FOREVER)),
        ([BOTH], (FOREVER, FOREVER)),
        ([SOURCE, DESTINATION], (FOREVER, FOREVER)),
        ([SOURCE._replace(until=5), SOURCE._replace(until=9)], (9, 0)),
        ([SOURCE._replace(until=9), BOTH._replace(until=5)], (9, 5)),
        ([SOURCE._replace(until=9), SOURCE], (FOREVER, 0)),
        ([], (0, 0)),
    ],
)
def test_an_entry_matches_each_side_for_as_long_as_any_owner_wants(claims, untils):
    assert claims_module.effective(dict(zip(OWNERS, claims))) == untils


def test_a_plan_is_true_if_it_changes_something():
    assert make_plan({}, {KEY: SOURCE}, "adhoc")
    assert not make_plan({}, {KEY: SOURCE}, "adhoc", absent=True)
    assert not make_plan({KEY: {"feed": SOURCE}}, {KEY: SOURCE}, "adhoc", absent=True)


def test_an_entry_is_described_by_one_line_for_each_owner():
    assert claims_module.describe(OTHER, {"feed": BOTH, "adhoc": SOURCE}) == [
        "192.0.2.0/24 direction=src owner=adhoc",
        "192.0.2.0/24 direction=both owner=feed",
    ]
    commented = claims_module.describe(OTHER, {"feed": BOTH._replace(comment="scans")})
    assert commented == ['192.0.2.0/24 direction=both owner=feed comment="scans"']


@pytest.mark.parametrize(
    ("comments", "one"),
    [
        ([], ""),
        (["", ""], ""),
        (["", "scans"], "scans"),
        (["scans", "scans"], "scans"),
        (["spoofs", "scans"], "spoofs; scans"),
        (["a" * 255, "b" * 255], "a" * 252 + "..."),
    ],
)
def test_the_comments_of_several_owners_become_one(comments, one):
    claims = {name: SOURCE._replace(comment=comment) for name, comment in zip(sorted(OWNERS), comments)}
    assert claims_module.comment_of(claims) == one
