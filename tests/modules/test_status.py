# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What xdp_status_info says of a host, and that a look changes nothing, waits for no lock and stays small."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from machine import BPFFS, CONFIG, become_nobody, ip, look, nothing_to_lock, ping, put_foreign_program, umount
from running import changed, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils import _interpreter
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import drift as drifts
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import lock

WANTED = {"interfaces": ["pk0"], **FilterOptions().as_dict()}
NO_SYSTEMD = "refused: this host was not booted with systemd"
OWNED = {"owner": "inventory", "reset": True, "persist": True, "max_entries": 65536}


def status(*prepare, filters=(WANTED,), **given) -> dict:
    """Return the status of this machine. Without a window, unless one is given."""
    asked = {"wanted": {"filters": list(filters)}, "window": 0, "max_entries": 65536, **given}
    return unchanged("xdp_status_info", *prepare, **asked)["status"]


def write_list(name: str, *lines: str) -> str:
    """Write a list file as the role does, and return its hash."""
    path = Path(CONFIG, name)
    path.write_text("".join(line + "\n" for line in lines))
    path.chmod(0o600)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def deployed():
    """Filters and lists as the role makes them; return the hashes of the list files."""
    changed("xdp_filter", interface="pk0", **OWNED)
    hashes = {"allowlist": write_list("allowlist"), "blocklist": write_list("blocklist", "192.0.2.1", "192.0.2.2")}
    for name in hashes:
        run(f"xdp_{name}", src=f"{CONFIG}/{name}", exclusive=True, owner="inventory", persist=True)
    return hashes


def drift(hashes: dict, **given) -> list[str]:
    """Return what a deploy would change, apart from the files that restore filters."""
    told = status(lists=hashes, **given)
    return [each for each in told["drift"] if not re.search(f"(is missing|is not enabled)$|{NO_SYSTEMD}", each)]


def test_what_is_deployed_as_wanted_has_no_drift(deployed):
    told = status(lists=deployed)
    assert told["filters"] == {
        "pk0": {"wanted": True, "mode": "native", "policy": "pass", "monitor": False}
        | {"passed": 0, "dropped": 0, "would_drop": 0}
    }
    assert told["lists"]["blocklist"] == {"count": 2, "capacity": 65536}
    assert drift(deployed) == []
    told = status(is_booted_with_systemd, lists=deployed)
    assert "the command pingkiller is missing" in told["drift"]


def test_each_option_that_differs_is_told_as_users_write_it(deployed):
    wanted = {**WANTED, "policy": "drop", "monitor": True, "icmp_types": ["all"], "ratelimit_block_time": "2m"}
    assert drift(deployed, filters=[{**wanted, "ratelimit_pps": "5"}])[:3] == [
        "filter pk0: policy is pass, the inventory wants drop",
        "filter pk0: icmp_types is echo-request, the inventory wants all",
        "filter pk0: monitor is false, the inventory wants true",
    ]


def test_drift_is_there_if_and_only_if_a_module_would_change_something(deployed):
    for options in ({}, {"policy": "drop"}, {"mode": "generic"}, {"timing_sample": 0}, {"protect": False}):
        would = run("xdp_filter", check=True, interface="pk0", **OWNED, **options)["changed"]
        assert bool(drift(deployed, filters=[{**WANTED, **options}])) == would, options


def test_filter_that_was_taken_off_is_missing(deployed):
    ip("link", "set", "pk0", "xdp", "off")
    assert drift(deployed) == ["filter pk0: is not attached"]
    assert status()["filters"]["pk0"]["mode"] == "none"


def test_filter_that_the_inventory_no_longer_names_is_drift_and_one_by_hand_is_not(deployed):
    changed("xdp_filter", interface="pk1", policy="drop")
    assert drift(deployed) == []
    changed("xdp_filter", interface="pk1", **OWNED)
    assert drift(deployed) == ["filter pk1: the inventory no longer names it"]
    assert {name: each["wanted"] for name, each in status()["filters"].items()} == {"pk0": True, "pk1": False}


def test_entries_that_were_changed_by_hand_are_counted(deployed):
    changed("xdp_blocklist", ip="192.0.2.1", state="absent", any_owner=True)
    changed("xdp_blocklist", ip=["192.0.2.3", "192.0.2.4"], owner="inventory")
    assert drift(deployed) == ["blocklist: of the inventory's entries, 1 missing, 2 too many"]


