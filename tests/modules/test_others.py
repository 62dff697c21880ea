# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that other users made or could make are named and left alone; their names cannot control a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path

import pytest
from machine import BPFFS, DEFAULT_BASE, NOBODY, as_nobody, become_nobody, ip, look, mount, ping, program, umount
from running import MODULES, SOURCES, changed, facts, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli, exit_status, runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists import change

BLOCKED = "192.0.2.1"
RUNS = {
    "filter": ("xdp_filter", {"interface": "pk0", "policy": "drop"}),
    "list": ("xdp_blocklist", {"ip": "192.0.2.2"}),
    "removal": ("xdp_filter", {"state": "absent", "all": True}),
    "facts": ("xdp_facts", {}),
    "events": ("xdp_events", {"duration": 0.1}),
}
#: Runs that change what is restored at boot, with the arguments for that.
NOTING = {
    "filter": {"persist": True, "owner": "inventory"},
    "list": {"persist": True},
    "removal": {},
}


@pytest.fixture
def shared():
    """The BPF file system as the kernel mounts it without options: everybody can make directories in it."""
    umount(BPFFS)
    mount("bpf", BPFFS, options="")
    assert os.stat(BPFFS).st_mode & 0o7777 == 0o1777


@pytest.fixture(params=["fresh", "in use"])
def host(request, shared):
    if request.param == "in use":
        changed("xdp_filter", interface="pk0")
        changed("xdp_blocklist", ip=BLOCKED)
    return request.param


def tree(top) -> dict:
    """Return owner, mode and content of a directory and of everything below it."""
    found = {}
    for directory, directories, files in os.walk(top):
        for path in (directory, *(os.path.join(directory, name) for name in directories + files)):
            status = os.lstat(path)
            content = Path(path).read_text() if stat.S_ISREG(status.st_mode) else ""
            found[path] = status.st_uid, oct(status.st_mode), content
    return found


# The BPF file system


@pytest.mark.parametrize("asked", RUNS)
@pytest.mark.parametrize("beside", ["_old", "_next"])
def test_what_another_user_made_beside_the_pins_is_named_and_left(host, beside, asked):
    path = DEFAULT_BASE + beside
    assert as_nobody("mkdir", "-p", f"{path}/lists").returncode == 0
    module, arguments = RUNS[asked]
    for check in (True, False):
        said = run(module, check=check, **arguments)["msg"]
        assert said.startswith(f"{path} is a directory of user {NOBODY} with mode 0755, not a directory of root's"), (
            said
        )
    assert os.stat(f"{path}/lists").st_uid == NOBODY
    assert os.path.exists(DEFAULT_BASE) == (host == "in use")
    if host == "in use":
        assert ping("pk0", BLOCKED) == "drop"
    os.rmdir(f"{path}/lists")
    os.rmdir(path)
    assert not run(*RUNS["list"][:1], **RUNS["list"][1]).get("failed")


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("below", [DEFAULT_BASE, f"{DEFAULT_BASE}/deep"])
def test_a_base_that_another_user_made_or_that_is_below_such_a_directory_is_refused(below):
    assert as_nobody("mkdir", DEFAULT_BASE).returncode == 0
    for module, arguments in RUNS.values():
        said = run(module, base=below, **arguments)["msg"]
        assert said.startswith(f"{DEFAULT_BASE} is a directory of user {NOBODY} with mode 0755, "), said
    assert os.listdir(DEFAULT_BASE) == []


@pytest.mark.parametrize("asked", RUNS)
def test_a_base_that_is_not_closed_to_others_is_refused_and_keeps_its_mode(filtered, asked):
    os.chmod(DEFAULT_BASE, 0o755)
    module, arguments = RUNS[asked]
    assert run(module, **arguments)["msg"].startswith(f"{DEFAULT_BASE} is a directory of user 0 with mode 0755, not a ")
    assert stat.S_IMODE(os.stat(DEFAULT_BASE).st_mode) == 0o755
    assert ping(filtered, BLOCKED) == "pass"


@pytest.mark.usefixtures("shared")
def test_a_bpf_file_system_that_everybody_can_write_to_is_told_of():
    warning = f"every user can make directories in {BPFFS}, "
    for check in (True, False):
        assert [each for each in run("xdp_filter", check=check, interface="pk0")["warnings"] if warning in each]
    assert facts()["notes"][0].startswith(warning)
    os.chmod(BPFFS, 0o700)  # as the warning advises
    assert run("xdp_filter", interface="pk0")["warnings"] == facts()["notes"] == []


# Pins of other programs in directories of root, as programs built with libbpf make them

OTHERS = f"{BPFFS}/other"
OTHER_PINS = [
    *("control", "owners", "events", "filters/eth0/counters", "filters/eth0/meta", "lists/blocklist/records"),
    *("lists_next/blocklist/records", "keep"),
]
CHANGING = [asked for asked in RUNS if asked not in ("facts", "events")]


