# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State after a boot: the modules store it, and the runtime that the role installs restores it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from functools import partial
from pathlib import Path

import built
import faults
import pytest
from installed import LOADING, install
from machine import (
    BPFFS,
    DEFAULT_BASE,
    NOBODY,
    PING_BYTES,
    held,
    indexed,
    ip,
    look,
    mount,
    ping,
    program,
    put_before,
    umount,
)
from running import SOURCES, changed, facts, killed, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.boot import lists, restore
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept import filter_notes
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, compiler
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists import demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

BLOCKED, OTHER, LISTED = "203.0.113.66", "203.0.113.67", "198.51.100.7"
FINE, ERROR, USAGE, NOT_AS_WANTED = 0, 1, 2, 3


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    return install(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def config(tmp_path):
    """The path of a configuration directory, in place of /etc/pingkiller."""
    return tmp_path / "pingkiller"


@pytest.fixture
def installed(runtime, config):
    """Run the command on the host; return its status and output."""

    def call(name: str, *arguments: str, by: tuple = ()):
        return subprocess.run(
            [*by, runtime, name, "--config", config, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.fixture
def command(installed):
    """Run the command like ``installed``, but load programs that were built before instead of compiling them."""
    return partial(installed, by=LOADING)


@pytest.fixture
def restored(command):
    """Boot, then run the runtime as the systemd unit does."""

    def call(*arguments: str, status: int = FINE):
        boot()
        done = command("apply", *arguments)
        assert done.returncode == status, done.stderr
        return done

    return call


@pytest.fixture
def deployed(config):
    """A host as the role leaves it: a filter on pk0 and a list of the owner inventory."""
    source = config / "blocklist"
    changed("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=str(config), max_entries=1000)
    source.write_text(f"{LISTED}  # from the inventory\n")
    changed("xdp_blocklist", src=str(source), exclusive=True, owner="inventory", persist=True, config_dir=str(config))
    return config


def boot():
    """Do what a boot does: the kernel forgets all filters and lists, and the interfaces are new."""
    umount(BPFFS)
    mount("bpf", BPFFS)
    ip("link", "del", "pk0")
    ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")


def block(config, address=BLOCKED, **options) -> dict:
    return run("xdp_blocklist", **{"ip": address, "config_dir": str(config), **options})


def kept(config, owner="adhoc") -> dict:
    """Return the stored entries of an owner on the blocklist."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads((config / f"entries/blocklist/{owner}.json").read_text())
    return {}


def expire(config, seconds: int, ttl: int = 3600):
    """Make the stored entries of ``adhoc`` expire in this many seconds of wall-clock time."""
    content = kept(config)
    for entry in content["entries"].values():
        entry.update(until=durations.iso(time.time() + seconds), ttl=ttl)
    (config / "entries/blocklist/adhoc.json").write_text(json.dumps(content))


def files(config) -> dict:
    return {str(path): path.read_bytes() for path in sorted(config.rglob("*")) if path.is_file()}


def entry(address: str) -> dict:
    return next(each for each in facts()["lists"]["blocklist"]["entries"] if each["ip"] == address)


# State that comes back


def test_filter_and_lists_are_back_after_a_boot(deployed, installed):
    block(deployed)
    before, options = held(), facts()["filters"]["pk0"]["options"]
    boot()
    assert installed("apply").returncode == FINE
    assert held() == before
    assert facts()["filters"]["pk0"]["options"] == options
    assert facts()["lists"]["blocklist"]["capacity"] == 1000
    assert ping("pk0", BLOCKED) == ping("pk0", LISTED) == "drop"


def test_modules_find_nothing_to_do_after_a_boot(deployed, restored):
    block(deployed)
    restored()
    config_dir = str(deployed)
    unchanged("xdp_filter", interface="pk0", policy="drop", persist=True, config_dir=config_dir, max_entries=1000)
    source = str(deployed / "blocklist")
    unchanged("xdp_blocklist", src=source, exclusive=True, owner="inventory", persist=True, config_dir=config_dir)
    unchanged("xdp_blocklist", ip=BLOCKED, config_dir=config_dir)


def test_second_apply_changes_nothing(deployed, restored, command):
    block(deployed, ttl="1h")
    restored()
    before = program("pk0"), held(), files(deployed)
    assert command("apply").stdout == "as wanted\n"
    assert (program("pk0"), held(), files(deployed)) == before


def test_counters_do_not_pretend_to_have_survived(deployed, restored):
    block(deployed)
    ping("pk0", BLOCKED, 5)
    restored()
    assert entry(BLOCKED)["packets"] == 0
    assert facts()["filters"]["pk0"]["counters"]["dropped"]["packets"] == 0


def test_filters_on_both_hooks_of_an_interface_are_back(deployed, installed):
    arguments = {"interface": "pk0", "hook": "tc_egress", "policy": "drop", "icmp_types": "time-exceeded"}
    changed("xdp_filter", persist=True, config_dir=str(deployed), **arguments)
    boot()
    assert installed("apply").returncode == FINE
    assert sorted(facts()["filters"]) == ["pk0", "pk0/tc_egress"]


# List files


@pytest.fixture
def feed(config):
    """Arguments to sync a list file, on a host that restores its lists but no filter, so that nothing is compiled."""
    Store(str(config)).write("host", {"base": DEFAULT_BASE, "max_entries": 1000})
    path = config.parent / "feed"
    path.write_text(f"{BLOCKED}\n198.51.100.0/24 direction=both\n2001:db8::1\n")
    arguments = {"src": str(path), "exclusive": True, "owner": "feed", "persist": True, "config_dir": str(config)}
    changed("xdp_blocklist", **arguments)
    return arguments


def copies_of(config, owner="feed") -> list:
    return sorted((config / "entries/blocklist").glob(f"{owner}.*.keys"))


def test_the_last_good_list_comes_back_whatever_became_of_its_file(feed, restored, command):
    before, path = held(), Path(feed["src"])
    path.write_text(f"{OTHER}\n203.0.1")  # truncated
    assert "203.0.1" in refused("xdp_blocklist", **feed)
    for became in (lambda: None, lambda: path.write_text(""), path.unlink, path.mkdir):
        became()
        restored()
        assert held() == before
    assert command("check").returncode == FINE


def test_an_index_that_somebody_else_changed_is_put_right(deployed, command):
    changed("xdp_blocklist", ip=BLOCKED, persist=True, config_dir=str(deployed))
    with bpf.Map.open(Pins(DEFAULT_BASE).list_pin("blocklist", "exact4")) as index:
        slot = index.lookup(addresses.parse(BLOCKED))
        index.update(addresses.parse(OTHER), slot)
        assert command("apply").returncode == FINE
        assert indexed("blocklist") == {BLOCKED, LISTED}
        index.delete(addresses.parse(BLOCKED))
        assert command("apply").returncode == FINE
        assert indexed("blocklist") == {BLOCKED, LISTED}
    done = command("check")
    assert (done.returncode, done.stdout) == (FINE, "as wanted\n")


def test_a_damaged_copy_is_told_keeps_nothing_else_away_and_is_mended_by_the_next_sync(feed, config, restored):
    before = held()
    block(config, OTHER, owner="feed", persist=True)
    block(config, LISTED, persist=True)
    for path in copies_of(config):
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        said = restored(status=ERROR).stderr
        assert said.count("\n") == 1
        assert str(path) in said
        there = {line.split()[0] for line in held()["blocklist"]}
        assert there - {OTHER, LISTED} in ({BLOCKED, "2001:db8::1"}, {"198.51.100.0/24"})
        assert there >= {OTHER, LISTED}
        path.write_bytes(whole)
    path.write_bytes(whole[:-5])
    changed("xdp_blocklist", **feed)
    block(config, LISTED, state="absent")
    restored()
    assert held() == before


def test_what_several_ask_for_alike_or_a_list_file_held_before_changes_nothing_again_and_comes_back(
    feed, config, restored
):
    other = config.parent / "other"
    other.write_text(f"{BLOCKED}\n{LISTED}\n")
    wanted_of = {"owner": "feed", "persist": True, "config_dir": str(config)}
    asked = [{"src": feed["src"]}, {"src": str(other)}, {"ip": BLOCKED}]
    for each in asked[1:]:
        changed("xdp_blocklist", **each, **wanted_of)
    other.write_text(f"{OTHER}\n")
    changed("xdp_blocklist", src=str(other), **wanted_of)
    before = held()
    for each in asked:
        unchanged("xdp_blocklist", **each, **wanted_of)
    restored()
    assert held() == before
    changed("xdp_blocklist", src=str(other), **wanted_of, state="absent")
    before = held()
    restored()
    assert held() == before
    assert LISTED in str(before)


def test_a_note_without_a_copy_reads_the_file_until_that_is_taken_again(feed, config, restored):
    note = config / "entries/blocklist/feed.json"
    content = json.loads(note.read_text())
    for about in content["sources"].values():
        del about["copies"]
        about["format"] = feed["format"] = "first_column"
    note.write_text(json.dumps(content))
    Path(feed["src"]).write_text(f"{OTHER} 17 times\n")
    restored()
    assert [line.split()[0] for line in held()["blocklist"]] == [OTHER]
    foretold = run("xdp_blocklist", check=True, **feed)
    done = changed("xdp_blocklist", **feed)
    assert done["diff"] == foretold["diff"]
    assert "what the file holds then" in done["diff"]["before"]
    assert (done["added_count"], done["removed_count"], len(copies_of(config))) == (0, 0, 1)
    unchanged("xdp_blocklist", **feed)


def test_list_note_and_copy_are_of_one_file_wherever_a_sync_is_killed(feed, config, restored):
    path, before = Path(feed["src"]), held()
    old, new = path.read_text(), f"{OTHER}\n"
    path.write_text(new)
    steps = faults.record(lambda prepare: run("xdp_blocklist", prepare, **feed))
    after = held()
    writing = [step for step in steps if step.what in ("rename", "unlink") and str(config) in step.path]
    final = [step for step in writing if step.what == "rename" or not step.path.endswith(".new")]
    assert [step.what for step in final] == ["rename", "rename", "unlink", "unlink"]  # new copy, note, old copies
    for step in final[:-1]:
        path.write_text(old)
        run("xdp_blocklist", **feed)
        path.write_text(new)
        with faults.at(step, faults.KILL) as fault:
            assert killed("xdp_blocklist", fault.prepare, **feed)
        restored()
        assert held() in (before, after)
        run("xdp_blocklist", **feed)
        assert held() == after
        assert len(copies_of(config)) == 1
        unchanged("xdp_blocklist", **feed)


# Time


def test_entry_comes_back_with_the_rest_of_its_time(deployed, restored):
    block(deployed, ttl="1h")
    began = time.monotonic()
    expire(deployed, 100)
    restored()
    left = entry(BLOCKED)["expires_in"]
    assert 98 - (time.monotonic() - began) <= left <= 101


def test_restoring_again_leaves_an_entry_that_expires_with_the_end_that_it_has(deployed, restored, command):
    block(deployed, ttl="1h")
    restored()
    expire(deployed, 100)
    assert json.loads(command("apply", "--json").stdout)["changed"] == []
    assert entry(BLOCKED)["expires_in"] > 3000


def test_expired_entry_does_not_come_back(deployed, restored):
    block(deployed, ttl="1h")
    expire(deployed, -1)
    restored()
    assert ping("pk0", BLOCKED) == "drop"  # by the policy
    assert BLOCKED not in str(held())


def test_clock_that_is_behind_gives_no_entry_more_time_than_it_was_given(deployed, restored):
    block(deployed, ttl="60s")
    expire(deployed, 10**8, ttl=60)
    restored()
    assert entry(BLOCKED)["expires_in"] <= 60


def test_entry_of_a_list_file_that_expires_comes_back_with_the_rest_of_its_time(deployed, restored):
    source = deployed / "blocklist"
    source.write_text(f"{LISTED}\n{OTHER} ttl=100s\n")
    run("xdp_blocklist", src=str(source), exclusive=True, owner="inventory", persist=True, config_dir=str(deployed))
    content = kept(deployed, "inventory")
    content["entries"][OTHER]["until"] = durations.iso(time.time() + 50)
    (deployed / "entries/blocklist/inventory.json").write_text(json.dumps(content))
    source.unlink()
    restored()
    assert entry(OTHER)["expires_in"] <= 51
    assert entry(LISTED)["expires_in"] is None


def test_all_entries_of_a_list_file_can_expire(deployed, restored):
    source = deployed / "feed"
    source.write_text(f"{BLOCKED}\n{OTHER}\n")
    run("xdp_blocklist", src=str(source), owner="feed", ttl="100s", config_dir=str(deployed))
    source.unlink()
    restored()
    assert entry(BLOCKED)["expires_in"] <= 100
    assert entry(OTHER)["expires_in"] <= 100


def test_lines_of_a_list_file_for_one_address_add_up_at_boot_as_before(deployed, restored):
    source = deployed / "feed"
    source.write_text(f"{BLOCKED} direction=dst\n{OTHER} ttl=1h\n::ffff:{BLOCKED} ttl=100s # \x85 {OTHER}\n")
    run("xdp_blocklist", src=str(source), owner="feed", config_dir=str(deployed))
    before = [line for line in held()["blocklist"] if line.startswith(BLOCKED)]
    assert before == [f"{BLOCKED} direction=both owner=feed"]
    restored()
    assert [line for line in held()["blocklist"] if line.startswith(BLOCKED)] == before
    assert entry(OTHER)["expires_in"] <= 3600


def test_the_direction_that_stays_of_an_entry_is_the_one_that_comes_back(deployed, restored):
    block(deployed, direction="both")
    block(deployed, direction="src", state="absent")
    restored()
    assert entry(BLOCKED)["direction"] == "dst"


def test_an_entry_that_went_whoever_wanted_it_does_not_come_back_for_anybody(deployed, restored):
    for owner in ("adhoc", "oncall", "feed"):
        block(deployed, owner=owner)
    block(deployed, state="absent", any_owner=True)
    assert [kept(deployed, owner) for owner in ("adhoc", "oncall", "feed")] == [{}] * 3
    restored()
    assert BLOCKED not in str(held())


def test_entry_handed_over_comes_back_as_its_new_owners(deployed, restored):
    block(deployed)
    block(deployed, owner="oncall", from_owner="adhoc")
    assert (kept(deployed), sorted(kept(deployed, "oncall")["entries"])) == ({}, [BLOCKED])
    restored()
    assert entry(BLOCKED)["owners"] == ["oncall"]


# State that does not come back


def test_entry_taken_off_does_not_come_back(deployed, restored):
    block(deployed)
    block(deployed, OTHER)
    assert block(deployed, state="absent")["changed"]
    restored()
    assert [line.split()[0] for line in held()["blocklist"]] == [LISTED, OTHER]


@pytest.mark.parametrize("seconds", [100, -1])
def test_taking_off_reaches_what_is_noted_of_an_entry_that_has_left_the_list(deployed, seconds):
    block(deployed, ttl="1h")
    block(deployed, state="absent", config_dir=str(deployed.parent / "pingkiller-another"))
    assert kept(deployed)
    expire(deployed, seconds)
    assert block(deployed, state="absent")["changed"] == (seconds > 0)
    assert kept(deployed) == {}


def test_entry_for_this_boot_only_does_not_come_back(deployed, restored):
    block(deployed)
    assert block(deployed, persist=False)["changed"]
    restored()
    assert BLOCKED not in str(held())


def test_host_that_restores_no_filter_is_left_without_a_file(filtered, config):
    assert block(config)["changed"]
    assert not config.exists()


def test_filter_set_by_hand_lasts_until_the_next_boot(deployed, restored):
    changed("xdp_filter", interface="pk0", policy="pass", config_dir=str(deployed))
    restored()
    assert facts()["filters"]["pk0"]["options"]["policy"] == "drop"


def test_filter_taken_off_does_not_come_back(deployed, restored):
    changed("xdp_filter", interface="pk1", persist=True, config_dir=str(deployed))
    changed("xdp_filter", interface="pk0", state="absent", config_dir=str(deployed))
    restored()
    assert list(facts()["filters"]) == ["pk1"]


def test_removal_of_everything_leaves_nothing_to_restore(deployed, restored):
    block(deployed)
    changed("xdp_filter", state="absent", config_dir=str(deployed))
    assert list(files(deployed)) == [str(deployed / "blocklist")]  # which the role wrote
    assert restored().stdout == "as wanted\n"
    assert (facts()["filters"], os.path.exists(DEFAULT_BASE)) == ({}, False)


def test_removal_after_a_boot_without_restoring_forgets_as_well(deployed):
    boot()
    changed("xdp_filter", state="absent", config_dir=str(deployed))
    assert list(files(deployed)) == [str(deployed / "blocklist")]
    unchanged("xdp_filter", state="absent", config_dir=str(deployed))


# Interfaces


def test_interface_that_is_not_there_yet_is_no_failure(deployed, restored, command):
    ip("link", "add", "pk-late.7", "type", "veth", "peer", "name", "pk2")
    changed("xdp_filter", interface="pk-late.7", persist=True, config_dir=str(deployed))
    ip("link", "del", "pk-late.7")
    assert "not there yet: the interface of the filter on pk-late.7" in restored().stdout
    assert command("check").returncode == NOT_AS_WANTED
    ip("link", "add", "pk-late.7", "type", "veth", "peer", "name", "pk2")
    # systemd replaces a dash in a unit's name by a slash.
    assert command("apply", "--interface", "pk/late.7").returncode == FINE
    assert program("pk-late.7")
    assert command("check").returncode == FINE


def test_interface_that_no_filter_is_wanted_on_is_left_alone(deployed, restored, command):
    restored()
    before = look()
    assert command("apply", "--interface", "pk1").returncode == FINE
    assert look() == before


# Failures


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"xdp": {"policy": "perhaps"}}',
        '{"xdp": {"colour": 1}}',
        '{"xdp": {"monitor": "yes"}}',
        '{"xdp": 7}',
    ],
)
def test_broken_filter_is_told_and_keeps_nothing_else_away(deployed, restored, content):
    changed("xdp_filter", interface="pk1", persist=True, config_dir=str(deployed))
    (deployed / "filters/pk0.json").write_text(content)
    said = restored(status=ERROR).stderr
    assert "pk0.json" in said or "policy" in said
    assert "Traceback" not in said
    assert not program("pk0")
    assert ping("pk1", LISTED) == "drop"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"entries": {"300.1.1.1": {"direction": "src"}}}',
        '{"entries": 1}',
        '{"sources": {"/nowhere": {"direction": "src"}}}',
    ],
)
def test_broken_entries_are_told_and_keep_nothing_else_away(deployed, restored, content):
    block(deployed)
    (deployed / "entries/blocklist/adhoc.json").write_text(content)
    said = restored(status=ERROR).stderr
    assert "adhoc.json" in said or "/nowhere" in said
    assert "Traceback" not in said
    assert [line.split()[0] for line in held()["blocklist"]] == [LISTED]
    assert ping("pk0", LISTED) == "drop"


@pytest.mark.parametrize("name", ["host", "filters/pk0", "entries/blocklist/inventory"])
@pytest.mark.parametrize("content", ["{", '{"base": 5}'])
def test_broken_wanted_state_is_mended_by_the_next_deployment_and_by_removal(deployed, name, content):
    path, config_dir, source = deployed / f"{name}.json", str(deployed), str(deployed / "blocklist")
    deploy = [
        {"name": "xdp_filter", "interface": "pk0", "policy": "drop", "max_entries": 1000},
        {"name": "xdp_blocklist", "src": source, "exclusive": True, "owner": "inventory"},
    ]
    good = files(deployed)
    path.write_text(content)
    assert True in [run(persist=True, config_dir=config_dir, **each)["changed"] for each in deploy]
    assert files(deployed) == good
    path.write_text(content)
    changed("xdp_filter", state="absent", config_dir=config_dir)
    assert list(files(deployed)) == [source]


def test_filter_that_cannot_be_attached_leaves_no_half_of_it(deployed, restored):
    (deployed / "filters/lo.json").write_text((deployed / "filters/pk0.json").read_text().replace("auto", "native"))
    assert "lo" in restored(status=ERROR).stderr
    assert list(facts()["filters"]) == ["pk0"]


def test_write_that_was_interrupted_is_passed_over(deployed, restored):
    block(deployed)
    (deployed / "entries/blocklist/adhoc.json.new").write_text('{"entries": {')
    restored()
    assert block(deployed, OTHER)["changed"]
    assert sorted(kept(deployed)["entries"]) == [BLOCKED, OTHER]


@pytest.mark.parametrize("name", ["filters/pk0.json", "entries", "entries/blocklist/adhoc.json"])
def test_link_in_the_wanted_state_is_refused(deployed, restored, name):
    block(deployed)
    planted = deployed / name
    planted.rename(deployed / "elsewhere")
    planted.symlink_to(deployed / "elsewhere")
    said = restored(status=ERROR).stderr
    assert str(planted) in said
    assert planted.is_symlink()


def test_wanted_state_that_others_can_change_is_refused(deployed, restored):
    (deployed / "filters/pk0.json").chmod(0o666)
    assert "only root can change" in restored(status=ERROR).stderr
    assert not program("pk0")


# Stored state that others changed


HOSTILE = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: os.symlink("/dev/zero", path),
    "a link to a file of root's": lambda path: os.symlink("/etc/shadow", path),
    "a line without an end": lambda path: path.write_text("A" * 8_000_000),
    "no end": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_somebody_put_in_the_place_of_a_list_holds_up_no_boot(deployed, restored, make):
    block(deployed)
    path = deployed.parent / "feed"
    make(path)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    note = {"sources": {str(path): {"direction": "src"}}}  # by a version that kept no copies
    Store(str(deployed)).write("entries/allowlist/aaa", note)
    block(deployed, owner="zzz", address=OTHER)
    said = restored(status=ERROR).stderr
    assert str(path) in said
    assert (said.count("\n"), "root:" in said, len(said) < 500) == (1, False, True)
    assert ping("pk0", BLOCKED) == ping("pk0", OTHER) == ping("pk0", LISTED) == "drop"
    assert {BLOCKED, OTHER, LISTED} == {line.split()[0] for line in held()["blocklist"]}


@pytest.mark.filterwarnings("ignore:not a bytes object:DeprecationWarning:bcc")
def test_nothing_is_read_outside_of_the_wanted_state_before_the_filters_filter(deployed, monkeypatch):
    source = deployed.parent / "feed"
    source.write_text(f"{BLOCKED}\n")
    Store(str(deployed)).write("entries/allowlist/feed", {"sources": {str(source): {"direction": "src"}}})
    boot()
    seen = deployed.parent / "seen"

    def read_elsewhere(request):
        if request.src:  # a file, which a separate process reads
            seen.write_text(f"{request.src} {bool(program('pk0'))} {len(held()['blocklist'])}")
        return read_demand(request)

    monkeypatch.setattr(compiler, "compile_program", built.compile_program)
    monkeypatch.setattr(demand, "read_demand", read_elsewhere)
    outcome = restore.restore(Store(str(deployed)), SOURCES)
    assert outcome.errors == []
    assert seen.read_text() == f"{source} True 1"
    assert list(held()["allowlist"]) == [f"{BLOCKED} direction=src owner=feed"]


def test_what_modules_would_refuse_to_write_to_is_missed_by_check_and_restored_by_a_boot(deployed, command, restored):
    deployed.chmod(0o755)
    restored()
    done = command("check")
    assert done.returncode == ERROR
    assert (
        f"{deployed} is a directory of user 0 with mode 0755, not a directory of root's with mode 0700" in done.stderr
    )


@pytest.mark.filterwarnings("ignore:not a bytes object:DeprecationWarning:bcc")
def test_a_list_that_hangs_is_given_up_on_and_keeps_no_other_list_away(deployed, silent, monkeypatch):
    source = deployed.parent / "feed"
    source.write_text(f"{OTHER}\n")
    for owner, path in (("aaa", silent / "feed"), ("zzz", source)):
        note = {"sources": {str(path): {"direction": "src"}}}  # by a version that kept no copies
        Store(str(deployed)).write(f"entries/allowlist/{owner}", note)
    boot()
    monkeypatch.setattr(compiler, "compile_program", built.compile_program)
    monkeypatch.setattr(lists, "PATIENCE", 0.3)
    outcome = restore.restore(Store(str(deployed)), SOURCES)
    (said,) = outcome.errors
    assert said.startswith(f"src='{silent}/feed' was not read within 0.3 s, so nothing of it is on the allowlist: ")
    assert program("pk0")
    assert list(held()["allowlist"]) == [f"{OTHER} direction=src owner=zzz"]


DEEP = "[" * 200_000
NOT_UNDERSTOOD = {
    "host": [
        '{"base": 5}',
        '{"base": "etc"}',
        '{"base": "\\u0000"}',
        '{"max_entries": 1e999}',
        '{"max_entries": -1}',
        DEEP,
    ],
    "filters/pk1": [
        '{"base": 5}',
        '{"xdp": {"policy": ["drop"]}}',
        '{"xdp": {"icmp_types": [{}]}}',
        '{"xdp": NaN}',
        DEEP,
    ],
    "owners": ['{"pk0": 5}', '{"pk0": {}}', '{"\\ud800": "inventory"}', DEEP],
    "entries/blocklist/adhoc": [
        '{"base": 5}',
        '{"entries": {"192.0.2.1": {"direction": ["src"]}}}',
        '{"entries": {"192.0.2.1": {"direction": "src", "until": "2030-01-01T00:00:00Z", "ttl": "1h"}}}',
        '{"sources": {"/list": {"direction": "src", "copies": {"": "src"}}}}',
        '{"entries": [[]]}',
        DEEP,
    ],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, all_ in NOT_UNDERSTOOD.items() for each in all_])
def test_a_wanted_file_of_another_shape_is_named_and_holds_up_nothing_else(deployed, restored, command, name, content):
    path = deployed / f"{name}.json"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content)
    said = restored(status=ERROR).stderr
    assert str(path) in said
    assert ("Traceback" in said, said.count("\n"), len(said) < 1000) == (False, 1, True)
    assert ping("pk0", LISTED) == "drop"
    assert LISTED in str(held())
    done = command("check")
    assert (done.returncode, done.stderr.count("\n"), str(path) in done.stderr) == (ERROR, 1, True)
    done = command("status")  # reads neither options nor entries
    assert (str(path) in done.stderr) == (done.returncode == ERROR)
    assert "Traceback" not in done.stderr


# Stored state that is missing


def test_host_json_that_was_lost_is_an_error_and_all_that_is_noted_comes_back(deployed, restored, command):
    (deployed / "host.json").unlink()
    said = restored(status=ERROR).stderr
    assert f"{deployed}/host.json is not there" in said
    assert ping("pk0", LISTED) == "drop"
    for name in ("check", "status"):
        done = command(name)
        assert (done.returncode, "host.json is not there" in done.stderr) == (ERROR, True)


@pytest.fixture
def unit(machine, tmp_path):
    """Install the role's unit."""
    own = tmp_path / "units"
    own.mkdir()
    put_before("/etc/systemd/system", str(own))
    Path(filter_notes.UNIT).write_text("[Unit]\n")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["apply", "check", "status"])
def test_a_directory_that_is_not_mounted_where_a_unit_is_to_restore_from_it_is_an_error(
    unit, config, command, name, there
):
    if there:
        config.mkdir(0o700)
    before = look()
    done = command(name)
    assert (done.returncode, done.stderr.count(str(config)), "as wanted" in done.stdout) == (ERROR, 1, False)
    assert look() == before


def test_a_host_of_the_role_from_which_everything_was_removed_is_as_wanted(unit, deployed, command):
    changed("xdp_filter", state="absent", config_dir=str(deployed))
    assert command("apply").stdout == command("check").stdout == "as wanted\n"
    assert command("status").returncode == FINE


def test_entries_that_are_to_come_back_do_so_where_no_filter_does(config, restored, command):
    wanted_of = {"ip": BLOCKED, "persist": True, "config_dir": str(config)}
    foretold = run("xdp_blocklist", check=True, **wanted_of)
    assert changed("xdp_blocklist", **wanted_of)["diff"] == foretold["diff"]
    unchanged("xdp_blocklist", **wanted_of)
    before = held()
    assert "entries of adhoc" in restored().stdout
    assert held() == before
    assert command("check").stdout == "as wanted\n"
    changed("xdp_filter", state="absent", config_dir=str(config))
    assert files(config) == {}


# Modules


def test_what_is_noted_is_for_root_only_whatever_the_umask(config):
    before = os.umask(0)
    try:
        changed("xdp_filter", interface="pk0", persist=True, config_dir=str(config))
        block(config)
    finally:
        os.umask(before)
    for path in [config, *config.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_check_mode_predicts_what_is_noted_and_notes_nothing(deployed, config):
    for arguments in (
        {"name": "xdp_filter", "interface": "pk1", "persist": True},
        {"name": "xdp_filter", "interface": "pk0", "policy": "drop", "persist": False},
        {"name": "xdp_blocklist", "ip": BLOCKED, "ttl": "1h"},
        {"name": "xdp_blocklist", "ip": LISTED, "owner": "inventory", "persist": True},
        {"name": "xdp_blocklist", "ip": BLOCKED, "state": "absent"},
    ):
        name = arguments.pop("name")
        before = files(deployed)
        foretold = run(name, check=True, config_dir=str(config), **arguments)
        assert files(deployed) == before
        done = run(name, config_dir=str(config), **arguments)
        assert done["changed"] == foretold["changed"] is True
        assert done["diff"] == foretold["diff"]
        assert files(deployed) != before


def test_list_file_to_come_is_predicted_as_it_will_be(deployed):
    arguments = {"src": str(deployed / "feed"), "exclusive": True, "owner": "feed", "config_dir": str(deployed)}
    foretold = run("xdp_blocklist", check=True, content=f"{BLOCKED}\n", **arguments)
    (deployed / "feed").write_text(f"{BLOCKED}\n")
    done = run("xdp_blocklist", **arguments)
    assert (done["changed"], done["diff"]) == (foretold["changed"], foretold["diff"])
    assert run("xdp_blocklist", check=True, content=f"{BLOCKED}\n", **arguments)["changed"] is False


# The command


def test_check_tells_drift_and_changes_nothing(deployed, installed):
    assert installed("check").returncode == FINE
    boot()
    before = look()
    done = installed("check", "--json")
    assert done.returncode == NOT_AS_WANTED
    assert json.loads(done.stdout)["changed"] == ["filter on pk0", "entries of inventory on the blocklist: 1"]
    assert look() == before


def test_check_names_the_entries_that_are_missing_where_nothing_is_left(deployed, command):
    block(deployed)
    boot()
    for missing in (True, False):
        done = command("check", "--json")
        told = ["filter on pk0", "entries of adhoc on the blocklist: 1", "entries of inventory on the blocklist: 1"]
        assert json.loads(done.stdout)["changed"] == (told if missing else [])
        assert (done.returncode, json.loads(done.stdout)["errors"]) == (NOT_AS_WANTED if missing else FINE, [])
        applied = json.loads(command("apply", "--json").stdout)["changed"]
        assert sorted(applied) == sorted(told if missing else [])


def test_check_of_a_host_with_nothing_left_goes_by_the_capacity_that_is_wanted(config, command):
    changed("xdp_filter", interface="pk0", persist=True, config_dir=str(config), max_entries=70_000)
    numbers = range(66_000)
    content = "\n".join(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in numbers)
    changed("xdp_blocklist", content=content, persist=True, config_dir=str(config))
    boot()
    assert "missing or different: entries of adhoc on the blocklist: 66000\n" in command("check").stdout


def test_status_says_when_a_wanted_filter_is_missing(deployed, installed):
    assert installed("status").returncode == FINE
    boot()
    done = installed("status", "--json")
    assert done.returncode == NOT_AS_WANTED
    assert json.loads(done.stdout)["filters"] == {"pk0": {"wanted": True, "restored_at_boot": True, "mode": "none"}}


@pytest.mark.parametrize("persist", [True, False])
def test_filter_that_somebody_wants_is_missed_when_it_was_taken_off_by_hand(config, command, persist):
    changed("xdp_filter", interface="pk0", persist=persist, owner="inventory", config_dir=str(config))
    unchanged("xdp_filter", interface="pk0", persist=persist, owner="inventory", config_dir=str(config))
    assert command("check").returncode == FINE
    changed("xdp_filter", interface="pk0", state="absent", config_dir=str(config))
    done = command("check", "--json")
    assert (done.returncode, json.loads(done.stdout)["lost"]) == (NOT_AS_WANTED, ["pk0"])
    done = command("status", "--json")
    assert done.returncode == NOT_AS_WANTED
    assert json.loads(done.stdout)["filters"] == {"pk0": {"wanted": True, "restored_at_boot": False, "mode": "none"}}
    assert "lost: the filter on pk0" in command("apply").stdout


def test_filter_that_its_owner_took_off_is_not_missed(config, command):
    wanted_of = {"interface": "pk0", "config_dir": str(config)}
    changed("xdp_filter", persist=True, owner="inventory", **wanted_of)
    foretold = run("xdp_filter", check=True, state="absent", owner="inventory", **wanted_of)
    done = changed("xdp_filter", state="absent", owner="inventory", **wanted_of)
    assert done["diff"] == foretold["diff"]
    assert done["diff"]["before"]["owners"] == {"pk0": "inventory"}
    assert command("check").returncode == command("status").returncode == FINE
    assert [*config.iterdir()] == []


def test_owner_of_a_filter_stays_until_it_lets_go_of_it(config):
    wanted_of = {"interface": "pk0", "config_dir": str(config)}
    changed("xdp_filter", owner="inventory", **wanted_of)
    changed("xdp_filter", policy="drop", **wanted_of)  # by hand, without an owner
    changed("xdp_filter", state="absent", owner="me", **wanted_of)
    assert json.loads((config / "owners.json").read_text()) == {"pk0": "inventory"}
    changed("xdp_filter", state="absent", owner="inventory", **wanted_of)
    assert not (config / "owners.json").exists()


def test_nothing_is_missed_where_everything_was_removed(config, command):
    changed("xdp_filter", interface="pk0", owner="inventory", config_dir=str(config))
    changed("xdp_filter", state="absent", config_dir=str(config))
    assert command("check").returncode == command("status").returncode == FINE
    assert [*config.iterdir()] == []


def test_entries_come_back_whatever_becomes_of_the_filter_between_two_deployments(config, command, restored):
    kept = {"config_dir": str(config)}
    changed("xdp_filter", interface="pk0", owner="inventory", persist=True, **kept)
    changed("xdp_blocklist", ip=BLOCKED, **kept)
    changed("xdp_filter", interface="pk0", state="absent", **kept)
    changed("xdp_blocklist", ip=OTHER, **kept)
    changed("xdp_filter", interface="pk0", policy="drop", **kept)
    assert "lost: the filter on pk0" in restored().stdout
    assert set(held()["blocklist"]) == {f"{each} direction=src owner=adhoc" for each in (BLOCKED, OTHER)}


def test_stats_and_list_tell_what_the_facts_tell(deployed, installed):
    ping("pk0", LISTED, 3)
    told = facts()
    stats = json.loads(installed("stats", "--json").stdout)
    assert stats["filters"]["pk0"]["counters"] == told["filters"]["pk0"]["counters"]
    listed = json.loads(installed("list", "blocklist", "--json").stdout)
    assert listed["blocklist"]["entries"] == told["lists"]["blocklist"]["entries"]
    assert f"{LISTED} direction=src  # inventory; 3 packets" in installed("list").stdout
    assert "blocklist ipv4: 3 packets" in installed("stats").stdout


def test_stats_name_the_sources_that_are_over_the_limit(config, command):
    changed("xdp_filter", interface="pk0", ratelimit_pps=1, config_dir=str(config))
    ping("pk0", "203.0.113.5", 3)
    told = json.loads(command("stats", "--json").stdout)["filters"]["pk0"]["ratelimit"]
    assert [source["ip"] for source in told["blocked"]] == ["203.0.113.5"]
    assert "203.0.113.5" in command("stats").stdout


def test_what_monitor_mode_would_have_dropped_is_told_apart_also_when_it_is_off_again(config, command):
    wanted = {"interface": "pk0", "ratelimit_pps": 1, "config_dir": str(config)}
    changed("xdp_filter", monitor=True, **wanted)
    assert ping("pk0", OTHER, 5) == "pass"
    assert "monitors only and drops nothing" in command("status").stdout
    assert (
        f"        would have dropped: 4 packets, {4 * PING_BYTES} bytes\n"
        f"            ratelimit ipv4: 4 packets, {4 * PING_BYTES} bytes\n"
        "    dropped: 0 packets, 0 bytes\n"
    ) in command("stats").stdout
    limited = facts()["filters"]["pk0"]["ratelimit"]
    assert (limited["blocked_count"], limited["blocked"], limited["would_block_count"]) == (0, [], 1)
    assert [source["ip"] for source in limited["would_block"]] == [OTHER]

    changed("xdp_filter", monitor=False, **wanted)
    assert ping("pk0", OTHER, 2) == "drop"
    assert "monitors only" not in command("status").stdout
    told = facts()["filters"]["pk0"]
    counters, limited = told["counters"], told["ratelimit"]
    assert [counters[sum_]["packets"] for sum_ in ("passed", "would_drop", "dropped")] == [5, 4, 2]
    assert counters["reasons"]["ratelimit"]["ipv4"] == {"packets": 2, "bytes": 2 * PING_BYTES}
    assert counters["would_drop"]["reasons"]["ratelimit"]["ipv4"] == {"packets": 4, "bytes": 4 * PING_BYTES}
    assert (limited["blocked_count"], limited["would_block_count"], limited["would_block"]) == (1, 0, [])


def test_list_prints_lines_that_a_list_file_can_have(deployed, command):
    block(deployed, ttl="1h")
    text = command("list", "blocklist").stdout
    assert run("xdp_blocklist", content=text, owner="copy")["updated_count"] == 2


@pytest.mark.parametrize("name", ["status", "stats", "list", "apply", "check"])
def test_host_that_nothing_is_wanted_on_is_fine(installed, name):
    before = look()
    assert installed(name).returncode == FINE
    assert look() == before


def test_reader_that_has_seen_enough_is_no_failure(deployed, runtime, config):
    block(config, "198.18.0.0/24,198.18.1.0/24")
    line = f"{runtime} list --config {config} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (FINE, "")


def test_base_is_the_one_that_was_chosen(config, command):
    base = DEFAULT_BASE + "-other"
    changed("xdp_filter", interface="pk0", persist=True, config_dir=str(config), base=base)
    boot()
    assert command("apply").returncode == FINE
    assert os.path.isdir(base)
    assert "pk0" in command("status").stdout