def test_entry_of_another_owner_is_no_drift(deployed):
    changed("xdp_blocklist", ip="192.0.2.3")
    assert drift(deployed) == []


def test_list_that_the_inventory_has_changed_is_drift(deployed):
    assert drift({**deployed, "allowlist": "0" * 64}) == ["allowlist: the inventory's list is not the one on the host"]


def test_what_no_longer_is_to_be_restored_is_drift(deployed):
    assert drift(deployed, persist=False) == [
        "filter pk0: what a boot restores of it is not what the inventory wants",
        "blocklist: what a boot restores of it is not what the inventory wants",
        "allowlist: what a boot restores of it is not what the inventory wants",
    ]


def test_what_a_deploy_would_refuse_is_drift_in_the_words_of_the_module(deployed):
    put_foreign_program("pk1")
    (sentence,) = drift(deployed, filters=[{**WANTED, "interfaces": ["pk1"]}])
    assert sentence.startswith("a deploy would be refused: interface 'pk1' already has an XDP program")
    told = status(filters=[], wanted={"refusal": "pingkiller_polcy of alpha is no variable of this role."})
    assert told["drift"] == ["a deploy would be refused: pingkiller_polcy of alpha is no variable of this role"]
    assert told["filters"]["pk0"]["wanted"]  # the last deploy wanted it


def lacks_bcc():
    _interpreter.has_respawned = lambda: True  # there is none with BCC either
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *others: None if name.partition(".")[0] == "bcc" else find(name, *others)


def is_booted_with_systemd(answer=True):
    isdir = os.path.isdir
    os.path.isdir = lambda path: answer if path == "/run/systemd/system" else isdir(path)


def is_booted_without_systemd():
    is_booted_with_systemd(False)


def has_closed_directory():
    is_booted_with_systemd()
    access = os.access
    os.access = lambda path, mode, **others: path != "/etc/systemd/system" and access(path, mode, **others)


def test_host_that_lacks_bcc_is_told_what_a_deploy_does_about_it(deployed):
    assert status(lacks_bcc, lists=deployed)["drift"][0].startswith("BCC is missing, a deploy installs it")
    told = status(lacks_bcc, lists=deployed, wanted={"filters": [WANTED], "manage_packages": False})
    assert told["drift"] == [
        "a deploy would be refused: BCC is missing and pingkiller_manage_packages is false: install it, or set that to true"
    ]


def test_host_on_which_a_deploy_cannot_write_units_is_told_so(deployed):
    (sentence,) = status(has_closed_directory, lists=deployed)["drift"]
    assert sentence.startswith("a deploy would be refused: /etc/systemd/system cannot be written to")
    assert NO_SYSTEMD in status(is_booted_without_systemd, lists=deployed)["drift"][-1]


def test_host_that_is_to_have_nothing_is_told_what_is_still_there(deployed):
    told = status(filters=[], state="absent")
    assert told["drift"][0] == "filter pk0: is still there, the inventory wants none"
    assert f"{CONFIG} is still there, the inventory wants nothing" in told["drift"]
    changed("xdp_filter", state="absent", all=True)
    shutil.rmtree(CONFIG)
    told = status(filters=[], state="absent")
    assert (told["wanted"], told["drift"], told["filters"], told["version"]) == (False, [], {}, None)


@pytest.mark.parametrize("mounted", [True, False])
def test_host_that_was_never_deployed_lacks_its_filter(mounted):
    if not mounted:
        umount(BPFFS)
    told = status()
    assert told["filters"]["pk0"] | {"mode": "none", "wanted": True} == told["filters"]["pk0"]
    assert told["drift"][0] == "filter pk0: is not attached"
    assert told["lists"]["blocklist"] == {"count": 0, "capacity": 0}
    assert told["counts"] == {"passed": 0, "dropped": 0, "would_drop": 0, "reasons": {}}


def test_host_without_a_default_route_lacks_the_filter_of_its_default_routes():
    told = status(filters=[{**WANTED, "interfaces": []}])
    assert told["filters"]["default-routes"]["mode"] == "none"
    assert told["drift"][0].startswith("a deploy would be refused: this host has no default route")