def pin_for_others(
    path: str,
    name: str = "theirs",
    info: bpf.MapInfo = bpf.MapInfo(type=bpf.ARRAY, key_size=4, value_size=8, max_entries=1, flags=0),
):
    before = os.umask(0o077)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.umask(before)
    with bpf.Map.create(name, info) as theirs:
        theirs.pin(path)


def pinned() -> dict:
    """Return the inode of everything on the BPF file system by path, to detect renamed and recreated files."""
    walk = os.walk(BPFFS)
    paths = [os.path.join(where, name) for where, inside, names in walk for name in (*inside, *names)]
    return {path: os.lstat(path).st_ino for path in paths}


def assert_left(asked: str, path: str, base: str):
    before = pinned()
    module, arguments = RUNS[asked]
    for check in (True, False):
        said = run(module, check=check, base=base, **arguments)["msg"]
        assert said.startswith(f"{path} "), said
        assert "give another base, or remove it by hand" in said
        assert pinned() == before


@pytest.mark.parametrize("asked", CHANGING)
@pytest.mark.parametrize("pin", OTHER_PINS)
@pytest.mark.parametrize("suffix", ["", "_old", "_next"])
def test_a_pin_of_somebody_elses_at_a_base_or_beside_it_is_named_and_nothing_touched(suffix, pin, asked):
    if suffix == "_next" and asked == "removal":
        changed("xdp_blocklist", ip=BLOCKED, base=OTHERS)  # otherwise there is nothing to remove
    path = f"{OTHERS}{suffix}/{pin}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    pin_for_others(path)
    assert_left(asked, path, OTHERS)


@pytest.mark.parametrize("asked", CHANGING)
def test_a_map_of_somebody_elses_that_has_the_shape_of_ours_is_known_by_its_name(asked):
    path = f"{OTHERS}/owners"
    pin_for_others(path, info=schema.HOST_MAPS["owners"])
    assert_left(asked, path, OTHERS)


@pytest.mark.parametrize("asked", CHANGING)
def test_a_directory_of_somebody_elses_beside_our_pins_is_left(filtered, asked):
    changed("xdp_blocklist", ip=BLOCKED)
    pin_for_others(f"{DEFAULT_BASE}_old/prog")
    assert_left(asked, f"{DEFAULT_BASE}_old/prog", DEFAULT_BASE)
    assert ping(filtered, BLOCKED) == "drop"


def test_a_removal_that_is_refused_forgets_nothing_and_works_once_the_pin_is_gone(filtered, tmp_path):
    config = str(tmp_path / "pingkiller")
    changed("xdp_filter", interface=filtered, persist=True, config_dir=config)
    pin_for_others(f"{DEFAULT_BASE}/prog")
    before = tree(config)
    assert f"{DEFAULT_BASE}/prog" in refused("xdp_filter", state="absent", all=True, config_dir=config)
    assert tree(config) == before
    assert program(filtered)
    os.unlink(f"{DEFAULT_BASE}/prog")
    changed("xdp_filter", state="absent", all=True, config_dir=config)
    assert not os.path.exists(DEFAULT_BASE)
    assert not program(filtered)


@pytest.mark.parametrize("beside", ["_old", "_next"])
def test_what_another_user_makes_while_a_run_waits_for_the_lock_is_left(host, beside):
    path, before = DEFAULT_BASE + beside, program("pk0")

    def let_somebody_be_first():
        """Let another user create the directory after the first look, while the run waits for the lock."""
        lock = change.host_lock

        def late(timeout):
            assert as_nobody("mkdir", "-p", f"{path}/filters").returncode == 0
            return lock(timeout)

        change.host_lock = late

    said = run("xdp_blocklist", let_somebody_be_first, ip="192.0.2.2")["msg"]
    assert said.startswith(f"{path} is a directory of user {NOBODY} with mode 0755, not a directory of root's"), said
    assert os.listdir(path) == ["filters"]
    assert os.stat(path).st_uid == NOBODY
    assert os.path.exists(DEFAULT_BASE) == (host == "in use")
    assert program("pk0") == before


# The configuration directory


@pytest.fixture
def somebodys(tmp_path):
    """A directory of another user with files named like ours, readable by everybody."""
    directory = tmp_path / "pingkiller-of-others"
    for name in ("host.json", "filters/pk0.json", "entries/blocklist/adhoc.json", "owners.json"):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"xdp": {}}')
    directory.chmod(0o755)
    return directory


