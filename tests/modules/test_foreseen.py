# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list's prediction, given those of the tasks before it, equals the result of the run after these tasks."""

from __future__ import annotations

import pytest
from machine import look
from running import changed, refused, run
from schemas import EARLIER

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import limits

TOLD = ("changed", "failed", "msg", "count", "added", "removed", "warnings", "diff")
EGRESS, XDP = ({"interface": "pk0", "hook": hook} for hook in ("tc_egress", "xdp"))


def told(result: dict) -> dict:
    return {name: result[name] for name in TOLD if name in result}


def foretold(attach=None, remove=None, allowlist=None, **blocklist) -> dict:
    """Predict these tasks one by one, as the role does, then run them; return what both say of the blocklist."""
    before = look()
    foreseen = {}
    if attach:
        prediction = run("xdp_filter", check=True, reset=True, **attach)
        foreseen = {name: prediction[name] for name in ("filters", "max_entries")}
    if remove:
        foreseen["removed"] = ["/".join(filter(None, [remove["interface"], remove.get("hook")]))]
    if allowlist is not None:
        foreseen["allowlist"] = {"content": allowlist}
    exact = {"exclusive": True, "owner": "inventory"}
    prediction = run("xdp_blocklist", check=True, foreseen=foreseen, **exact, **blocklist)
    assert look() == before
    if attach:
        changed("xdp_filter", reset=True, **attach)
    if remove:
        changed("xdp_filter", state="absent", **remove)
    if allowlist is not None:
        changed("xdp_allowlist", content=allowlist, **exact)
    result = run("xdp_blocklist", **exact, **blocklist)
    assert told(prediction) == told(result)
    again = run("xdp_blocklist", check=True, foreseen=foreseen, **exact, **blocklist)
    assert not again["changed"]
    assert again["warnings"] == run("xdp_blocklist", **exact, **blocklist)["warnings"]
    return result


@pytest.mark.parametrize(
    ("attach", "direction", "said"),
    [
        (XDP, "src", ""),
        (XDP, "both", "no filter on this host sees what leaves"),
        (EGRESS, "src", "no filter on this host sees what arrives"),
        ({"interface": "pk0,pk1", "monitor": True}, "src", "every filter on this host has monitor=true"),
    ],
)
def test_on_a_fresh_host_warnings_go_by_the_filter_that_will_be_there(attach, direction, said):
    warnings = foretold(attach, ip="192.0.2.1", direction=direction)["warnings"]
    assert len(warnings) == bool(said)
    assert said in "".join(warnings)


@pytest.mark.parametrize(
    ("attach", "remove", "said"),
    [
        (EGRESS, {"interface": "pk0"}, ["no filter on this host sees what arrives"]),
        ({"interface": "pk1", "monitor": True}, {"interface": "pk0"}, ["every filter on this host has monitor=true"]),
        ({"interface": "pk1", "monitor": True}, None, []),
        ({"interface": "pk0", "monitor": True}, None, ["every filter on this host has monitor=true"]),
        (None, {"interface": "pk0"}, ["no filter is attached on this host"]),
    ],
)
@pytest.mark.usefixtures("filtered")
def test_where_a_filter_moves_or_changes_warnings_go_by_what_will_be_there(attach, remove, said):
    warnings = foretold(attach, remove, ip="192.0.2.1")["warnings"]
    assert len(warnings) == len(said)
    assert all(warning.startswith(start) for warning, start in zip(warnings, said))


def test_a_list_that_fits_into_the_lists_to_come_is_foretold():
    content = "\n".join(f"192.0.2.{number}" for number in range(20))
    changed("xdp_filter", interface="pk0", max_entries=10)
    assert foretold({**XDP, "max_entries": 20}, content=content)["count"] == 20


def test_a_list_that_does_not_fit_into_the_lists_to_come_is_refused_in_the_prediction():
    prediction = run("xdp_filter", check=True, interface="pk0", max_entries=2)
    foreseen = {name: prediction[name] for name in ("filters", "max_entries")}
    said = run("xdp_blocklist", check=True, foreseen=foreseen, ip="192.0.2.1,192.0.2.2,192.0.2.3")["msg"]
    assert said.startswith("the blocklist would have 3 entries and has room for 2: nothing was changed")


@pytest.mark.parametrize("number", EARLIER)
def test_a_list_is_foretold_on_a_host_whose_maps_will_be_replaced(number):
    be_earlier, sources = EARLIER[number]
    changed("xdp_filter", be_earlier, _sources=sources, interface="pk0")
    changed("xdp_blocklist", be_earlier, ip="192.0.2.1,192.0.2.2", owner="inventory")
    result = foretold(XDP, ip="192.0.2.2,192.0.2.3")
    assert (result["added"], result["removed"]) == (["192.0.2.3"], ["192.0.2.1"])


# The allowlist


ALLOWED = "192.0.2.0/24\n192.0.2.128/25 direction=dst\n2001:db8::/32\n198.51.100.7\n"
BLOCKED = "192.0.2.1\n192.0.2.129\n2001:db8:1::/48\n198.51.100.7\n198.51.100.8\n203.0.113.0/24\n"


