# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what ``pingkiller stream`` makes of one line."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import stream_lines
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses, comments
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema

USUAL = Claim(schema.DIRECTIONS["src"])
NANOSECONDS = 1_000_000_000
#: As crowdsec-custom-bouncer 0.0.15 wrote it.
DECISION = {
    "duration": "9m58.1s",
    "origin": "cscli",
    "scenario": "manual 'ban' from 'localhost'",
    "scope": "Ip",
    "type": "ban",
    "value": "192.0.2.1",
    "action": "add",
}


def names(wish) -> list[str]:
    return [addresses.display(key) for key in wish.keys]


def decided(**changes):
    changed = {name: value for name, value in {**DECISION, **changes}.items() if value is not None}
    return stream_lines.of_decision(json.dumps(changed), USUAL)


def seconds_from_now(until: int) -> float:
    return (until - durations.boot_time()) / NANOSECONDS


# The format lines


@pytest.mark.parametrize(
    "line", ["add 192.0.2.1", "192.0.2.1", "  add\t192.0.2.1  # since Monday", "192.0.2.1 ; x", "192.0.2.1/32"]
)
def test_an_address_alone_means_add(line):
    wish = stream_lines.of_line(line, USUAL)
    assert (names(wish), wish.claim) == (["192.0.2.1"], USUAL)


def test_options_of_a_list_file_may_follow_and_so_may_a_comment():
    wish = stream_lines.of_line('add 192.0.2.0/24 comment="scans; see #7" direction=both ttl=1h', USUAL)
    assert names(wish) == ["192.0.2.0/24"]
    assert (wish.claim.sides, wish.claim.comment) == (schema.DIRECTIONS["both"], "scans; see #7")
    assert 3599 <= seconds_from_now(wish.claim.until) <= 3601


def test_what_looks_like_a_comment_in_a_remark_is_a_remark():
    assert stream_lines.of_line('192.0.2.1 # was comment="old"', USUAL).claim.comment == ""


def test_a_list_file_may_begin_with_a_byte_order_mark():
    assert names(stream_lines.of_line("\ufeff192.0.2.1", USUAL)) == ["192.0.2.1"]
    assert stream_lines.of_line("\ufeff# a list", USUAL) is None


def test_a_refusal_offers_no_option_that_stream_does_not_have():
    with pytest.raises(PingKillerError, match="may follow$"):
        stream_lines.of_line("192.0.2.1 scanner", USUAL)


def test_a_range_is_the_networks_that_cover_it():
    assert names(stream_lines.of_line("del 192.0.2.1-192.0.2.3", USUAL)) == ["192.0.2.1", "192.0.2.2/31"]


def test_del_wishes_an_entry_gone():
    assert stream_lines.of_line("del 2001:db8::1", USUAL).claim is None


@pytest.mark.parametrize("line", ["", "   ", "# a remark", "; another"])
def test_remarks_wish_nothing(line):
    assert stream_lines.of_line(line, USUAL) is None


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("add", "'add'"),
        ("del # 192.0.2.1", "'del'"),
        ("block 192.0.2.1", "'block'"),
        ("add 192.0.2.300", "'192.0.2.300'"),
        ("add -192.0.2.1", "'-192.0.2.1'"),
        ("add 192.0.2.1/24", "192.0.2.0/24"),
        ("add 192.0.2.1 ttl=soon", "'soon'"),
        ("add 192.0.2.1 for=ever", "'for=ever'"),
        ('add 192.0.2.1 comment="no end', "'comment=\"no'"),
        ("del 192.0.2.1 ttl=1h", "del 192.0.2.1"),
        ('del 192.0.2.1 comment="x"', "del 192.0.2.1"),
        ("add 192.0.2.1\x00", "'192.0.2.1\\x00'"),
    ],
)
def test_anything_else_is_refused_with_the_word_that_is_wrong(line, named):
    with pytest.raises(PingKillerError) as refusal:
        stream_lines.of_line(line, USUAL)
    assert named in str(refusal.value)


# The format crowdsec


def test_a_decision_is_for_its_duration_and_its_scenario_is_the_comment():
    wish = decided()
    assert (names(wish), wish.claim.comment) == (["192.0.2.1"], DECISION["scenario"])
    assert 598 <= seconds_from_now(wish.claim.until) <= 600


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("198.51.100.0/24", "198.51.100.0/24"),
        ("198.51.100.9/24", "198.51.100.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_a_range_of_crowdsec_is_a_network_even_with_bits_behind_its_prefix(value, expected):
    assert names(decided(scope="Range", value=value)) == [expected]


@pytest.mark.parametrize("duration", ["-1s", "0s", "-3h2m1.5s"])
def test_a_deletion_counts_whatever_its_duration_and_an_addition_that_is_over_does_not(duration):
    assert decided(action="del", duration=duration).claim is None
    assert decided(action="add", duration=duration) is None


def test_a_simulated_decision_blocks_nobody():
    assert decided(simulated=True) is None


def test_a_decision_that_lasts_longer_than_any_entry_lasts_as_long_as_one_can():
    assert seconds_from_now(decided(duration="9999999h").claim.until) <= durations.LONGEST + 1


def test_a_scenario_with_what_no_comment_can_have_is_made_one():
    comment = decided(scenario='say "hi"\\\n' + "é" * 100).claim.comment
    assert comment.startswith("say 'hi'\\ é")
    assert comment == comments.checked(comment)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"action": "ban"}, "action='ban'"),
        ({"action": None}, "action='None'"),
        ({"scope": "Country", "value": "NZ"}, "scope='Country'"),
        ({"type": "captcha"}, "type='captcha'"),
        ({"type": "captcha", "action": "del"}, "type='captcha'"),
        ({"value": "nobody"}, "'nobody'"),
        ({"value": None}, "'None'"),
        ({"duration": "soon"}, "duration='soon'"),
        ({"duration": 5}, "duration='5'"),
    ],
)
def test_a_decision_that_cannot_be_carried_out_is_refused(changes, named):
    with pytest.raises(PingKillerError) as refusal:
        decided(**changes)
    assert named in str(refusal.value)


@pytest.mark.parametrize("line", ["", "192.0.2.1", "[]", "null", '{"action": "add"', "[" * 100_000, "{}\x00"])
def test_what_is_no_json_object_is_refused(line):
    with pytest.raises(PingKillerError, match="is not a decision of CrowdSec"):
        stream_lines.of_decision(line, USUAL)


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused_in_a_sentence(line):
    for read in (stream_lines.of_line, stream_lines.of_decision):
        with contextlib.suppress(PingKillerError):
            read(line, USUAL)


# Durations as Go writes them


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("9m58.1s", 598.1),
        ("1h2m3s", 3723),
        ("-1h0m0.5s", -3600.5),
        ("0s", 0),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("3µs", 3e-6),
        ("3us4ns", 3.004e-6),
    ],
)
def test_a_duration_of_go_is_seconds(written, seconds):
    assert durations.parse_go(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "-", "5", "s", "1d", "1h 2m", "1h\n", "1..5s", "1" * 20 + "s", "\u0665s"])
def test_other_texts_are_no_durations_of_go(written):
    with pytest.raises(ValueError, match="as Go writes it"):
        durations.parse_go(written)