@pytest.mark.parametrize("asked", NOTING)
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_a_directory_that_is_not_ours_is_refused_and_keeps_its_files_and_its_mode(somebodys, asked, owner):
    os.chown(somebodys, owner, owner)
    before = tree(somebodys)
    module, arguments = RUNS[asked]
    said = refused(module, config_dir=str(somebodys), **{**arguments, **NOTING[asked]})
    assert f"{somebodys} is " in said
    assert tree(somebodys) == before


@pytest.mark.parametrize("asked", NOTING)
def test_a_directory_that_others_could_put_in_the_place_of_ours_is_refused(tmp_path, asked):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    os.chown(shelf, NOBODY, NOBODY)
    module, arguments = RUNS[asked]
    said = refused(module, config_dir=f"{shelf}/pingkiller", **{**arguments, **NOTING[asked]})
    assert said.startswith(
        f"{shelf} is a directory of user {NOBODY} with mode 0755, so that others than root could replace "
    )
    assert said.endswith(": nothing was changed; name one below directories that only root can write to")
    assert os.listdir(shelf) == []


def test_of_a_directory_that_many_use_nothing_is_advised_but_to_take_from_others_the_right_to_write(tmp_path):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shelf.chmod(0o775)
    said = refused("xdp_blocklist", ip=BLOCKED, config_dir=f"{shelf}/pingkiller")
    assert f"take the right to write from group and others (chmod go-w {shelf}), or name one below" in said
    assert "0700" not in said
    shelf.chmod(0o755)
    changed("xdp_blocklist", ip=BLOCKED, config_dir=f"{shelf}/pingkiller")


@pytest.mark.parametrize(
    "name",
    ["/etc", "/pingkiller", "etc/pingkiller", "/srv/my files/pingkiller", "/srv/100%/pingkiller", "/srv/pingkiller'x"]
    + ["/srv/pingkiller;x", '/srv/"/pingkiller', "/srv/pingkiller\n", "/srv/pingkiller/..", "/srv/\x1b/pingkiller"],
)
def test_a_name_that_is_no_name_of_ours_or_that_a_unit_would_read_otherwise_is_refused(name):
    for module, arguments in (RUNS["filter"], RUNS["list"], RUNS["removal"]):
        said = refused(module, config_dir=name, persist=True, **arguments)
        assert said.startswith("config_dir=")
        assert said.endswith("whose last part begins with pingkiller, like /etc/pingkiller")
        assert said.isprintable()


# Files that lists are written to


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_for_lists_is_never_reached_through_a_link_of_another_user(tmp_path, there):
    place, precious = tmp_path / "place", tmp_path / "precious"
    if there:
        precious.mkdir()
    place.mkdir(mode=0o1777)
    place.chmod(0o1777)
    tmp_path.chmod(0o755)
    os.symlink(precious, place / "link")
    os.lchown(place / "link", NOBODY, NOBODY)
    for dest in (place / "link", place / "link/below"):
        said = run("xdp_facts", dest=str(dest))["msg"]
        assert said.startswith(f"{place}/link is a symbolic link of user {NOBODY}"), said
    assert sorted(os.listdir(tmp_path)) == (["place", "precious"] if there else ["place"])
    assert not there or os.listdir(precious) == []


@pytest.mark.parametrize(("owner", "mode"), [(NOBODY, 0o755), (0, 0o777), (0, 0o1777), (0, 0o775)])
def test_a_directory_for_lists_that_others_can_change_is_refused(tmp_path, owner, mode):
    dest = tmp_path / "dest"
    dest.mkdir()
    dest.chmod(mode)
    os.chown(dest, owner, owner)
    assert "others than root c" in run("xdp_facts", dest=str(dest))["msg"]
    assert os.listdir(dest) == []


def test_a_file_that_has_the_name_of_a_list_and_was_not_written_as_one_is_left(tmp_path):
    (tmp_path / "blocklist").write_text("# of the inventory\n")
    said = run("xdp_facts", dest=str(tmp_path))["msg"]
    assert said.startswith(f"{tmp_path}/blocklist is there and was not written by xdp_facts: it was left alone; ")
    assert (tmp_path / "blocklist").read_text() == "# of the inventory\n"


@pytest.mark.parametrize("below", ["", "/pingkiller"])
def test_no_link_on_the_way_that_somebody_could_turn_elsewhere_is_followed(tmp_path, below):
    feed, real, chain = tmp_path / "feed", tmp_path / "real", tmp_path / "chain"
    feed.mkdir()
    real.mkdir()
    tmp_path.chmod(0o755)
    os.chown(feed, NOBODY, NOBODY)
    (feed / "middle").symlink_to(real)
    chain.symlink_to(
        feed / "middle"
    )  # owned by root, as is the final target; a directory of another user is between them
    for said in (
        run("xdp_facts", dest=f"{chain}{below}")["msg"],
        refused("xdp_blocklist", ip=BLOCKED, persist=True, config_dir=f"{chain}/pingkiller"),
    ):
        assert said.startswith(f"{feed} is a directory of user {NOBODY} with mode 0755, so that others than root "), (
            said
        )
    assert os.listdir(real) == []


