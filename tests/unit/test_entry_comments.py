# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a comment of an entry may be, and how list files say it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import (
    addresses,
    comments,
    list_files,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.list_lines import Reading
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest

SOURCE = Claim(schema.DIRECTIONS["src"])
IP = "192.0.2.1"


def read(text, usual=SOURCE, **reading):
    """Return the comments that a list file says, by address."""
    requested = list_files.parse_file(io.StringIO(text), "list", usual, reading=Reading(**reading))
    return {addresses.display(key): claim.comment for key, claim in requested.by_key().items()}


@pytest.mark.parametrize(
    ("rest", "comment"),
    [
        ("", ""),
        ("# a remark", ""),
        ('# comment="a remark"', ""),
        ('; comment="a remark"', ""),
        ('comment="scans every night"', "scans every night"),
        ('comment="ticket #12; see there" # a remark', "ticket #12; see there"),
        ('comment="scans"# a "remark"', "scans"),
        ('comment=""', ""),
        ('comment="  two   words "', "two words"),
        ('comment="a" comment="b"', "b"),
        ('comment="C:\\new"', "C:\\new"),
        ('comment="ttl=1h"', "ttl=1h"),
        ('comment="Läuft nachts ✓"', "Läuft nachts ✓"),
        (f'comment="{"ä" * 127}"', "ä" * 127),
    ],
)
def test_a_line_may_have_a_comment_and_what_is_behind_a_hash_is_none(rest, comment):
    assert read(f"{IP} {rest}") == {IP: comment}
    assert read(f"{IP} direction=src {rest}") == {IP: comment}


def test_a_comment_stands_between_other_options_and_covers_all_of_a_range():
    demand = read_demand(ListRequest("blocklist", content='192.0.2.1-192.0.2.2 comment="two" direction=both'))
    assert set(demand.requested.by_key().values()) == {Claim(schema.DIRECTIONS["both"], comment="two")}


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("comment=scans", "is followed by 'comment=scans': only"),
        ('comment="scans', "is followed by 'comment=\"scans': only"),
        ('comment="scans"often', "is followed by 'comment=\"scans\"often': only"),
        ('comment="a "b" c"', "is followed by"),
        (
            'comment="\x1b[31m"',
            "has the comment '\\x1b[31m', which has characters that cannot be printed: write plain text",
        ),
        ('comment="\udcff"', "which has characters that cannot be printed"),
        (f'comment="{"ä" * 128}"', "which is longer than 255 bytes: shorten it"),
    ],
)
def test_a_comment_that_cannot_be_kept_is_refused_in_a_sentence(rest, said):
    with pytest.raises(PingKillerError) as raised:
        read(f"{IP} {rest}")
    assert said in str(raised.value)
    assert str(raised.value).startswith("list, line 1: ")


def test_the_first_column_has_no_comment():
    assert read(f'{IP} comment="scans"', format="first_column") == {IP: ""}


def test_of_lines_for_one_address_the_first_comment_holds():
    text = f'{IP}\n{IP} comment="first"\n{IP} comment="second"\n192.0.2.2 comment="other"\n'
    requested = list_files.parse_file(io.StringIO(text), "list", SOURCE)
    assert {claim.comment for claim in requested.by_key().values()} == {"first", "other"}
    assert requested.notes == ()


@pytest.mark.parametrize("given", [{"ip": [IP]}, {"content": IP}])
def test_the_comment_of_a_task_is_that_of_entries_without_their_own(given):
    demand = read_demand(ListRequest("blocklist", **given, comment=" scans  every night\n"))
    assert [claim.comment for claim in demand.requested.by_key().values()] == ["scans every night"]
    assert not demand.keeps_comments


def test_a_line_wins_over_the_comment_of_its_task():
    demand = read_demand(ListRequest("blocklist", content=f'{IP} comment="mine"\n192.0.2.2 ttl=1h', comment="usual"))
    assert [claim.comment for claim in demand.requested.by_key().values()] == ["mine", "usual"]


@pytest.mark.parametrize(
    ("request_", "keeps"),
    [
        (ListRequest("blocklist", ip=[IP]), True),
        (ListRequest("blocklist", ip=[IP], comment=""), False),
        (ListRequest("blocklist", ip=[IP], exclusive=True), True),
        (ListRequest("blocklist", content=IP), True),
        (ListRequest("blocklist", content=IP, exclusive=True), False),
    ],
)
def test_only_an_exact_sync_of_a_list_file_takes_comments_that_were_not_named(request_, keeps):
    assert read_demand(request_).keeps_comments == keeps


@pytest.mark.parametrize("comment", ['say "no"', "\x07", "x" * 256, "\ud800"])
def test_a_comment_of_a_task_that_cannot_be_kept_is_refused(comment):
    with pytest.raises(PingKillerError, match="^comment="):
        read_demand(ListRequest("blocklist", ip=[IP], comment=comment))


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_a_comment_that_a_list_file_can_say(text):
    comment = comments.made_of(text)
    assert comments.checked(comment) == comment
    assert comments.made_of(comment) == comment
    assert read(f"{IP}{comments.option(comment)} # end") == {IP: comment}
