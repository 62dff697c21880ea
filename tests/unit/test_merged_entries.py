# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how the role merges the items of its list variables: the lines of the file, and the problems."""

from __future__ import annotations

import io
import json
import random

import pytest

from ansible_collections.pingkiller.fleet.plugins.filter.merged_entries import FilterModule
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import (
    addresses,
    claims,
    comments,
    list_files,
    requested,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.requested import RequestedEntries
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import FOREVER, SOURCE
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _variables

NAME = "pingkiller_blocklist"
MOMENT = 1000 * 1_000_000_000


def merged(**variables):
    return FilterModule().filters()["merged_entries"](variables.items(), "alpha")


def lines(*items):
    found = merged(pingkiller_blocklist=list(items))
    assert found["problems"] == []
    return [line.removesuffix(f"  # {NAME}") for line in found["lines"]]


def problem(item) -> str:
    """Return the problem of an item, without the part of the sentence that names the item."""
    (told,) = merged(pingkiller_blocklist=[item])["problems"]
    assert told.startswith(f"In {NAME} of alpha, {json.dumps(item, default=str)} "), told
    assert told.isprintable()
    return told.partition(f"{json.dumps(item, default=str)} ")[2]


def read(text: list[str]) -> dict:
    """Parse lines as the modules do."""
    found = list_files.parse_file(io.StringIO("\n".join(text)), "blocklist", Claim((SOURCE,)))
    return found.by_key()


def shown(text: list[str]) -> dict:
    """Return direction and end of each entry, by address."""
    return {addresses.display(key): (claims.direction(each.sides), each.until) for key, each in read(text).items()}


def test_variables_add_up_in_their_order_and_a_line_says_where_it_comes_from():
    found = merged(
        pingkiller_blocklist=["203.0.113.1", "2001:db8::/32"],
        pingkiller_blocklist_host=("203.0.113.2",),
        pingkiller_blocklist_web=["198.51.100.0/24"],
    )
    assert found == {
        "lines": [
            "203.0.113.1  # pingkiller_blocklist",
            "2001:db8::/32  # pingkiller_blocklist",
            "203.0.113.2  # pingkiller_blocklist_host",
            "198.51.100.0/24  # pingkiller_blocklist_web",
        ],
        "problems": [],
    }


def test_lists_are_merged_from_the_variables_of_their_names_in_order():
    names = [
        "pingkiller_blocklist_web",
        "pingkiller_blocklist",
        "my_pingkiller_blocklist",
        "pingkiller_allowlist_web",
        "pingkiller_blocklist_",
        "pingkiller_blocklists",
    ]
    assert _variables.list_variables(names, "blocklist") == ["pingkiller_blocklist", "pingkiller_blocklist_web"]
    assert _variables.list_variables(names, "allowlist") == ["pingkiller_allowlist_web"]


def test_address_named_twice_is_a_line_for_each_origin():
    found = merged(
        pingkiller_blocklist=["203.0.113.1"],
        pingkiller_blocklist_db=[{"ip": "203.0.113.1", "comment": "scans"}, "203.0.113.1"],
    )
    assert found["lines"] == [
        "203.0.113.1  # pingkiller_blocklist",
        '203.0.113.1 comment="scans"  # pingkiller_blocklist_db',
        "203.0.113.1  # pingkiller_blocklist_db",
    ]


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ({"ip": "203.0.113.1"}, "203.0.113.1"),
        ({"ip": "203.0.113.1-203.0.113.9", "direction": "dst"}, "203.0.113.1-203.0.113.9 direction=dst"),
        ({"ip": "203.0.113.1", "direction": "both", "ttl": "1h"}, "203.0.113.1 direction=both ttl=1h"),
        ({"ip": "203.0.113.1", "direction": "src", "ttl": 90}, "203.0.113.1 ttl=90"),
        ({"ip": "203.0.113.1", "ttl": " 1w\n"}, "203.0.113.1 ttl=1w"),
        ({"ip": "203.0.113.1", "direction": None, "ttl": None, "comment": None}, "203.0.113.1"),
        ({"ip": "203.0.113.1", "comment": ""}, "203.0.113.1"),
        ({"comment": 5, "ip": "203.0.113.1"}, '203.0.113.1 comment="5"'),
        (
            {"ip": "203.0.113.1", "comment": "seen\n  in the log # of\u2028today\r"},
            '203.0.113.1 comment="seen in the log # of today"',
        ),
        (
            {"ip": "203.0.113.1", "comment": 'says "\x1b[31m"', "ttl": "1h"},
            "203.0.113.1 ttl=1h comment=\"says '\\x1b[31m'\"",
        ),
    ],
)
def test_mapping_is_one_line_with_what_is_not_as_usual(item, line):
    assert lines(item) == [line]