def test_links_of_roots_through_directories_of_roots_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "middle").symlink_to("real")
    (tmp_path / "chain").symlink_to(tmp_path / "middle")
    run("xdp_facts", dest=f"{tmp_path}/chain/../chain/lists")
    assert sorted(os.listdir(tmp_path / "real/lists")) == ["allowlist", "blocklist"]


def test_links_that_go_round_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "round").symlink_to("round")
    assert "Too many levels of symbolic links" in run("xdp_facts", dest=f"{tmp_path}/round/lists")["msg"]
    said = refused("xdp_blocklist", ip=BLOCKED, persist=True, config_dir=f"{tmp_path}/round/pingkiller")
    assert "Too many levels of symbolic links" in said


# Names


@pytest.mark.parametrize("name", ["pk0\0x", "\x1b[31m", "pk\x9b0", "\udc80"])
def test_a_name_that_cannot_be_printed_is_refused_and_shown_so_that_it_can(name):
    for arguments in (
        {"interface": [name]},
        {"interface": [name], "state": "absent"},
        {"interface": "pk0", "base": f"{BPFFS}/{name}"},
    ):
        said = refused("xdp_filter", **arguments)
        assert said.isprintable()
        assert " be printed" in said


def test_names_of_other_interfaces_are_shown_so_that_they_cannot_act_on_a_terminal():
    ip("link", "add", "a\x1b[2Jb", "type", "veth", "peer", "name", "p")
    ip("link", "add", b"\xff\xfe".decode(errors="surrogateescape"), "type", "veth", "peer", "name", "q")
    said = refused("xdp_filter", interface="eth7")
    assert said.isprintable()
    assert r"use one of a\x1b[2Jb, p, " in said  # the loopback interface is not offered


def test_command_prints_nothing_that_cannot_be_printed(tmp_path, monkeypatch, capsys):
    changed("xdp_filter", interface="pk0", owner="inventory", config_dir=str(tmp_path / "pingkiller"))
    ip("link", "set", "pk0", "name", "\x1b[2J")
    changed("xdp_blocklist", ip=BLOCKED, config_dir=str(tmp_path / "pingkiller"))
    for command in ("status", "stats", "check"):
        cli.main([command, "--config", str(tmp_path / "pingkiller")])
    told = capsys.readouterr()
    assert r"filter \x1b[2J" in told.out
    assert all(line.isprintable() for line in (told.out + told.err).splitlines())


def test_an_interface_called_like_an_option_gets_its_filter_at_boot(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "sources", lambda: SOURCES)
    config = str(tmp_path / "pingkiller")
    ip("link", "add", "name", "-a", "type", "veth", "peer", "name", "other")
    changed("xdp_filter", interface="-a", policy="drop", persist=True, config_dir=config)
    changed("xdp_filter", interface="-a", state="absent")
    (tmp_path / "pingkiller/filters").mkdir(mode=0o700, exist_ok=True)
    (tmp_path / "pingkiller/filters/-a.json").write_text(json.dumps({"xdp": {"policy": "drop"}}))
    assert (
        cli.main(["apply", "--config", config, "--interface=/a"]) == exit_status.FINE
    )  # as systemd writes a leading dash
    assert ping("-a", BLOCKED) == "drop"
    changed("xdp_filter", interface="-a", state="absent")
    assert cli.main(["apply", "--config", config, "--interface=-a"]) == exit_status.FINE
    assert ping("-a", BLOCKED) == "drop"


# Users other than root


@pytest.mark.parametrize("module", MODULES)
def test_a_module_tells_who_is_not_root_that_it_needs_root(filtered, module):
    asked = {"xdp_filter": {"interface": "pk0"}, "xdp_facts": {}, "xdp_events": {}, "xdp_status_info": {}}
    before = look()
    for check in (True, False):
        arguments = asked.get(module, {"src": "/etc/shadow"})
        said = run(module, become_nobody, check=check, **arguments)["msg"]
        assert said == "this needs root on the managed host: set become: true, or -b on the command line"
    assert look() == before


def test_the_directory_is_made_with_those_around_it_that_are_missing(tmp_path):
    wanted = {"interface": "pk0", "persist": True, "config_dir": f"{tmp_path}/srv/new/pingkiller"}
    assert run("xdp_filter", check=True, **wanted)["changed"]
    assert os.listdir(tmp_path) == []
    changed("xdp_filter", **wanted)
    unchanged("xdp_filter", **wanted)
    for made in ("srv", "srv/new", "srv/new/pingkiller"):
        assert stat.S_IMODE(os.stat(tmp_path / made).st_mode) == 0o700