@pytest.mark.usefixtures("filtered")
def test_on_a_first_deployment_what_the_allowlist_will_cover_is_said():
    warnings = foretold(allowlist=ALLOWED, content=BLOCKED)["warnings"]
    assert [warning.partition(" on the allowlist")[0] for warning in warnings] == [
        "192.0.2.1, 192.0.2.129: not dropped, since 192.0.2.0/24",
        "198.51.100.7: not dropped, since 198.51.100.7",
        "2001:db8:1::/48: not dropped, since 2001:db8::/32",
    ]


@pytest.mark.usefixtures("filtered")
def test_what_others_have_on_the_allowlist_counts_and_what_leaves_it_does_not():
    changed("xdp_allowlist", ip="192.0.2.0/24,10.0.0.0/8", owner="inventory")
    changed("xdp_allowlist", ip="198.51.0.0/16", owner="wide")
    changed("xdp_allowlist", ip="203.0.113.1,198.51.100.7", owner="oncall")
    warnings = foretold(allowlist="198.51.100.7", ip="192.0.2.1,10.0.0.1,203.0.113.1,198.51.100.7")["warnings"]
    assert warnings == [
        "198.51.100.7: not dropped, since 198.51.100.7 on the allowlist (owner inventory, oncall) wins over the blocklist",
        "203.0.113.1: not dropped, since 203.0.113.1 on the allowlist (owner oncall) wins over the blocklist",
    ]


@pytest.mark.usefixtures("filtered")
def test_an_allowlist_that_will_be_empty_covers_nothing():
    changed("xdp_allowlist", ip="192.0.2.0/24", owner="inventory")
    assert foretold(allowlist="", ip="192.0.2.1")["warnings"] == []


@pytest.mark.usefixtures("filtered")
def test_of_a_long_list_the_narrowest_entry_that_will_cover_each_is_named():
    many = "\n".join(f"10.{number >> 8}.{number & 255}.1" for number in range(1500))
    changed("xdp_allowlist", ip="10.0.0.0/8", owner="oncall")
    warnings = foretold(allowlist="10.0.0.0/9\n10.1.0.0/16\n10.1.0.0/24\n", content=many)["warnings"]
    assert [warning.partition(" on the allowlist")[0] for warning in warnings] == [
        "10.0.0.1, 10.0.1.1, 10.0.2.1 and 1241 more: not dropped, since 10.0.0.0/9",
        "10.1.1.1, 10.1.2.1, 10.1.3.1 and 252 more: not dropped, since 10.1.0.0/16",
        "10.1.0.1: not dropped, since 10.1.0.0/24",
    ]


# Without check mode


@pytest.mark.usefixtures("filtered")
def test_a_run_goes_by_the_host_whatever_was_foreseen():
    foreseen = {"removed": ["pk0"], "max_entries": 1, "allowlist": {"content": "192.0.2.0/24"}}
    assert changed("xdp_blocklist", ip="192.0.2.1,192.0.2.2", foreseen=foreseen)["warnings"] == []


# Values that no task returns


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"pk0": {"options": 5}}, "'pk0': \"{'options': 5}\","),
        ({"pk0": {"options": None}}, "'pk0': \"{'options': None}\","),
        ({"pk0": {}}, "'pk0': '{}',"),
        ({"pk0": None}, "'pk0': 'None',"),
        ({"pk0": {"options": {"monitor": "false"}}}, "'pk0': "),
        ({"pk0/egress": {"options": {"monitor": False}}}, "'pk0/egress': "),
        ({"pk0": {"options": "\x1b" * 5000}}, "'pk0': "),
    ],
)
def test_what_is_no_filter_and_its_options_is_refused_by_name(filters, named):
    said = refused("xdp_blocklist", ip="192.0.2.1", foreseen={"filters": filters})
    assert said.startswith(f"foreseen.filters has {named}")
    assert said.endswith(", which is not a filter with its options: give what xdp_filter returns as filters")
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize("capacity", [0, -1, limits.MAX_CAPACITY + 1])
def test_a_capacity_that_no_list_has_is_refused(capacity):
    said = refused("xdp_blocklist", ip="192.0.2.1", foreseen={"max_entries": capacity})
    assert said.startswith(f"foreseen.max_entries='{capacity}' is out of range: give 1 to {limits.MAX_CAPACITY}, ")


@pytest.mark.parametrize(
    ("allowlist", "fault"),
    [
        ({"content": "192.0.2.1\nnowhere\n"}, "content, line 2: 'nowhere' is not an IPv4 or IPv6 address"),
        ({"src": "/nowhere/list"}, "src='/nowhere/list' cannot be read on the managed host"),
    ],
)
def test_a_fault_of_the_allowlist_to_come_is_not_taken_for_one_of_the_list_itself(allowlist, fault):
    before = look()
    result = run("xdp_blocklist", check=True, content="192.0.2.1", foreseen={"allowlist": allowlist})
    assert result["msg"].startswith(f"in foreseen.allowlist, {fault}")
    assert look() == before
