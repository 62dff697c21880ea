# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that answers of hosts to a look become records, worst first, and that a compromised host harms nobody."""

from __future__ import annotations

import json
import random

import pytest
from recorded_statuses import HOSTILE, answer, fleet

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _host_status
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import STATES, HostStatus, busiest, read

NOT_BELIEVED = "what it answers is not what the module says"


def status(state="fine", **changed):
    """Return the answer of a host, with other values for some keys of its status."""
    made = answer(state, random.Random(1), details=True)
    made["status"].update(changed)
    return made


def source(ip, packets, recent=0, reason="blocklist", owners=("inventory",)):
    return {"ip": ip, "packets": packets, "recent": recent, "reason": reason, "owners": list(owners)}


def attached(**changed):
    return {"wanted": True, "mode": "native", "policy": "pass", "monitor": False, **changed}


@pytest.mark.parametrize("state", STATES)
def test_host_is_in_the_state_that_its_answer_tells(state):
    (each,) = read({"alpha": answer(state, random.Random(1))})
    assert each.state == state
    assert each.lacks == (state in ("unreachable", "failed", "unfiltered", "drifted"))


@pytest.mark.parametrize(
    "before",
    [
        "",
        "Task failed: Failed to connect to the host via ssh: ",
        'Task failed: Data could not be sent to remote host "192.0.2.7". Make sure this host can be reached over ssh: ',
        "Task failed: Finalization of task args for 'pingkiller.fleet.xdp_status_info' failed: Error while resolving value for "
        "'wanted': The lookup plugin 'pingkiller.fleet.inventory' failed: ",
    ],
)
@pytest.mark.parametrize("unreachable", [True, False])
def test_message_begins_with_the_cause(before, unreachable):
    (each,) = read({"alpha": {"unreachable": unreachable, "msg": f"{before}'nix' is undefined"}})
    assert each.message == "'nix' is undefined"


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"filters": {}}, "unfiltered"),
        ({"filters": {"eth0": attached(), "eth1": attached(mode="none")}}, "unfiltered"),
        ({"filters": {"eth0": attached(mode="none")}, "drift": ["filter eth0: is not attached"]}, "unfiltered"),
        ({"drift": [], "drift_left_out": 1}, "drifted"),
        ({"filters": {"eth0": attached(monitor=True)}, "drift": ["x"]}, "drifted"),
        ({"filters": {"eth0": attached(), "eth1": attached(monitor=True)}}, "monitoring"),
        ({"filters": {"eth0": attached(wanted=False)}}, "fine"),
        ({"wanted": False, "filters": {}}, "unwanted"),
        ({"wanted": False, "drift": ["filter eth0 would be removed"]}, "drifted"),
        ({"notes": ["the BPF file system is open to everybody"]}, "fine"),
    ],
)
def test_worst_of_what_is_told_makes_the_state(changed, state):
    assert read({"alpha": status(**changed)})[0].state == state


def test_hosts_are_worst_first_then_busiest_first_then_by_name():
    busy = {"passed": 0, "dropped": 9, "would_drop": 0, "reasons": {}}
    idle = {name: {**busy, "dropped": 0} for name in ("recent", "counts")}
    answers = {
        "golf": status(**idle),
        "foxtrot": status(**idle),
        "echo": status(**{**idle, "counts": busy}),
        "delta": status(**{**idle, "recent": busy}),
        "charlie": status("drifted", **idle),
        "bravo": {"msg": "no root"},
        "alpha": {"unreachable": True, "msg": "no route"},
    }
    assert [each.host for each in read(answers)] == sorted(answers)


def test_everything_of_an_answer_is_in_the_record():
    told = status(
        "monitoring", notes=["one"], address={"ip": "192.0.2.1", "verdict": "drop", "reason": "so", "owners": ["x"]}
    )
    (each,) = read({"alpha": told})
    said = told["status"]
    assert each._fields[3:] == _host_status.Status._fields
    assert (each.version, each.kernel, each.wanted, each.notes) == ("0.1.0", said["kernel"], True, ("one",))
    assert {
        filter_.name: filter_._asdict().items() >= said["filters"][filter_.name].items() for filter_ in each.filters
    } == (dict.fromkeys(said["filters"], True))
    assert {name: fill._asdict() for name, fill in each.lists.items()} == said["lists"]
    assert each.counts._asdict() == {"seconds": 0.0, **said["counts"]}
    assert each.recent._asdict() == said["recent"]
    assert [{**one._asdict(), "owners": list(one.owners)} for one in each.sources] == said["sources"]
    assert each.address == ("192.0.2.1", "drop", "so", ("x",))
    assert (each.details.reasons, each.details.owners) == (said["reasons"], said["owners"])


def test_host_that_failed_says_why():
    answers = {
        "alpha": {"msg": "needs root.\n  Run it as root."},
        "bravo": None,
        "charlie": {},
        "delta": {"status": None},
    }
    found = {each.host: (each.state, each.message) for each in read(answers)}
    assert found == {
        "alpha": ("failed", "needs root. Run it as root"),
        **dict.fromkeys(("bravo", "charlie", "delta"), ("failed", "it said nothing")),
    }