def test_long_comment_is_cut_as_the_modules_refuse_it():
    long = {"ip": "203.0.113.1", "comment": "x" * 200_000}
    cut = Claim((SOURCE,), comment="x" * 252 + "...")
    assert read(lines(*[long] * 20)) == {addresses.parse("203.0.113.1"): cut}


@pytest.mark.parametrize(
    "item",
    ["0.0.0.0/0", "255.255.255.255/32", "::", "::/0", "2001:DB8::1/128", "::ffff:192.0.2.1", "192.0.2.1-192.0.2.9"],
)
def test_address_stays_in_the_spelling_that_it_has(item):
    assert lines(item) == [item]


def test_source_here_and_destination_there_is_both():
    text = merged(
        pingkiller_blocklist=["203.0.113.1", {"ip": "203.0.113.2", "direction": "dst"}],
        pingkiller_blocklist_web=[{"ip": "203.0.113.1", "direction": "dst"}, "203.0.113.2"],
    )["lines"]
    assert shown(text) == {"203.0.113.1": ("both", FOREVER), "203.0.113.2": ("both", FOREVER)}


def test_an_address_is_the_same_however_it_is_spelt_and_for_good_wins():
    text = merged(
        pingkiller_blocklist=["192.0.2.33", {"ip": "203.0.113.7", "direction": "dst"}],
        pingkiller_blocklist_feed=[{"ip": "::ffff:192.0.2.33", "ttl": "6s"}, "203.0.113.7/32"],
    )["lines"]
    assert shown(text) == {"192.0.2.33": ("src", FOREVER), "203.0.113.7": ("both", FOREVER)}


def address_fault(text: str) -> str:
    """Return the library's message about text that is not an address."""
    with pytest.raises(ValueError, match=".") as raised:
        addresses.parse_entry(text)
    return str(raised.value)


@pytest.mark.parametrize(
    "item",
    [
        "300.1.1.1",
        "",
        "fe80::1%eth0",
        "host.example",
        "1.2.3.4/33",
        "10.0.0.1/8",
        ":::",
        " 1.2.3.4",
        "192.0.2.1 ttl=1h",
    ],
)
def test_item_that_is_no_address_is_told_as_by_the_modules(item):
    assert problem(item) == f"{address_fault(item)}."
    assert problem({"ip": item}) == f"{address_fault(item)}."


def test_line_end_in_an_item_cannot_smuggle_in_a_line():
    for item in ("192.0.2.1\n192.0.2.2", "192.0.2.1\n", {"ip": "192.0.2.1\r192.0.2.2"}):
        assert problem(item).startswith("is not an IPv4 or IPv6 address")


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (4830, "is a number to YAML: put the address in quotes."),
        (10.1, "is a number to YAML: put the address in quotes."),
        (True, "is no address: write it like 203.0.113.7 or"),
        (None, "is no address: write it like 203.0.113.7 or"),
        (["192.0.2.1"], "is no address: write it like 203.0.113.7 or"),
        ({"ip": None}, "is no address: write it like 203.0.113.7 or"),
        ({"comment": "nothing else"}, "has no ip: write {ip: 203.0.113.7}, with direction, ttl and comment if wanted."),
        ({"ip": "192.0.2.1", "direction": "in"}, "has the direction in: write src, dst or both."),
        ({"ip": "192.0.2.1", "direction": ["src"]}, "has the direction ['src']"),
        (
            {"ip": "192.0.2.1", "direction": "source"},
            "has the direction source (did you mean src?): write src, dst or both.",
        ),
        (
            {"ip": "192.0.2.1", "dir": "dst"},
            "has the key dir (did you mean direction?): the only keys are ip, direction, ttl and comment.",
        ),
        ({"ip": "192.0.2.1", "owner": "me"}, "has the key owner: the only keys are ip, direction, ttl and comment."),
        ({"ip": "192.0.2.300"}, "is not an IPv4 or IPv6 address"),
    ],
)
def test_mistake_is_told_with_the_way_out(item, told):
    assert problem(item).startswith(told)


@pytest.mark.parametrize(
    "ttl", ["90", "90s", "10m", "1h", "2d", "1w", " 1h ", 5, "0", "", "1 h", "1y", "-1", "1h 2m", True, 1.5]
)
def test_ttl_is_judged_by_the_grammar_of_the_modules(ttl):
    item = {"ip": "192.0.2.1", "ttl": ttl}
    try:
        durations.checked("ttl", ttl)
    except PingKillerError:
        assert problem(item).startswith(
            f"has the ttl {ttl}, which is not a duration: write a number of seconds above 0"
        )
    else:
        assert len(read(lines(item))) == 1


