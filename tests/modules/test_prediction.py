# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode touches nothing and predicts exactly what the run then reports; a second run changes nothing."""

from __future__ import annotations

import pytest
from machine import ip, look, nothing_to_lock, put_foreign_program
from running import changed, facts, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions

#: The parts of a result that describe the change. The program's id cannot be known in advance.
TOLD_BY_LISTS = (
    *("changed", "count", "diff", "warnings"),
    *(name + suffix for name in ("added", "updated", "removed") for suffix in ("", "_count")),
)
TOLD_BY_FILTERS = ("changed", "diff", "max_entries", "removed", "warnings")


def told(result: dict, names) -> dict:
    assert not result.get("failed"), result
    return {name: result[name] for name in names if name in result}


def predicted(name: str, **arguments) -> dict:
    """Return the result of check mode, having checked that it touched nothing."""
    before = look()
    with nothing_to_lock():
        result = run(name, check=True, **arguments)
    assert look() == before
    return result


def assert_foretold(name: str, *, second: bool = True, **arguments) -> dict:
    """Check that check mode predicts the run and a second run changes nothing; return the result of the run."""
    names = TOLD_BY_FILTERS if name == "xdp_filter" else TOLD_BY_LISTS
    prediction = predicted(name, **arguments)
    result = run(name, **arguments)
    assert told(prediction, names) == told(result, names)
    for again in (predicted(name, **arguments), unchanged(name, **arguments)):
        assert not again["changed"]
        assert again["diff"]["before"] == again["diff"]["after"]
    return result


@pytest.fixture(params=["xdp_blocklist", "xdp_allowlist"])
def module(request):
    return request.param


@pytest.fixture
def shared(module):
    """A list with entries of two owners, one of which both own."""
    changed(module, ip="192.0.2.1,192.0.2.2,2001:db8::/32")
    changed(module, ip="192.0.2.2,192.0.2.3", owner="feed", direction="both")


@pytest.mark.parametrize(
    "arguments",
    [
        {"ip": "192.0.2.1,2001:db8::1,10.0.0.0/8,2001:db8::/32"},
        {"ip": "192.0.2.1,192.0.2.1/32,::ffff:192.0.2.1", "direction": "both"},
        {"content": "192.0.2.1 direction=dst\n192.0.2.2\n", "exclusive": True, "owner": "inventory"},
        {"content": "# nobody\n", "exclusive": True},
        {"ip": "192.0.2.1", "state": "absent"},
    ],
)
def test_a_list_is_foretold_on_a_host_that_has_nothing(module, arguments):
    result = assert_foretold(module, **arguments)
    assert result["changed"] == bool(result["count"])


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("arguments", "expected"),  # added, updated, removed
    [
        ({"ip": "192.0.2.1"}, ([], [], [])),
        ({"ip": "192.0.2.9,192.0.2.1"}, (["192.0.2.9"], [], [])),
        ({"ip": "192.0.2.1", "direction": "dst"}, ([], ["192.0.2.1"], [])),
        ({"ip": "192.0.2.1", "owner": "feed"}, ([], ["192.0.2.1"], [])),
        ({"ip": "192.0.2.1,192.0.2.2,192.0.2.8", "state": "absent"}, ([], ["192.0.2.2"], ["192.0.2.1"])),
        ({"ip": "192.0.2.3", "state": "absent"}, ([], [], [])),
        ({"ip": "192.0.2.7,192.0.2.1", "exclusive": True}, (["192.0.2.7"], ["192.0.2.2"], ["2001:db8::/32"])),
        ({"content": "", "exclusive": True, "owner": "feed"}, ([], ["192.0.2.2"], ["192.0.2.3"])),
        ({"ip": "192.0.2.9", "exclusive": True, "owner": "third"}, (["192.0.2.9"], [], [])),
    ],
)
def test_a_change_of_a_list_is_foretold(module, arguments, expected):
    result = assert_foretold(module, **arguments)
    assert tuple(result[name] for name in ("added", "updated", "removed")) == expected
    assert tuple(result[name + "_count"] for name in ("added", "updated", "removed")) == tuple(map(len, expected))
    assert result["count"] == 4 + len(expected[0]) - len(expected[2])
    assert result["changed"] == any(expected)


def test_the_text_of_a_file_foretells_what_the_file_does(module, tmp_path):
    path = tmp_path / "list"
    path.write_text("192.0.2.1 # why\f\u2028\r\n\r\n2001:db8::/32 direction=both # it\x85is\n")
    # read_text() would change line ends.
    content = path.read_bytes().decode()
    prediction = predicted(module, content=content, exclusive=True, owner="inventory")
    result = changed(module, src=str(path), exclusive=True, owner="inventory")
    assert told(prediction, TOLD_BY_LISTS) == told(result, TOLD_BY_LISTS)


def test_a_filter_is_foretold_on_a_host_that_has_nothing():
    result = assert_foretold("xdp_filter", interface="pk0")
    assert result["changed"]
    assert result["diff"] == {
        "before": {"filters": {"pk0": {}}, "max_entries": None},
        "after": {
            "filters": {"pk0": FilterOptions().as_dict()},
            "max_entries": 65536,
        },
    }


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "drop", "icmp_types": ["all"], "protect": False, "monitor": True},
        {"mode": "generic"},
        {"max_entries": 100},
        {"interface": "pk0,pk1"},
    ],
)
def test_a_change_of_a_filter_is_foretold(filtered, options):
    changed("xdp_blocklist", ip="192.0.2.1")
    assert assert_foretold("xdp_filter", **{"interface": filtered, **options})["changed"]


@pytest.mark.parametrize("options", [{"mode": "native"}, {"icmp_types": ["icmp/8", "icmpv6/128"]}])
def test_options_that_make_the_same_program_are_told_as_they_are(filtered, options):
    assert_foretold("xdp_filter", interface=filtered, **options)
    assert facts()["filters"][filtered]["options"] == {**FilterOptions().as_dict(), **options}


def test_the_replacement_of_a_foreign_program_is_foretold():
    put_foreign_program("pk0")
    assert assert_foretold("xdp_filter", interface="pk0", force=True)["changed"]


def test_the_repair_of_a_filter_that_somebody_took_off_is_foretold(filtered):
    ip("link", "set", "dev", filtered, "xdp", "off")
    assert assert_foretold("xdp_filter", interface=filtered)["changed"]


@pytest.mark.parametrize("arguments", [{}, {"interface": "pk0"}, {"interface": "pk0,pk1"}, {"interface": "pk1,none"}])
def test_a_removal_is_foretold(filtered, arguments):
    changed("xdp_blocklist", ip="192.0.2.1")
    result = assert_foretold("xdp_filter", state="absent", **arguments)
    assert result["removed"] == (["pk0"] if "pk1,none" not in arguments.values() else [])


def test_a_removal_is_foretold_on_a_host_that_has_nothing():
    assert not assert_foretold("xdp_filter", state="absent")["changed"]
    assert not assert_foretold("xdp_filter", state="absent", interface="pk0")["changed"]


def test_a_removal_is_foretold_on_a_host_that_has_lists_only():
    changed("xdp_allowlist", ip="192.0.2.1")
    result = assert_foretold("xdp_filter", state="absent")
    assert result["changed"]
    assert result["removed"] == []
