# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists too long to handle entry by entry: changed, moved, repaired and reported like short ones."""

from __future__ import annotations

import os
import random
import stat

import pytest
from machine import held, indexed, ping
from running import changed, facts, killed, refused, run, unchanged
from test_interrupted import CHANGING_LISTS, assert_whole, die_at_line

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import entry_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

CAPACITY = 20_000


@pytest.fixture(params=["blocklist", "allowlist"])
def name(request):
    return request.param


@pytest.fixture
def module(name):
    changed("xdp_filter", interface="pk0", max_entries=CAPACITY)
    return f"xdp_{name}"


def long_list(seed: int = 1) -> list[str]:
    """Return addresses and networks of both families in random order."""
    lines = [f"10.{number >> 8}.{number & 255}.1" for number in range(6000)]
    lines += [f"2001:db8::{number:x}" for number in range(1, 2000)]
    lines += [f"172.16.{number}.0/{24 + number % 3}" for number in range(0, 256, 4)]
    lines += [f"2001:db8:{number:x}::/{48 + number % 3}" for number in range(256)]
    random.Random(seed).shuffle(lines)
    return lines


def canonical(lines) -> set[str]:
    return {addresses.display(addresses.parse(line.split()[0])) for line in lines}


def write(path, lines) -> str:
    path.write_text("".join(line + "\n" for line in lines))
    return str(path)


def sync(module, path, lines, **more):
    return changed(module, src=write(path, lines), exclusive=True, owner="feed", **more)


def test_a_long_list_is_held_as_the_file_says_and_the_same_again_is_no_change(module, name, tmp_path):
    lines = long_list()
    assert sync(module, tmp_path / "list", lines)["added_count"] == len(lines)
    assert indexed(name) == canonical(lines)
    assert_whole(name)
    unchanged(module, src=str(tmp_path / "list"), exclusive=True, owner="feed")
    shuffled = write(tmp_path / "shuffled", long_list(seed=2) + lines[:50])
    unchanged(module, src=shuffled, exclusive=True, owner="feed")


def test_of_a_long_list_only_what_differs_is_changed(module, name, tmp_path):
    lines = long_list()
    sync(module, tmp_path / "list", lines)
    chance = random.Random(3)
    for turn in range(4):
        others = [line for line in lines if chance.random() > 0.02]
        new = [f"192.0.{turn}.{number}" for number in range(100)]
        for line in new:
            others.insert(chance.randrange(len(others)), line)
        result = sync(module, tmp_path / "list", others)
        assert result["added_count"] == 100
        assert result["removed_count"] == len(set(lines) - set(others))
        assert set(result["added"]) == set(new)
        assert result["count"] == len(others)
        assert indexed(name) == canonical(others)
        assert_whole(name)
        lines = others


def test_a_long_list_among_entries_of_others_is_theirs_and_its_own(module, name, tmp_path):
    lines = long_list()
    changed(module, ip=[*lines[:20], "192.0.2.9"], owner="other", direction="dst")
    sync(module, tmp_path / "list", lines)
    assert run(module, src=str(tmp_path / "list"), owner="other")["updated_count"] == len(lines)
    result = run(module, content="", exclusive=True, owner="feed")
    assert (result["removed_count"], result["updated_count"]) == (0, len(lines))
    assert held()[name] == sorted(
        [f"{each} direction=src owner=other" for each in canonical(lines)] + ["192.0.2.9 direction=dst owner=other"]
    )
    assert_whole(name)


def test_a_long_list_may_say_something_else_for_every_line(module, name, tmp_path):
    lines = [f"{line} ttl={1000 + number % 700}m direction=both" for number, line in enumerate(long_list())]
    sync(module, tmp_path / "list", lines)
    result = sync(module, tmp_path / "list", [line.replace("both", "dst") for line in lines])
    assert (result["added_count"], result["updated_count"], result["removed_count"]) == (0, len(lines), 0)
    assert {line.split()[1] for line in held()[name]} == {"direction=dst"}
    assert indexed(name) == canonical(lines)
    assert_whole(name)


def test_a_long_list_that_does_not_fit_is_refused_whole(module, name, tmp_path):
    sync(module, tmp_path / "list", long_list())
    longer = [f"10.{number >> 8}.{number & 255}.2" for number in range(CAPACITY + 1)]
    said = refused(module, src=write(tmp_path / "list", longer), exclusive=True, owner="feed")
    assert "would have 20001 entries and has room for 20000" in said