@pytest.mark.parametrize(
    "lie",
    [
        {"version": ["0.1.0"]},
        {"wanted": "yes"},
        {"filters": ["eth0"]},
        {"filters": {"eth0": None}},
        {"filters": {"eth0": attached(mode="magic")}},
        {"filters": {"eth0": attached(policy="maybe")}},
        {"filters": {"eth0": attached(dropped=-1)}},
        {"filters": {f"eth{number}": attached() for number in range(1000)}},
        {"filters_left_out": 1 << 64},
        {"drift": "much"},
        {"drift": [1]},
        {"drift": ["x"] * 1000},
        {"lists": {"otherlist": {"count": 1, "capacity": 2}}},
        {"lists": {"blocklist": {"count": 1.5, "capacity": 2}}},
        {"counts": {}},
        {"counts": {"passed": 0, "dropped": 0, "would_drop": 0, "reasons": {"boredom": 1}}},
        {"recent": {"seconds": float("nan"), "passed": 0, "dropped": 0, "would_drop": 0, "reasons": {}}},
        {"sources": [source("everywhere", 1)]},
        {"sources": [source("192.0.2.1", True, 1 << 70)]},
        {"sources": [source("192.0.2.1", 1, reason="boredom")]},
        {"address": {"ip": "192.0.2.1", "verdict": "maybe", "reason": "", "owners": []}},
        {"processing": {"passed": {"count": 1}}},
        {"comments": {"everywhere": "x"}},
    ],
    ids=lambda lie: json.dumps(lie)[:60],
)
def test_lying_host_is_named_and_counts_for_nothing(lie):
    found = read({"alpha": status(sources=[source("192.0.2.1", 1)]), "mallory": status(**lie)})
    assert [(each.host, each.state) for each in found] == [("mallory", "failed"), ("alpha", "fine")]
    assert found[0].message.startswith(NOT_BELIEVED)
    assert found[0] == HostStatus("mallory", "failed", found[0].message)
    assert [(each.ip, each.packets) for each in busiest(found, 10)] == [("192.0.2.1", 1)]


def test_what_hosts_and_inventories_write_does_nothing_to_a_terminal_and_is_bounded():
    for obeyed in (*HOSTILE, "\x1b]0;pwned\x07\r\n" + "A" * 10_000):
        filters, drift = {obeyed: attached()}, [obeyed]
        told = status(
            version=obeyed, kernel=obeyed, filters=filters, drift=drift, notes=drift, comments={"192.0.2.1": obeyed}
        )
        for each in read(
            {obeyed: told, obeyed + "2": {"msg": obeyed}, obeyed + "3": {"unreachable": True, "msg": obeyed}}
        ):
            texts = [each.host, each.message, each.version, each.kernel, *each.drift, *each.notes]
            texts += [filter_.name for filter_ in each.filters]
            texts += each.details.comments.values() if each.details else []
            assert all(text.isprintable() and len(text) < 500 for text in texts)


def test_answers_made_up_at_random_make_no_traceback(pytestconfig):
    chance = random.Random(pytestconfig.getoption("--inputs-seed"))
    values = [None, True, -1, 1 << 80, 1.5, float("nan"), "x", "\x1b", [], {}, [{}], {"a": 1}]
    for _number in range(pytestconfig.getoption("--inputs") // 8):
        liar = answer(chance.choice(STATES), chance, details=True)
        where = said = liar.get("status", liar)
        if chance.random() < 0.7:
            where = chance.choice([each for each in said.values() if isinstance(each, dict) and each] or [said])
        where[chance.choice(list(where))] = chance.choice(values)
        (each,) = read({"mallory": liar})
        assert each.state in STATES


def test_sources_add_up_over_hosts_the_busiest_now_first():
    found = read(
        {
            "alpha": status(sources=[source("192.0.2.1", 5), source("192.0.2.2", 100, owners=["local"])]),
            "bravo": status(sources=[source("192.0.2.1", 7, 3), source("2001:DB8::0/64", 1)]),
            "charlie": status(sources=[source("192.0.2.1", 1, reason="ratelimit", owners=[]), source("192.0.2.1", 1)]),
        }
    )
    assert busiest(found, 2) == [
        ("192.0.2.1", 14, 3, 3, ("blocklist", "ratelimit"), ("inventory",)),
        ("192.0.2.2", 100, 0, 1, ("blocklist",), ("local",)),
    ]
    assert busiest(found, 10)[2].ip == "2001:db8::/64"


def test_recorded_fleet_has_every_state_and_hostile_names_and_is_the_same_for_the_same_seed():
    answers = fleet(200, 7)
    assert answers == fleet(200, 7)
    assert len(answers) == 200
    assert set(HOSTILE) < set(answers)
    assert {each.state for each in read(answers)} == set(STATES)
    assert all(len(json.dumps(each)) <= 4096 for each in answers.values())