def test_variable_that_is_no_list_is_named_with_the_host():
    found = merged(pingkiller_blocklist_web="203.0.113.1", pingkiller_allowlist_x={"ip": "203.0.113.1"})
    assert found["problems"] == [
        'pingkiller_blocklist_web of alpha is "203.0.113.1", not a list: write a list, [] for an empty one.',
        'pingkiller_allowlist_x of alpha is {"ip": "203.0.113.1"}, not a list: write a list, [] for an empty one.',
    ]


def test_ten_problems_are_named_and_the_rest_counted():
    told = merged(pingkiller_blocklist=[f"300.0.0.{number}" for number in range(12)])["problems"]
    assert sum("is not an IPv4 or IPv6 address" in each for each in told) == 10
    assert told[10:] == ["And 2 more."]


@pytest.mark.parametrize(
    "bad", ["", "# no address", 4830, {"comment": "no ip"}, "192.0.2.2\n192.0.2.3", {"ip": "192.0.2.4", "ttl": 0}]
)
def test_file_with_an_item_that_is_wrong_is_refused_instead_of_read_without_it(bad):
    text = merged(pingkiller_blocklist=["192.0.2.1", bad])["lines"]
    with pytest.raises(PingKillerError, match=r"^blocklist, line 2: 'In' is not an IPv4 or IPv6 address[^;]*$"):
        read(text)
    text = merged(pingkiller_blocklist=bad if isinstance(bad, (str, dict)) else "x")["lines"]
    with pytest.raises(PingKillerError, match=r"^blocklist, line 1: 'pingkiller_blocklist' is not [^;]*$"):
        read(text)


# Random items

ENTRIES = [
    "192.0.2.1",
    "192.0.2.1/32",
    "::ffff:192.0.2.1",
    "192.0.2.0/24",
    "192.0.2.1-192.0.2.3",
    "2001:db8::1",
    "::/0",
]
TTLS = [None, None, 6, "6s", " 1h", "1w\n", "0", "soon", ""]
DIRECTIONS = [None, *schema.DIRECTIONS, "in"]
COMMENTS = [
    None,
    "",
    "# 192.0.2.9",
    "two\nlines 192.0.2.8",
    "; \x85 \x00",
    5,
    "ä" * 70_000,
    "{{ 5 }}",
    'a "b" c',
    '"',
    "\\",
]
ODD = ["", "no address", 5, None, "192.0.2.1 ttl=1h", "192.0.2.1\n192.0.2.7", [], {}, {"ip": "192.0.2.1", "why": "?"}]


def some_item(chance: random.Random):
    if chance.random() < 0.02:
        return chance.choice(ODD)
    entry = {"ip": chance.choice(ENTRIES)}
    for key, values in (("ttl", TTLS[: chance.choice((6, 9))]), ("direction", DIRECTIONS[:4]), ("comment", COMMENTS)):
        if chance.random() < 0.4:
            entry[key] = chance.choice(values)
    return entry if len(entry) > 1 or chance.random() < 0.5 else entry["ip"]


def expected(items) -> dict | None:
    """Return the entries that the library makes from the items without a file; None if an item is wrong."""
    keys, others = [], requested.OtherClaims()
    try:
        for item in items:
            entry = item if isinstance(item, dict) else {"ip": item}
            assert entry.keys() <= {"ip", "ttl", "direction", "comment"}
            until = FOREVER if entry.get("ttl") is None else durations.until(durations.parse(entry["ttl"]))
            found = addresses.parse_entry(entry["ip"])
            comment = comments.made_of(str(entry.get("comment") or ""))
            others.add(len(keys), Claim(schema.DIRECTIONS[entry.get("direction") or "src"], until, comment), len(found))
            keys += found
    except (ValueError, KeyError, AttributeError, AssertionError):
        return None
    return requested.merge_duplicates(RequestedEntries(keys, Claim((SOURCE,)), others)).by_key()


def test_what_is_rendered_is_read_back_as_the_same_entries_or_is_a_problem(request, monkeypatch):
    monkeypatch.setattr(durations, "boot_time", lambda: MOMENT)
    seed = request.config.getoption("--inputs-seed")
    refused = 0
    for which in range(1000):
        chance = random.Random(f"{seed} {which}")
        items = [some_item(chance) for _number in range(chance.randrange(20))]
        found = merged(pingkiller_blocklist=items)
        wanted = expected(items)
        assert (wanted is None) == bool(found["problems"]), (items, found)
        if wanted is not None:
            assert read(found["lines"]) == wanted, items
            continue
        refused += 1
        with pytest.raises(PingKillerError):
            read(found["lines"])
    assert 50 < refused < 950
