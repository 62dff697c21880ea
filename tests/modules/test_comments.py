# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry keeps its comment until somebody takes the comment or the entry away, and no other entry ever gets it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from machine import BPFFS, DEFAULT_BASE, held, ip, look, mount, ping, umount
from running import SOURCES, changed, facts, killed, refused, run, unchanged
from schemas import LATER_SOURCES, be_later
from test_interrupted import CHANGING_LISTS, assert_whole, die_instead_of, every_kill
from test_namespaces import with_pins_of_its_own

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot import restore
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import entry_notes
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, netlink, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import (
    comments,
    entry_list,
    lost_pins,
    migration,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

IP, OTHER, NETWORK, IPV6 = "192.0.2.1", "192.0.2.2", "198.51.100.0/24", "2001:db8::1"
PIN = f"{DEFAULT_BASE}/comments"
ELEMENT = bytes(schema.CLAIM_KEY.size), b"stray".ljust(schema.COMMENT_SIZE, b"\0")


def block(ip_=IP, **options) -> dict:
    return run("xdp_blocklist", ip=ip_, **options)


def said(name: str = "blocklist") -> dict:
    """Return the comments on a list by address and owner."""
    lines = (re.fullmatch(r"(\S+) .*owner=(\S+).*?(?: comment=\"(.*)\")?", line) for line in held()[name])
    return {f"{line[1]} {line[2]}": line[3] for line in lines if line[3]}


def stored() -> set[bytes]:
    """Return all comments in the kernel, strays included."""
    found = Pins(DEFAULT_BASE).open_map(PIN)
    if not found:
        return set()
    with found:
        return {value.rstrip(b"\0") for _key, value in found.read_all()}


def in_two_hours():
    now = durations.boot_time
    durations.boot_time = lambda: now() + 7200 * 10**9


# On a list


def test_entries_without_a_comment_need_no_map(filtered):
    assert block("192.0.2.1,198.51.100.0/24")["changed"]
    assert block("192.0.2.1", owner="feed", state="absent")["changed"] is False
    changed("xdp_blocklist", content=f"{IP} # remark\n", exclusive=True)
    assert not os.path.exists(PIN)


def test_an_entry_has_a_comment_until_it_gets_another_one_or_none(filtered):
    changed("xdp_blocklist", ip=IP, comment="scans every night")
    assert said() == {f"{IP} adhoc": "scans every night"}
    unchanged("xdp_blocklist", ip=IP, comment="scans every night")
    unchanged("xdp_blocklist", ip=IP)
    result = changed("xdp_blocklist", ip=IP, comment="spoofs")
    assert (result["updated"], result["added_count"]) == ([IP], 0)
    assert said() == {f"{IP} adhoc": "spoofs"}
    changed("xdp_blocklist", ip=IP, comment="")
    assert said() == {}
    assert stored() == set()
    assert ping(filtered, IP) == "drop"


@pytest.mark.parametrize("before", ["", "scans"])
def test_check_mode_predicts_a_comment_and_shows_it_in_the_diff(before):
    run("xdp_blocklist", ip=IP, comment=before)
    untouched = look()
    predicted = run("xdp_blocklist", check=True, ip=IP, comment="spoofs")
    assert look() == untouched
    assert predicted == changed("xdp_blocklist", ip=IP, comment="spoofs")
    had = f' comment="{before}"' if before else ""
    assert predicted["diff"]["before"] == f"{IP} direction=src owner=adhoc{had}\n"
    assert predicted["diff"]["after"] == f'{IP} direction=src owner=adhoc comment="spoofs"\n'


def test_another_direction_or_end_leaves_the_comment():
    changed("xdp_blocklist", ip=IP, comment="scans")
    changed("xdp_blocklist", ip=IP, direction="both")
    changed("xdp_blocklist", ip=IP, direction="both", ttl="1h")
    changed("xdp_blocklist", ip=IP, direction="src", state="absent")
    assert said() == {f"{IP} adhoc": "scans"}


@pytest.mark.parametrize("alone", [True, False])
def test_a_removed_entry_takes_its_comment_along(alone):
    if not alone:
        changed("xdp_blocklist", ip=IP, owner="feed", comment="listed")
    changed("xdp_blocklist", ip=IP, comment="scans")
    changed("xdp_blocklist", ip=IP, state="absent")
    assert stored() == (set() if alone else {b"listed"})
    changed("xdp_blocklist", ip=IP)
    assert said() == ({} if alone else {f"{IP} feed": "listed"})


@pytest.mark.parametrize("alone", [True, False])
def test_an_expired_entry_takes_its_comment_along(alone):
    if not alone:
        changed("xdp_blocklist", ip=IP, owner="feed")
    changed("xdp_blocklist", ip=IP, comment="scans", ttl="1h")
    changed("xdp_blocklist", in_two_hours, ip=IP)
    assert said() == {}
    assert stored() == set()


def test_each_list_and_each_owner_has_comments_of_its_own():
    for owner in ("adhoc", "feed"):
        changed("xdp_blocklist", ip=[IP, NETWORK, IPV6], owner=owner, comment=f"of {owner}")
    changed("xdp_allowlist", ip=[IP], comment="allowed")
    changed("xdp_blocklist", ip=[IP], comment="again")
    assert said("allowlist") == {f"{IP} adhoc": "allowed"}
    assert said() == {
        f"{IP} adhoc": "again",
        f"{IP} feed": "of feed",
        **{f"{each} {owner}": f"of {owner}" for each in (NETWORK, IPV6) for owner in ("adhoc", "feed")},
    }


def test_an_exact_sync_sets_what_the_list_file_says():
    changed("xdp_blocklist", ip=[IP, OTHER, IPV6], comment="by hand")
    text = f'{IP} comment="new"\n{OTHER} # remark\n{NETWORK} comment="net" ttl=1h\n'
    result = changed("xdp_blocklist", content=text, exclusive=True)
    assert (result["added"], result["updated"], result["removed"]) == ([NETWORK], [IP, OTHER], [IPV6])
    assert said() == {f"{IP} adhoc": "new", f"{NETWORK} adhoc": "net"}
    assert stored() == {b"new", b"net"}
    without_ttl = text.replace(" ttl=1h", "")
    changed("xdp_blocklist", content=without_ttl, exclusive=True)
    unchanged("xdp_blocklist", content=without_ttl, exclusive=True)


@pytest.mark.parametrize("options", [{}, {"exclusive": True}])
def test_addresses_of_a_task_keep_the_comments_that_they_have(options):
    changed("xdp_blocklist", ip=[IP, OTHER], comment="by hand")
    unchanged("xdp_blocklist", ip=[IP, OTHER], **options)


def test_an_owner_takes_a_comment_over_with_its_entry():
    changed("xdp_blocklist", ip=[IP, OTHER], comment="by hand")
    changed("xdp_blocklist", ip=IP, owner="inventory", from_owner="adhoc")
    changed("xdp_blocklist", ip=OTHER, owner="inventory", from_owner="adhoc", comment="known")
    assert said() == {f"{IP} inventory": "by hand", f"{OTHER} inventory": "known"}
    assert stored() == {b"by hand", b"known"}


def test_a_comment_that_cannot_be_kept_is_refused():
    assert refused("xdp_blocklist", ip=IP, comment="x" * 256) == (
        f"comment='{'x' * 60}...' is longer than 255 bytes: shorten it"
    )


def less_room():
    schema.MAX_COMMENTS = 3


def test_more_comments_than_there_is_room_for_are_refused_and_others_replace_them():
    changed("xdp_blocklist", ip=[IP, OTHER, NETWORK], comment="old")
    message = refused("xdp_blocklist", less_room, ip=IPV6, comment="one more")
    assert message.startswith("this host would have 4 comments of entries and has room for 3: nothing was changed; ")
    new = "".join(f'10.0.0.{number} comment="new {number}"\n' for number in range(3))
    changed("xdp_blocklist", less_room, content=new, exclusive=True)
    assert len(said()) == 3


def test_more_comments_than_there_is_room_for_are_refused_on_a_host_without_lists():
    text = "".join(f'10.0.0.{number} comment="new"\n' for number in range(4))
    assert "has room for 3" in refused("xdp_blocklist", less_room, content=text)


# Shown


def test_facts_show_the_comment_of_an_entry_and_nothing_of_entries_without():
    changed("xdp_blocklist", ip=IP, comment="scans")
    changed("xdp_blocklist", ip=IP, owner="feed", comment="listed")
    changed("xdp_blocklist", ip=OTHER)
    entries = {entry["ip"]: entry for entry in facts()["lists"]["blocklist"]["entries"]}
    assert entries[IP]["comment"] == "scans; listed"
    assert "comment" not in entries[OTHER]


def test_a_list_that_was_written_to_a_file_is_read_back_with_its_comments(tmp_path):
    changed("xdp_blocklist", ip=[IP, NETWORK], comment="läuft # nachts")
    changed("xdp_blocklist", ip=OTHER)
    before = held()
    facts(dest=str(tmp_path / "lists"))
    changed("xdp_filter", state="absent")
    changed("xdp_blocklist", src=str(tmp_path / "lists/blocklist"), exclusive=True)
    assert held() == before


def test_a_comment_that_somebody_else_wrote_cannot_control_a_terminal():
    changed("xdp_blocklist", ip=IP, comment="scans")
    with Pins(DEFAULT_BASE).open_map(PIN) as found:
        ((key, _value),) = found.read_all()
        found.update(key, b'\x1b[31m"\xff\n'.ljust(schema.COMMENT_SIZE, b"\0"))
    assert said() == {f"{IP} adhoc": "\\x1b[31m'\ufffd"}
    assert facts()["lists"]["blocklist"]["entries"][0]["comment"] == "\\x1b[31m'\ufffd"
    changed("xdp_blocklist", ip=IP, comment="scans")
    unchanged("xdp_blocklist", ip=IP, comment="scans")


# Pins


def test_another_capacity_and_another_version_take_the_comments_along(filtered):
    changed("xdp_blocklist", ip=[IP, NETWORK], comment="scans")
    before = held()
    changed("xdp_filter", interface=filtered, max_entries=100)
    assert held() == before
    changed("xdp_filter", be_later, _sources=LATER_SOURCES, interface=filtered, max_entries=100)
    assert [entry["comment"] for entry in facts(be_later)["lists"]["blocklist"]["entries"]] == ["scans", "scans"]
    changed("xdp_filter", state="absent")
    assert not os.path.exists(PIN)


@pytest.mark.parametrize(
    "kill",
    [
        die_instead_of(Pins, "swap"),
        die_instead_of(netlink, "replace_xdp"),
        die_instead_of(migration, "carry_counts"),
        die_instead_of(Pins, "discard_old"),
    ],
)
def test_a_killed_change_of_the_capacity_loses_no_comment(filtered, kill):
    changed("xdp_blocklist", ip=[IP, NETWORK], comment="scans")
    before = held()
    assert killed("xdp_filter", kill, interface=filtered, max_entries=100)
    run("xdp_filter", interface=filtered, max_entries=100)
    assert held() == before


@pytest.mark.parametrize("later", [True, False])
def test_comments_come_back_with_pins_that_were_removed(filtered, later):
    """The program keeps the map, whichever of both is older."""
    changed("xdp_blocklist", ip=IP, comment="scans")
    if later:
        changed("xdp_filter", interface=filtered, policy="drop")
    before = held()
    shutil.rmtree(DEFAULT_BASE)
    run("xdp_blocklist", ip=IP)
    assert held() == before


def test_lists_that_another_run_moved_out_of_sight_still_have_their_comments(filtered):
    changed("xdp_blocklist", ip=IP, comment="scans")
    changed("xdp_filter", with_pins_of_its_own, interface=filtered, max_entries=1000)
    changed("xdp_blocklist", ip=OTHER)
    assert said() == {f"{IP} adhoc": "scans"}


def test_without_the_pin_of_the_comments_the_lists_have_none_and_can_get_new_ones(filtered):
    changed("xdp_blocklist", ip=IP, comment="scans")
    os.unlink(PIN)
    assert held()["blocklist"] == [f"{IP} direction=src owner=adhoc"]
    changed("xdp_blocklist", ip=OTHER, comment="spoofs")
    shutil.rmtree(DEFAULT_BASE)
    run("xdp_blocklist", ip=NETWORK)
    assert said() == {f"{OTHER} adhoc": "spoofs"}


@pytest.mark.parametrize(
    "info",
    [
        schema.COMMENTS_MAP._replace(value_size=8),
        schema.COMMENTS_MAP._replace(max_entries=1),
        schema.COMMENTS_MAP._replace(key_size=4),
    ],
)
def test_a_map_of_another_shape_at_the_place_of_the_comments_is_left_alone(filtered, info):
    bpf.Map.create("comments", info).pin(PIN)
    assert_left_alone(f"{PIN} has an unexpected layout")


def test_a_map_of_another_name_at_the_place_of_the_comments_is_left_alone(filtered):
    bpf.Map.create("theirs", schema.COMMENTS_MAP).pin(PIN)
    assert_left_alone(f"{PIN} is a map called 'theirs' and not comments")


def assert_left_alone(message):
    for module, task in (("xdp_blocklist", {"ip": IP}), ("xdp_filter", {"state": "absent"})):
        for check in (True, False):
            assert run(module, check=check, **task)["msg"].startswith(message)
    assert os.path.exists(PIN)


# Interrupted, and strays

BEFORE = "inventory", f'{IP} comment="one"\n{OTHER}\n192.0.2.3 comment="three"\n{NETWORK} comment="net"\n'
EXACT = {
    "content": f'{IP} comment="1"\n{OTHER} comment="two"\n192.0.2.4 comment="four"\n{IPV6} comment="six" direction=both\n',
    "exclusive": True,
    "owner": "inventory",
}
CHANGING = {
    **CHANGING_LISTS,
    comments.__file__: {"store", "_made", "follow", "forget", "forget_strays"},
    lost_pins.__file__: {"bind_to_all"},
}


def remake():
    run("xdp_filter", state="absent")
    owner, text = BEFORE
    changed("xdp_blocklist", content=text, owner=owner)
    changed("xdp_blocklist", ip=[OTHER, "192.0.2.3"], comment="by hand", direction="dst")


def test_a_killed_change_of_comments_is_completed_by_the_next_run():
    remake()
    changed("xdp_blocklist", **EXACT)
    wanted, texts = held(), stored()
    for kill in every_kill(CHANGING, stride=29):
        remake()
        was_killed = killed("xdp_blocklist", kill, **EXACT)
        run("xdp_blocklist", **EXACT)
        assert held() == wanted
        assert stored() == texts
        assert_whole("blocklist")
        if not was_killed:
            break


def test_an_entry_never_inherits_the_comment_that_a_killed_removal_has_left(filtered):
    for kill in every_kill(CHANGING, stride=7):
        run("xdp_blocklist", ip=IP, comment="scans")
        was_killed = killed("xdp_blocklist", kill, ip=IP, state="absent")
        if ping(filtered, IP) == "pass":
            run("xdp_blocklist", ip=IP)
            assert said() == {}
        if not was_killed:
            break


def test_the_comments_of_no_claim_are_forgotten_with_the_repair():
    changed("xdp_blocklist", ip=[IP, OTHER], comment="scans")
    changed("xdp_blocklist", ip=OTHER, owner="feed")
    with entry_list.opened_list(Pins(DEFAULT_BASE), "blocklist") as entries:
        number = entries.known_owners.number("feed")
        for key in (addresses.parse(IP), addresses.parse("192.0.2.9")):
            entries.comments._map.update(entries.comments._packed(key, number), ELEMENT[1])
        entries.control.mark_dirty("blocklist")
    assert b"stray" in stored()
    run("xdp_blocklist", ip=NETWORK)
    assert stored() == {b"scans"}
    assert len(said()) == 2


# At boot


@pytest.fixture
def config(tmp_path):
    """A configuration directory of a host that restores a filter."""
    changed("xdp_filter", interface="pk0", persist=True, config_dir=str(tmp_path / "pingkiller"))
    return str(tmp_path / "pingkiller")


def boot(config):
    umount(BPFFS)
    mount("bpf", BPFFS)
    ip("link", "del", "pk0")
    ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")
    outcome = restore.restore(Store(config), SOURCES)
    assert outcome.errors == []
    assert restore.restore(Store(config), SOURCES, check=True).changed == []


def kept(config, owner="adhoc") -> dict:
    return entry_notes.read_entries(Store(config), "blocklist", owner)


def test_a_boot_restores_comments_of_addresses_and_of_list_files(config, tmp_path):
    source = tmp_path / "feed"
    source.write_text(f'{IP} comment="feed says" # remark\n{OTHER}\n{NETWORK} comment="until" ttl=1h\n')
    changed("xdp_blocklist", src=str(source), exclusive=True, owner="feed", config_dir=config)
    changed("xdp_blocklist", ip=[OTHER, IPV6], comment="by hand", config_dir=config)
    before = held()
    boot(config)
    assert held() == before
    assert set(kept(config, "feed")["entries"]) == {IP, NETWORK}


@pytest.mark.parametrize("through", ["ip", "src"])
@pytest.mark.parametrize("options", [{}, {"direction": "both"}, {"ttl": "1h"}])
def test_a_boot_restores_a_comment_that_a_later_request_has_left(config, tmp_path, through, options):
    changed("xdp_blocklist", ip=IP, comment="scans", config_dir=config)
    source = tmp_path / "list"
    source.write_text(IP)
    again = {"ip": IP} if through == "ip" else {"src": str(source)}
    run("xdp_blocklist", **again, **options, config_dir=config)
    before = held()
    boot(config)
    assert held() == before
    if "ttl" not in options:
        assert not run("xdp_blocklist", **again, **options, config_dir=config)["changed"]


@pytest.mark.parametrize("through", ["ip", "src", "exact"])
def test_no_boot_brings_back_a_comment_that_was_removed(config, tmp_path, through):
    changed("xdp_blocklist", ip=IP, comment="scans", config_dir=config)
    source = tmp_path / "list"
    source.write_text(IP)
    without = {
        "ip": {"ip": IP, "comment": ""},
        "src": {"src": str(source), "comment": ""},
        "exact": {"src": str(source), "exclusive": True},
    }[through]
    changed("xdp_blocklist", **without, config_dir=config)
    boot(config)
    assert said() == {}
    assert not run("xdp_blocklist", **without, config_dir=config)["changed"]


def test_an_owner_takes_a_kept_comment_over_with_its_entry(config):
    changed("xdp_blocklist", ip=IP, comment="scans", config_dir=config)
    changed("xdp_blocklist", ip=IP, owner="inventory", from_owner="adhoc", config_dir=config)
    boot(config)
    assert said() == {f"{IP} inventory": "scans"}
    assert kept(config) == {}


def test_a_comment_that_is_added_to_a_line_of_a_kept_list_file_is_kept(config, tmp_path):
    source = tmp_path / "list"
    task = {"src": str(source), "exclusive": True, "config_dir": config}
    source.write_text(f"{IP}\n{OTHER}\n")
    changed("xdp_blocklist", **task)
    source.write_text(f'{IP} comment="scans"\n{OTHER}\n')
    predicted = run("xdp_blocklist", check=True, **task)
    assert f'at boot: {IP} direction=src owner=adhoc comment="scans"\n' in predicted["diff"]["after"]
    assert predicted == changed("xdp_blocklist", **task)
    assert not run("xdp_blocklist", **task)["changed"]
    boot(config)
    assert said() == {f"{IP} adhoc": "scans"}
    source.write_text(f"{IP}\n{OTHER}\n")
    changed("xdp_blocklist", **task)
    assert "entries" not in kept(config)


@pytest.mark.parametrize("comment", ['"say \\"no\\""', '"\\u001b"', "7", "null", '["x"]', f'"{"x" * 256}"'])
def test_a_note_with_a_comment_that_no_run_writes_is_refused(config, comment):
    changed("xdp_blocklist", ip=IP, comment="scans", config_dir=config)
    note = Path(config, "entries/blocklist/adhoc.json")
    note.write_text(note.read_text().replace('"scans"', comment))
    (error,) = restore.restore(Store(config), SOURCES).errors
    assert error.startswith(f"{note} is not as PingKiller writes it")