def test_a_long_change_that_was_killed_is_completed(module, name, tmp_path):
    """Switch between two lists, killing each change at a later moment."""
    lines = long_list()
    sync(module, tmp_path / "list", lines)
    others = lines[500:] + [f"192.0.{number >> 8}.{number & 255}" for number in range(700)]
    arguments = {"src": str(tmp_path / "list"), "exclusive": True, "owner": "feed"}
    for moment in (40, 90, 150, 400, 1500, 6000):
        write(tmp_path / "list", others)
        was_killed = killed(module, die_at_line(moment, CHANGING_LISTS), **arguments)
        assert was_killed or moment > 1000, moment
        assert facts(list_limit=CAPACITY)["lists"][name]["entries"], moment  # facts can be read after the kill, too
        run(module, **arguments)
        assert indexed(name) == canonical(others), moment
        assert_whole(name)
        unchanged(module, **arguments)
        lines, others = others, lines


def test_another_capacity_takes_a_long_list_and_its_counts_along(tmp_path):
    lines = long_list()
    changed("xdp_filter", interface="pk0", max_entries=CAPACITY)
    sync("xdp_blocklist", tmp_path / "list", lines)
    changed("xdp_blocklist", ip=lines[:30], owner="other", direction="both")
    busy = sorted(line for line in lines if line.startswith("10."))[::400]
    for number, address in enumerate(busy, 1):
        assert ping("pk0", address, number) == "drop"
    before = held()
    for capacity in (9000, 30_000):
        changed("xdp_filter", interface="pk0", max_entries=capacity)
        assert held() == before
        assert_whole("blocklist")
        told = facts(top=len(busy) + 1)["lists"]["blocklist"]
        assert {each["ip"]: each["packets"] for each in told["top"]} == {ip: n for n, ip in enumerate(busy, 1)}
        assert ping("pk0", "10.9.9.1") == "drop"
        changed("xdp_blocklist", ip="10.9.9.1", owner="again")  # keeps its one packet out of the busiest entries
        with entry_list.opened_list(Pins(DEFAULT_BASE), "blocklist") as entries:
            slot = entries.slot_of(addresses.parse("10.9.9.1"))
            entries.records.write(slot, "packets", 0)
        changed("xdp_blocklist", ip="10.9.9.1", owner="again", state="absent")


def test_facts_tell_of_a_long_list_what_they_are_asked_for(module, name, tmp_path):
    lines = long_list()
    sync(module, tmp_path / "list", lines)
    told = facts(list_limit=7, top=3)["lists"][name]
    assert (told["count"], told["capacity"], told["truncated"]) == (len(lines), CAPACITY, True)
    assert (len(told["entries"]), told["top"]) == (7, [])
    assert "file" not in told


def test_a_list_is_written_whole_to_a_file_that_can_be_read_back(module, name, tmp_path):
    lines = long_list()
    sync(module, tmp_path / "list", lines)
    changed(module, ip=lines[:5], owner="other", direction="dst")
    changed(module, ip="192.0.2.1", ttl="1h")
    dest = tmp_path / "dump"
    told = facts(list_limit=0, dest=str(dest))["lists"]
    assert told[name]["file"] == str(dest / name)
    assert sorted(os.listdir(dest)) == ["allowlist", "blocklist"]
    assert stat.S_IMODE((dest / name).stat().st_mode) == 0o600
    text = (dest / name).read_text()
    assert len(text.splitlines()) == 1 + len(lines) + 1
    assert f"{lines[9]} # owners=feed packets=0 bytes=0\n" in text
    assert f"{lines[0]} direction=both # owners=feed,other packets=0 bytes=0\n" in text
    changed("xdp_filter", state="absent")
    changed("xdp_filter", interface="pk0", max_entries=CAPACITY)
    assert changed(module, src=str(dest / name))["added_count"] == len(lines) + 1
    assert indexed(name) == canonical(lines) | {"192.0.2.1"}
    ((line,),) = [[each for each in held()[name] if each.startswith("192.0.2.1 ")]]
    assert line.startswith("192.0.2.1 direction=src owner=adhoc until=")


def test_a_file_of_a_list_has_what_was_counted(tmp_path):
    changed("xdp_filter", interface="pk0")
    changed("xdp_blocklist", ip="192.0.2.1")
    ping("pk0", "192.0.2.1", 3)
    facts(dest=str(tmp_path))
    assert "192.0.2.1 # owners=adhoc packets=3 bytes=126 last_seen=20" in (tmp_path / "blocklist").read_text()


def test_check_mode_and_a_host_without_lists_write_no_entry(tmp_path):
    assert "file" not in facts(dest=str(tmp_path / "none"), check=True)["lists"]["blocklist"]
    assert not (tmp_path / "none").exists()
    facts(dest=str(tmp_path))
    assert (tmp_path / "blocklist").read_text().startswith("# The blocklist of this host at 20")


def test_a_place_that_takes_no_files_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert run("xdp_facts", dest=str(tmp_path / "file"))["msg"] == (
        f"dest={str(tmp_path / 'file')!r} cannot be written on the managed host (File exists): "
        f"give a directory there that takes the files"
    )
    assert (tmp_path / "file").read_text() == "mine"