def test_what_is_dropped_while_the_module_measures_is_recent(deployed):
    ping("pk0", "192.0.2.1", 3)

    def two_pings_meanwhile():
        compared = drifts.drift
        drifts.drift = lambda *given: (ping("pk0", "192.0.2.2", 2), compared(*given))[1]

    told = run("xdp_status_info", two_pings_meanwhile, window=0.2)["status"]
    assert told["counts"]["reasons"] == {"blocklist": 5}
    assert told["recent"] | {"dropped": 2, "passed": 0, "reasons": {"blocklist": 2}} == told["recent"]
    assert told["sources"] == [
        {"ip": "192.0.2.2", "packets": 2, "recent": 2, "reason": "blocklist", "owners": ["inventory"]},
        {"ip": "192.0.2.1", "packets": 3, "recent": 0, "reason": "blocklist", "owners": ["inventory"]},
    ]


def test_source_that_the_rate_limit_blocks_is_among_the_sources():
    changed("xdp_filter", interface="pk0", ratelimit_pps=2)
    ping("pk0", "203.0.113.5", 9)
    assert [(each["ip"], each["reason"]) for each in status()["sources"]] == [("203.0.113.5", "ratelimit")]


def test_address_is_explained_with_its_owners(deployed):
    told = status(address="192.0.2.1")["address"]
    assert (told["ip"], told["verdict"], told["owners"]) == ("192.0.2.1", "drop", ["inventory"])
    assert told["reason"].startswith("pings from it are dropped on pk0, since")
    assert status(address="192.0.2.9")["address"]["owners"] == []
    assert "is not an IPv4 or IPv6 address" in run("xdp_status_info", address="192.0.2.300", window=0)["msg"]


def test_details_tell_reasons_times_owners_and_comments(deployed):
    changed("xdp_filter", interface="pk0", timing_sample=1)
    changed("xdp_blocklist", ip="192.0.2.9", comment="scans every night")
    ping("pk0", "192.0.2.9", 4)
    ping("pk0", "192.0.2.77", 2)
    told = status(details=True)
    assert told["reasons"] == {"policy_pass": {"ipv4": 2}, "blocklist": {"ipv4": 4}}
    assert told["processing"]["dropped"]["count"] == sum(told["processing"]["dropped"]["buckets"]) == 4
    assert told["owners"] == {"blocklist": {"inventory": 2, "adhoc": 1}, "allowlist": {}}
    assert told["comments"] == {"192.0.2.9": "scans every night"}


def test_look_takes_no_lock_and_changes_nothing(deployed):
    with nothing_to_lock():
        assert drift(deployed) == []
    with lock.host_lock(5):
        assert drift(deployed) == []


def test_window_out_of_range_is_refused():
    before = look()
    assert "window=3601 is out of range" in run("xdp_status_info", window=3601)["msg"]
    assert "this needs root" in run("xdp_status_info", become_nobody)["msg"]
    assert look() == before


@pytest.mark.parametrize(("details", "most"), [(False, 4096), (True, 16384)])
def test_answer_stays_small_on_the_largest_host(details, most):
    """Forty interfaces of long names, of which each has drifted, and IPv6 sources of owners of long names."""
    names = [f"interface{number:06}" for number in range(40)]
    for name in names:
        ip("link", "add", name, "type", "bridge")
    changed("xdp_filter", interface=names[:20], mode="generic")
    owners = [f"{'owner' * 5}{number}" for number in range(4)]
    sources = [f"2001:db8:{number:04x}:ffff:eeee:dddd:cccc:bbbb" for number in range(12)]
    for owner in owners:
        changed("xdp_blocklist", ip=sources, owner=owner, comment="x" * 200)
    given = {"filters": [{**WANTED, "interfaces": [name]} for name in names], "address": sources[0]}
    asked = {"wanted": {"filters": given["filters"]}, "address": sources[0], "window": 0, "details": details}
    result = run("xdp_status_info", **asked)
    told = result["status"]
    assert len(json.dumps(result)) <= most
    assert len(told["filters"]) + told["filters_left_out"] == 40
    assert len(told["drift"]) + told["drift_left_out"] >= 40
    assert told["filters"][names[20]]["mode"] == "none"  # those with problems first
    assert told["drift"]
