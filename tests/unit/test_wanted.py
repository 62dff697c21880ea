# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the stored copies of list files: complete, up to date, and without entries that are no longer wanted."""

from __future__ import annotations

import json
import os
import random
from itertools import count

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.list_lines import Reading
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import (
    copies,
    entry_notes,
    entry_plan,
    filter_plan,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Broken, Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.entries_request import EntriesRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest

LINES = "192.0.2.1\n192.0.2.2 direction=dst\n198.51.100.0/24\n2001:db8::1\n2001:db8:1::/48 direction=both\n"
KEPT = {
    "192.0.2.1": "src",
    "192.0.2.2": "dst",
    "198.51.100.0/24": "src",
    "2001:db8::1": "src",
    "2001:db8:1::/48": "both",
}


class Host:
    """A store for the wanted state, and a list file."""

    def __init__(self, path):
        self.store = Store(str(path / "pingkiller"), user=os.geteuid())
        self.file = path / "feed"
        self.directory = path / "pingkiller/entries/blocklist"

    def plan(self, text=None, **options):
        """Return the edits for a request, by default for the list file. ``text`` is written into the file first."""
        if text is not None:
            self.file.write_text(text)
        asked_of = {} if "ip" in options else {"src": str(self.file)}
        request = ListRequest("blocklist", **{"owner": "feed", "persist": True, **asked_of, **options})
        return entry_plan.plan_entries(self.store, EntriesRequest(request, read_demand(request).requested))

    def take(self, text=None, **options) -> bool:
        edits = self.plan(text, **options)
        changes = any(edits)
        for edit in edits:
            edit.write()
        return changes

    def note(self, owner="feed") -> dict:
        return entry_notes.read_entries(self.store, "blocklist", owner)

    def kept(self, owner="feed") -> dict:
        """Return the direction of each stored entry."""
        return dict(self.held(owner))

    def held(self, owner="feed", but=None) -> list:
        """Return the entries of all copies, with duplicates; without the copy ``but``."""
        return [
            (addresses.display(key), direction)
            for about in self.note(owner).get("sources", {}).values()
            for digest, direction in about["copies"].items()
            if digest != but
            for key in copies.unpack(self.store.read_copy(f"entries/blocklist/{owner}", digest))
        ]

    def files(self) -> dict:
        paths = self.directory.iterdir() if self.directory.exists() else ()
        return {each.name: (each.lstat().st_ino, each.lstat().st_mtime_ns) for each in paths}

    def copies(self):
        return sorted(self.directory.glob("*.keys*"))


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def assert_whole(host, *expected):
    """Check that exactly one of the expected states is stored, and that no other copies are there."""
    kept = host.kept()
    assert kept in expected
    named = {digest for about in host.note()["sources"].values() for digest in about["copies"]}
    assert [each.name for each in host.copies()] == sorted(f"feed.{digest}.keys" for digest in named)


def test_what_was_taken_is_kept_with_the_direction_of_each_line(host):
    host.take(LINES)
    host.file.write_text("<html>")
    assert_whole(host, KEPT)


def test_the_same_file_again_writes_nothing(host):
    assert host.take(LINES)
    before = host.files()
    assert not host.take(LINES)
    assert host.files() == before


def test_another_order_and_doubles_are_no_change_and_are_compared_once_only(host):
    host.take("192.0.2.1\n192.0.2.2\n")
    (edit,) = host.plan("192.0.2.2\n192.0.2.1\n192.0.2.2\n")
    assert (bool(edit), len(edit.packed)) == (False, 1)
    edit.write()
    assert_whole(host, {"192.0.2.1": "src", "192.0.2.2": "src"})
    before = host.files()
    assert not host.take()
    assert host.files() == before


def test_as_many_other_addresses_are_a_change(host):
    host.take("192.0.2.1\n192.0.2.4\n")
    (edit,) = host.plan("192.0.2.2\n192.0.2.3\n")
    assert edit
    lines = [entry_notes.describe_entries(edit, when) for when in ("before", "after")]
    assert lines[0] != lines[1]


def test_an_empty_file_is_kept_as_that(host):
    host.take("# nothing\n", exclusive=True)
    assert (host.kept(), host.copies()) == ({}, [])
    assert list(host.note()["sources"]) == [str(host.file)]
    assert not host.take()


def test_what_expires_with_the_file_is_in_its_copy_and_what_expires_before_is_not(host):
    host.take("192.0.2.1\n192.0.2.2 ttl=1h\n", ttl="2h")
    assert host.kept() == {"192.0.2.1": "src"}
    assert list(host.note()["entries"]) == ["192.0.2.2"]


def test_a_copy_is_there_for_root_only_and_a_sorted_list_takes_few_bytes(host):
    numbers = sorted(random.Random(1).sample(range(10 << 24, (10 << 24) + (1 << 20)), 20000))
    host.take("".join(f"{addresses.display(number.to_bytes(4, 'big'))}\n" for number in numbers))
    (copy,) = host.copies()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.stat().st_size < 20000 * 2


@pytest.mark.parametrize(
    "gone",
    [
        {"absent": True},
        {"persist": False},
        {"owner": "other", "from_owner": "feed"},
        {"ip": list(KEPT), "absent": True},
        {"ip": list(KEPT), "absent": True, "any_owner": True, "owner": "other"},
    ],
)
def test_with_what_was_noted_the_copies_go(host, gone):
    host.take(LINES)
    assert host.take(**gone)
    assert host.note() == {}
    assert not list(host.directory.glob("feed.*"))


def test_everything_forgotten_leaves_no_copy_also_none_without_a_note(host):
    host.take(LINES)
    host.take("192.0.2.1\n", owner="a.b")
    (host.directory / "a.b.json").unlink()
    for edit in filter_plan.plan_forgetting(host.store):
        assert edit
        edit.write()
    assert filter_plan.plan_forgetting(host.store) == []
    assert not host.directory.parent.exists()


def test_a_copy_holds_no_side_that_was_taken_away(host):
    host.take(LINES, direction="both")
    host.take(absent=True, direction="src")
    assert_whole(host, dict.fromkeys(("192.0.2.1", "198.51.100.0/24", "2001:db8::1"), "dst"))


def test_what_is_left_of_a_copy_keeps_its_order_so_that_its_digest_can_be_foretold(host):
    lines = [f"192.0.2.{number}" for number in range(0, 250, 7)]
    host.take("\n".join(lines), direction="both")
    host.take(absent=True, direction="src")
    assert list(host.kept()) == lines


def test_what_goes_by_hand_goes_from_the_copy_until_the_file_is_taken_again(host):
    host.take(LINES)
    assert host.take(ip=["192.0.2.1"], absent=True)
    assert "192.0.2.1" not in host.kept()
    assert not host.take(ip=["192.0.2.1"], absent=True)
    assert host.take(LINES)
    assert_whole(host, KEPT)


def test_an_entry_is_kept_once_as_it_was_asked_for_last(host):
    host.take(LINES)
    host.take(ip=["192.0.2.1"], direction="dst")
    assert ("192.0.2.1" in host.kept(), list(host.note()["entries"])) == (False, ["192.0.2.1"])
    first, host.file = host.file, host.file.with_name("other")
    host.take("192.0.2.1\n198.51.100.0/24 direction=dst\n")
    assert "entries" not in host.note()
    assert_whole(host, {**KEPT, "198.51.100.0/24": "dst"})
    host.file = first
    host.take()
    assert_whole(host, KEPT)


def test_what_several_ask_for_in_the_same_way_none_takes_from_another(host):
    feed, other = host.file, host.file.with_name("other")
    feed.write_text(LINES)
    other.write_text("192.0.2.9\n" + LINES)
    asked = [{"src": str(feed)}, {"src": str(other)}, {"ip": ["192.0.2.1", "192.0.2.8"]}]
    assert [host.take(**each) for each in asked * 2] == [True] * 3 + [False] * 3
    assert {**host.kept(), **dict.fromkeys(host.note()["entries"], "src")} == {
        **KEPT, "192.0.2.8": "src", "192.0.2.9": "src"
    }  # fmt: skip
    assert host.take(ip=["192.0.2.1"], absent=True)
    assert "192.0.2.1" not in {**host.kept(), **host.note()["entries"]}


@pytest.mark.parametrize(
    ("last", "held"), [({"ttl": "1h"}, ["src"]), ({"direction": "dst"}, ["dst"]), ({"persist": False}, [])]
)
def test_what_is_asked_for_in_another_way_leaves_every_other_place(host, last, held):
    host.take("192.0.2.1\n192.0.2.2\n")
    host.take(ip=["192.0.2.1"])
    host.file = host.file.with_name("other")
    host.take("192.0.2.1\n", **last)
    assert [direction for address, direction in host.held() if address == "192.0.2.1"] == held
    assert "entries" not in host.note()


def test_what_a_list_file_holds_no_more_stays_kept_as_it_stays_on_the_list(host):
    host.take("192.0.2.1\n192.0.2.2\n192.0.2.9 direction=dst\n")
    assert host.take("192.0.2.2 direction=dst\n192.0.2.3\n192.0.2.9 direction=dst\n")
    union = {"192.0.2.1": "src", "192.0.2.2": "dst", "192.0.2.3": "src", "192.0.2.9": "dst"}
    assert_whole(host, union)
    before = host.files()
    assert not host.take()
    assert host.files() == before
    host.take("# nothing\n")
    assert_whole(host, union)
    host.take("192.0.2.2 direction=dst\n192.0.2.3\n", absent=True)
    assert_whole(host, {"192.0.2.1": "src", "192.0.2.9": "dst"})
    host.take(ip=["192.0.2.1", "192.0.2.9"], absent=True)
    assert host.note() == {}


def test_what_an_expiring_list_file_holds_no_more_ends_when_it_was_to_end(host):
    host.take("192.0.2.1\n192.0.2.2\n", ttl="1h")
    host.take("192.0.2.2\n", ttl="2h")
    note = host.note()
    (about,) = note["sources"].values()
    assert (host.kept(), list(note["entries"])) == ({"192.0.2.2": "src"}, ["192.0.2.1"])
    assert note["entries"]["192.0.2.1"]["ttl"] <= 3600 < about["ttl"]


def test_what_a_list_file_held_no_more_and_holds_again_for_a_time_is_not_kept_for_good(host):
    for text in ("192.0.2.1\n192.0.2.2\n", "192.0.2.2\n", "192.0.2.2\n192.0.2.1 ttl=1h\n"):
        host.take(text)
    assert (host.kept(), list(host.note()["entries"])) == ({"192.0.2.2": "src"}, ["192.0.2.1"])


@pytest.mark.parametrize("again", [{"absent": True}, {}])
def test_a_damaged_copy_of_what_a_list_file_holds_no_more_goes_with_the_next_run(host, again):
    host.take("192.0.2.1\n")
    (path,) = host.copies()
    host.take("192.0.2.2\n")
    path.write_bytes(b"")
    assert host.take(**again)
    assert not path.exists()
    assert not host.take(**again)


def test_a_damaged_copy_keeps_no_whole_one_as_it_was(host):
    host.take(LINES)
    (about,) = host.note()["sources"].values()
    damaged = next(digest for digest, direction in about["copies"].items() if direction == "dst")
    host.store.write_copy("entries/blocklist/feed", damaged, b"")
    host.take(ip=["192.0.2.1", "192.0.2.2"], absent=True)
    assert host.held(but=damaged) == [each for each in KEPT.items() if each[0] not in ("192.0.2.1", "192.0.2.2")]
    (about,) = host.note()["sources"].values()
    assert about["copies"][damaged] == "dst"


def test_copies_that_a_killed_removal_left_without_a_note_go_with_the_next_one(host):
    for gone in ({"absent": True}, {"absent": True, "owner": "other", "any_owner": True}):
        host.take(LINES)
        (host.directory / "feed.json").unlink()
        assert host.take(**gone)
        assert not host.directory.exists()
        assert not host.take(**gone)


def test_an_exact_list_leaves_no_copy_of_another_file(host):
    host.take(LINES)
    host.file = host.file.with_name("moved")
    host.take("192.0.2.9\n", exclusive=True)
    assert_whole(host, {"192.0.2.9": "src"})


def test_copies_of_an_owner_whose_name_begins_alike_stay(host):
    for owner in ("feed", "feed.x", "feed.x.json"):
        host.take(LINES, owner=owner)
    host.take(absent=True)
    host.take("192.0.2.1\n", owner="feed.x")
    assert host.kept("feed.x.json") == KEPT


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def give_away(path):
    if os.geteuid() != 0:
        pytest.skip("only root gives a file away")
    os.chown(path, 65534, 65534)


DAMAGE = {
    "missing": os.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: os.truncate(path, path.stat().st_size - 5),
    "changed": flip,
    "another list": lambda path: path.write_bytes(copies.compress(copies.pack([b"\1\2\3\4"]))),
    "a link": link,
    "somebody's": give_away,
    "writable": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_copy_is_refused_by_name_and_mended_when_the_file_is_taken_again(host, damage):
    host.take("192.0.2.1\n192.0.2.2\n")
    (path,) = host.copies()
    damage(path)
    with pytest.raises(PingKillerError, match=f"^{path} [^\n]+: [^\n]+$"):
        host.kept()
    (edit,) = host.plan()
    assert edit
    assert [entry_notes.describe_entries(edit, when).count(", copy ") for when in ("before", "after")] == [0, 1]
    edit.write()
    assert_whole(host, {"192.0.2.1": "src", "192.0.2.2": "src"})
    assert not host.take()


def test_a_note_without_a_copy_is_given_one_once_and_the_diff_says_so(host):
    host.take(LINES)
    about = {"direction": "src", "on_invalid": "skip"}
    host.store.write("entries/blocklist/feed", {"sources": {str(host.file): about}})
    (edit,) = host.plan(reading=Reading(on_invalid="skip"))
    assert "what the file holds then" in entry_notes.describe_entries(edit, "before")
    assert ", copy " in entry_notes.describe_entries(edit, "after")
    assert edit
    edit.write()
    assert not host.take(reading=Reading(on_invalid="skip"))


@pytest.mark.parametrize("named", [["x"], {"../../x": "src"}, {"ab": "up"}, {"ab": 5}, 5])
def test_a_note_that_names_no_copies_of_ours_is_not_understood(host, named):
    host.take(LINES)
    path = host.directory / "feed.json"
    path.write_text(json.dumps({"sources": {"/list": {"direction": "src", "copies": named}}}))
    with pytest.raises(Broken, match="feed.json"):
        host.note()


class Killed(BaseException):
    """The process is killed at this point."""


def kill_at(monkeypatch, number: int):
    """Let ``number`` calls that change the file system succeed, and raise Killed from then on."""
    left = count(number, -1)
    for name in ("open", "fsync", "rename", "unlink", "rmdir"):
        right = getattr(os, name)

        def instead(*arguments, right=right, **options):
            if next(left) <= 0:
                raise Killed
            return right(*arguments, **options)

        monkeypatch.setattr(os, name, instead)


@pytest.mark.parametrize("exclusive", [True, False])
def test_note_and_copy_belong_together_wherever_a_change_is_interrupted(host, monkeypatch, exclusive):
    old, new = "192.0.2.1\n192.0.2.2 direction=dst\n", "192.0.2.3\n192.0.2.2\n"
    before, after = {"192.0.2.1": "src", "192.0.2.2": "dst"}, {"192.0.2.3": "src", "192.0.2.2": "src"}
    if not exclusive:
        after["192.0.2.1"] = "src"
    for number in range(100):
        host.take(old, exclusive=True)
        (edit,) = host.plan(new, exclusive=exclusive)
        with monkeypatch.context() as patched:
            kill_at(patched, number)
            try:
                edit.write()
            except Killed:
                killed = True
            else:
                killed = False
        assert host.kept() in (before, after)
        changes = host.kept() != after
        assert host.take(exclusive=exclusive) == changes
        assert_whole(host, after)
        assert not host.take(exclusive=exclusive)
        if not killed:
            break
    assert number > 10
