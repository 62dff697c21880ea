# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is refused before anything changes, by a message with the value, the reason and the way out."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess

import pytest
from machine import (
    BPF_CALL,
    BPFFS,
    DEFAULT_BASE,
    LOCK_FILE,
    MOUNT_CALL,
    NOBODY,
    become_nobody,
    drop_links,
    held,
    ip,
    look,
    ping,
    program,
    put_foreign_program,
    umount,
    without_call,
)
from running import SOURCES, changed, refused, run, unchanged

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli, exit_status, runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import list_files
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists import demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import lock

NO_ADDRESS = "is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"


@pytest.fixture(params=["fresh", "in use"])
def host(request):
    """A host without any trace of PingKiller, and one that holds lists."""
    if request.param == "in use":
        changed("xdp_blocklist", ip="192.0.2.1,198.51.100.0/24")


@pytest.fixture(params=["xdp_blocklist", "xdp_allowlist"])
def module(request):
    return request.param


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("ip", "said"),
    [
        ("300.1.1.1", f"ip='300.1.1.1' {NO_ADDRESS}"),
        ("192.0.2.7,300.1.1.1", f"ip='300.1.1.1' {NO_ADDRESS}"),
        (
            "10.0.0.1/8",
            "ip='10.0.0.1/8' has bits set behind its prefix: write 10.0.0.0/8 for the network or 10.0.0.1 for the one address",
        ),
        (
            "fe80::1%eth0",
            "ip='fe80::1%eth0' has a zone id: leave out the % and what follows; an entry holds on every interface",
        ),
        ("", "ip='' is empty: give an IPv4 or IPv6 address or network"),
        (["192.0.2.7", ""], "ip='' is empty: give an IPv4 or IPv6 address or network"),
        ([], "ip is empty: give at least one IPv4 or IPv6 address or network"),
    ],
)
def test_what_is_no_address_is_refused(module, ip, said):
    assert refused(module, ip=ip) == said
    assert refused(module, ip=ip, state="absent") == said


@pytest.mark.usefixtures("host")
def test_an_exact_list_of_what_is_to_be_absent_is_refused(module):
    said = refused(module, ip="192.0.2.1", exclusive=True, state="absent")
    assert said == "exclusive=true and state=absent contradict each other: use exclusive with state=present only"


@pytest.mark.usefixtures("host")
def test_a_missing_file_is_refused(module):
    said = "src='/run/none' cannot be read on the managed host (No such file or directory): give the path of a list file there"
    assert refused(module, src="/run/none", exclusive=True) == said


@pytest.mark.usefixtures("host")
def test_a_file_on_a_file_system_that_never_answers_is_given_up_on(module, silent):
    def be_impatient():
        demand.PATIENCE = 0.3

    assert refused(module, be_impatient, src=f"{silent}/list", exclusive=True) == (
        f"src='{silent}/list' was not read within 0.3 s: nothing was changed; see what its file system waits for"
    )


@pytest.mark.usefixtures("host")
def test_a_file_with_bad_lines_is_refused_whole(module, tmp_path):
    path = tmp_path / "list"
    path.write_text("192.0.2.1\n300.1.1.1\n192.0.2.2 direction=in\n" + "bad\n" * 10)
    said = refused(module, src=str(path), exclusive=True)
    assert said.startswith(
        f"{path}, line 2: '300.1.1.1' {NO_ADDRESS}; {path}, line 3: '192.0.2.2' is followed by 'direct"
    )
    assert f"{path}, line 11: 'bad'" in said
    assert said.endswith("; and 2 more")


def test_more_entries_than_a_fresh_host_would_hold_are_refused(module, tmp_path):
    path = tmp_path / "list"
    path.write_text("".join(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}\n" for number in range(65537)))
    name = module.removeprefix("xdp_")
    assert refused(module, src=str(path)) == (
        f"the {name} would have 65537 entries and has room for 65536: nothing was changed; raise max_entries of xdp_filter "
        f"(pingkiller_max_entries of the role) to 65537 or more"
    )


def test_more_entries_than_a_list_has_room_for_are_refused_whole(module):
    changed("xdp_filter", interface="pk0", max_entries=3)
    changed(module, ip="192.0.2.1,192.0.2.2")
    name = module.removeprefix("xdp_")
    assert f"the {name} would have 4 entries and has room for 3" in refused(module, ip="192.0.2.3,192.0.2.4")
    changed(module, ip="192.0.2.3,192.0.2.4", exclusive=True)
    assert f"the {name} would have 4 entries and has room for 3" in refused(
        module, ip="192.0.2.5,192.0.2.6", owner="feed"
    )


def test_less_room_than_the_entries_take_is_refused(filtered):
    changed("xdp_allowlist", ip="192.0.2.1,192.0.2.2")
    assert refused("xdp_filter", interface=filtered, max_entries=1) == (
        "max_entries=1 is less than the 2 entries of the allowlist: remove entries first or give 2 or more"
    )


def test_no_room_at_all_is_refused():
    said = "max_entries=0 is out of range: give 1 to 4000000"
    assert refused("xdp_filter", interface="pk0", max_entries=0) == said


@pytest.mark.parametrize("number", [4_000_001, 2**31, 2**40])
def test_more_room_than_a_kernel_can_give_is_refused(number):
    said = f"max_entries={number} is out of range: give 1 to 4000000"
    assert refused("xdp_filter", interface="pk0", max_entries=number) == said


def test_more_prefix_lengths_than_the_filter_follows_are_refused(module):
    networks = [f"2001:db8::/{length}" for length in range(33, 66)]
    changed(module, ip=networks[:30])
    said = refused(module, ip=networks)
    assert "IPv6 networks of 33 different prefix lengths and may have 32: nothing was changed" in said


@pytest.mark.parametrize(
    "arguments", [{"interface": "pk0"}, {"state": "absent"}, {"state": "absent", "interface": "pk0"}]
)
def test_nobody_but_root_changes_a_filter(filtered, arguments):
    assert refused("xdp_filter", become_nobody, **arguments) == (
        "this needs root on the managed host: set become: true, or -b on the command line"
    )
    assert program(filtered)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_nobody_but_root_changes_a_list(module, state):
    assert "this needs root on the managed host" in refused(module, become_nobody, ip="192.0.2.1", state=state)


def test_nobody_but_root_sees_the_facts():
    assert "this needs root on the managed host" in refused("xdp_facts", become_nobody)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xdp_filter", {"interface": "pk0"}),
        ("xdp_filter", {"state": "absent"}),
        ("xdp_blocklist", {"ip": "192.0.2.1"}),
        ("xdp_allowlist", {"ip": "192.0.2.1", "state": "absent"}),
    ],
)
def test_a_kernel_without_bpf_is_named(name, arguments):
    assert refused(name, without_call(BPF_CALL), **arguments) == (
        f"the kernel {os.uname().release} refuses the bpf system call (Function not implemented): it needs "
        f"CONFIG_BPF_SYSCALL, and in a container the right to use it"
    )


def test_a_container_without_the_right_to_bpf_is_told_so():
    said = refused("xdp_filter", without_call(BPF_CALL, errno.EPERM), interface="pk0")
    assert "refuses the bpf system call (Operation not permitted): it needs " in said


def test_an_unknown_interface_is_refused_with_those_that_exist(module):
    said = "interface 'pk7' does not exist on this host: use one of pk0, pk1"
    assert refused("xdp_filter", interface="pk7") == said
    assert refused("xdp_filter", interface="pk0,pk7") == said
    assert "interface 'no-such-name-at-all' does not exist" in refused("xdp_filter", interface="no-such-name-at-all")


def test_an_unknown_interface_is_refused_without_naming_those_that_no_filter_is_of_use_on():
    ip("tuntap", "add", "mode", "tun", "pktun")
    assert refused("xdp_filter", interface="pk7").endswith("use one of pk0, pk1")
    ip("link", "del", "pk0")
    assert refused("xdp_filter", interface="pk7").endswith("it has none that a filter would be of use on")


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize(
    ("interface", "what"), [("", "is empty"), ([], "is empty"), (" ", "is empty"), ("pk0,", "has an empty name in it")]
)
def test_an_interface_that_is_given_and_names_nothing_is_refused(filtered, state, interface, what):
    changed("xdp_blocklist", ip="192.0.2.1")
    assert refused("xdp_filter", interface=interface, state=state) == (
        f"interface {what}: name interfaces, or leave it out for those of the default routes; to remove everything from the host, "
        f"use state: absent with all: true"
    )
    assert ping(filtered, "192.0.2.1") == "drop"


def test_a_named_pipe_in_the_place_of_a_list_file_is_refused_at_once(filtered, tmp_path):
    pipe = tmp_path / "list"
    os.mkfifo(pipe)
    assert refused("xdp_blocklist", src=str(pipe)) == (
        f"src='{pipe}' is not a regular file: give the path of a list file on the managed host"
    )


def test_a_link_that_somebody_put_in_the_place_of_their_list_shows_nothing_of_what_only_root_may_read(
    filtered, tmp_path
):
    secret, feeds = tmp_path / "shadow", tmp_path / "feeds"
    secret.write_text("root:hush:19000\n203.0.113.1\n")
    secret.chmod(0o600)
    feeds.mkdir()
    for target in (secret, "/dev/zero"):
        (feeds / "list").symlink_to(target)
        os.chown(feeds / "list", NOBODY, NOBODY, follow_symlinks=False)
        said = refused("xdp_blocklist", src=str(feeds / "list"), on_invalid="skip")
        assert f"symbolic link of user {NOBODY}, who does not own what it leads to" in said
        assert "hush" not in said
        (feeds / "list").unlink()


def test_a_list_file_is_read_before_the_lock_is_taken_so_that_a_slow_one_keeps_nobody_waiting(filtered, tmp_path):
    path = tmp_path / "list"
    path.write_text("192.0.2.1\n")
    parse_file = list_files.parse_file

    def parse_while_another_runs(*arguments, **options):
        with lock.host_lock(0):
            return parse_file(*arguments, **options)

    changed("xdp_blocklist", lambda: setattr(list_files, "parse_file", parse_while_another_runs), src=str(path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"state": "absent", "all": True, "interface": "pk0"},
            "interface and all=true contradict each other: leave out all",
        ),
        ({"all": True}, "all=true is for state=absent: to filter on several interfaces, name them with interface"),
        (
            {"state": "absent", "hook": "tc_egress"},
            "hook=tc_egress does not say which filters to remove: name their interfaces",
        ),
        (
            {"state": "absent", "hook": "xdp", "all": True},
            "hook=xdp does not say which filters to remove: name their interf",
        ),
        ({"state": "absent", "all": False}, "all=false does not say which filters to remove: name their interfaces"),
    ],
)
def test_a_removal_of_nobody_knows_what_is_refused(filtered, arguments, said):
    assert refused("xdp_filter", **arguments).startswith(said)
    assert program(filtered)


def test_an_interface_without_ethernet_frames_is_refused_whoever_names_it():
    ip("tuntap", "add", "mode", "tun", "pktun")
    said = (
        "interface 'pktun' carries no Ethernet frames, which the filter needs: name the Ethernet interface below it with "
        "interface; ICMP inside a tunnel is not seen there, so filter that with the host's firewall (nftables)"
    )
    assert refused("xdp_filter", interface="pktun") == said
    ip("link", "set", "pktun", "up")
    ip("route", "add", "default", "dev", "pktun")
    assert refused("xdp_filter") == said


def test_a_host_without_a_default_route_is_told_to_name_an_interface():
    said = refused("xdp_filter")
    assert said == "this host has no default route to take the interface from: name one with interface"


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_a_foreign_program_is_named_and_left_alone(mode):
    foreign = put_foreign_program("pk0", mode)
    said = refused("xdp_filter", interface="pk1,pk0")
    assert said == (
        f"interface 'pk0' already has an XDP program that is not PingKiller's (id {foreign.id}, name somebody_else, "
        f"tag {foreign.tag}, {mode} mode): it was left alone; remove it, set force: true to replace it, or use "
        f"hook: tc_ingress beside it"
    )
    assert program("pk0") == foreign.id
    assert not program("pk1")


def test_a_foreign_program_that_a_link_holds_is_named_with_its_holder_and_what_to_do():
    foreign = put_foreign_program("pk0", link=True)
    try:
        for force in (False, True):
            said = refused("xdp_filter", interface="pk0", force=force)
            assert (
                f"(id {foreign.id}, name somebody_else, tag {foreign.tag}, native mode): it was left alone; bpf_link "
                in said
            )
            assert f" of process {os.getpid()} (" in said
            assert (
                " holds it, so that not even force: true could replace it; end what made the link, or break it with 'bpftool"
                in said
            )
    finally:
        drop_links()
    changed("xdp_filter", interface="pk0")


def test_a_foreign_program_is_not_removed_either():
    foreign = put_foreign_program("pk0")
    unchanged("xdp_filter", interface="pk0", state="absent")
    changed("xdp_filter", interface="pk1")
    changed("xdp_filter", state="absent")
    assert program("pk0") == foreign.id


@pytest.mark.parametrize(("there", "wanted"), [("native", "auto"), ("generic", "generic"), ("generic", "native")])
def test_force_replaces_a_foreign_program(there, wanted):
    foreign = put_foreign_program("pk0", there)
    result = changed("xdp_filter", interface="pk0", mode=wanted, policy="drop", force=True)
    assert result["diff"]["before"]["filters"] == {"pk0": {"foreign_program": foreign.id}}
    assert program("pk0") == result["filters"]["pk0"]["program"]["id"] != foreign.id
    assert ping("pk0", "192.0.2.1") == "drop"
    unchanged("xdp_filter", interface="pk0", mode=wanted, policy="drop", force=True)


def test_native_mode_is_refused_in_the_words_of_a_driver_that_has_none():
    before = look()
    assert run("xdp_filter", interface="lo", mode="native")["msg"] == (
        "interface 'lo' cannot take the filter in native mode (Underlying driver does not support XDP in native mode); "
        "use mode auto or generic"
    )
    assert look() == before


def test_native_mode_that_is_refused_leaves_the_filter_that_runs():
    changed("xdp_filter", interface="lo", policy="drop")
    before = look()
    assert "use mode auto or generic" in run("xdp_filter", interface="lo", mode="native")["msg"]
    assert look() == before
    assert ping("lo", "192.0.2.1") == "drop"


def test_a_bpf_file_system_that_is_missing_is_mounted():
    umount(BPFFS)
    changed("xdp_blocklist", ip="192.0.2.1")
    assert os.path.ismount(BPFFS)
    assert os.stat(BPFFS).st_mode & 0o777 == 0o700
    assert held()["blocklist"] == ["192.0.2.1 direction=src owner=adhoc"]


def test_a_bpf_file_system_that_is_missing_is_not_mounted_to_remove_nothing(module):
    umount(BPFFS)
    unchanged("xdp_filter", state="absent")
    unchanged(module, ip="192.0.2.1", state="absent")
    unchanged("xdp_facts")


def test_a_bpf_file_system_that_cannot_be_mounted_is_refused_with_the_command():
    umount(BPFFS)
    before = look()
    result = run("xdp_filter", without_call(MOUNT_CALL, errno.EPERM), interface="pk0")
    assert result["msg"] == (
        "no BPF file system is mounted on /sys/fs/bpf and mounting one failed (Operation not permitted): "
        "run 'mount -t bpf -o mode=0700 bpf /sys/fs/bpf' and look at what it says"
    )
    assert look() == before


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xdp_filter", {"interface": "pk0"}),
        ("xdp_filter", {"state": "absent"}),
        ("xdp_blocklist", {"ip": "192.0.2.1"}),
        ("xdp_facts", {}),
    ],
)
def test_a_base_without_a_bpf_file_system_is_refused_with_how_to_get_one(name, arguments):
    assert refused(name, base="/run/pingkiller", **arguments) == (
        "base='/run/pingkiller' is not on a BPF file system: mount one there first (mount -t bpf -o mode=0700 bpf DIRECTORY) or leave "
        "base at /sys/fs/bpf/pingkiller"
    )


def test_a_type_that_does_not_exist_is_refused():
    said = refused("xdp_filter", interface="pk0", icmp_types="ping")
    assert "icmp_types: 'ping' is no ICMP type (did you mean echo-request?): use all, " in said


def test_sources_that_did_not_come_along_are_missed_before_anything_else():
    said = refused("xdp_filter", interface="pk0", _sources=None)
    assert (
        "call the module by its full name, pingkiller.fleet.xdp_filter, or let action_plugins in ansible.cfg name"
        in said
    )


def test_a_map_of_another_shape_is_refused_and_left(filtered):
    pin = "/sys/fs/bpf/pingkiller/claims"
    os.rename("/sys/fs/bpf/pingkiller/owners", pin)
    result = run("xdp_blocklist", ip="192.0.2.1")
    assert result["msg"].startswith(
        f"{pin} has an unexpected layout (array, key 4, value 64, 256 entries instead of hash, key"
    )
    assert ping(filtered, "192.0.2.1") == "pass"


def test_a_base_that_leads_elsewhere_is_refused():
    os.symlink("/run", DEFAULT_BASE)
    assert run("xdp_blocklist", ip="192.0.2.1")["msg"] == (
        f"{DEFAULT_BASE} is a symbolic link to '/run', which PingKiller never makes: nothing was changed through it; find out who "
        "made it, remove it, and run again"
    )


def test_another_run_that_goes_on_too_long_is_named(module):
    with open(LOCK_FILE, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4711 1700000000 xdp_filter")
        file.flush()
        before = look()
        for name, arguments in ((module, {"ip": "192.0.2.1"}), ("xdp_filter", {"interface": "pk0"})):
            said = run(name, lock_timeout=0.1, **arguments)["msg"]
            assert said.startswith(
                f"another PingKiller run on this host (process 4711, xdp_filter, since 2023-11-14T22:13:20Z) kept {LOCK_FILE} for"
            )
            assert look() == before


# Length

LONG, DEEP = "9" * 4000, "/a" * 3000


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("xdp_filter", {"interface": "pk0", "ratelimit_pps": LONG}),
        ("xdp_filter", {"interface": "pk0", "max_entries": LONG}),
        ("xdp_filter", {"interface": "pk0", "ratelimit_block_time": LONG}),
        ("xdp_filter", {"interface": "pk0", "icmp_types": [LONG]}),
        ("xdp_filter", {"interface": "pk0", "policy": LONG}),
        ("xdp_filter", {"interface": LONG}),
        ("xdp_filter", {"interface": LONG + "\x1b"}),
        ("xdp_filter", {"interface": "pk0", "base": DEEP + "."}),
        ("xdp_filter", {"interface": "pk0", "base": DEEP}),
        ("xdp_filter", {"interface": "pk0", "config_dir": DEEP, "persist": True}),
        ("xdp_filter", {"interface": "pk0", "config_dir": DEEP + "/pingkiller", "persist": True}),
        ("xdp_blocklist", {"ip": LONG}),
        ("xdp_blocklist", {"ip": "192.0.2.1", "owner": LONG}),
        ("xdp_blocklist", {"ip": "192.0.2.1", "ttl": LONG}),
        ("xdp_blocklist", {"ip": "192.0.2.1", "direction": LONG * 2}),
        ("xdp_blocklist", {"src": DEEP}),
        ("xdp_facts", {"list_limit": "-" + LONG}),
    ],
)
def test_no_refusal_is_longer_than_a_screen_whatever_it_names(module, arguments):
    said = refused(module, **arguments)
    assert len(said) <= 4000
    assert said.isprintable()


def test_a_directory_for_lists_with_a_long_name_is_named_in_part():
    said = run("xdp_facts", dest=DEEP)["msg"]
    assert said.startswith("dest='/a/a/a")
    assert said.endswith("(File name too long): give a directory there that takes the files")
    assert len(said) < 500


def test_of_a_file_with_a_long_name_the_faults_are_shown_too(tmp_path):
    place = tmp_path / ("a" * 250) / ("b" * 250)
    place.mkdir(parents=True)
    (place / "list").write_text("\n".join("x" * 100 for _ in range(20)))
    said = refused("xdp_blocklist", src=str(place / "list"))
    assert len(said) <= 4000
    assert ", line 1: 'xxx" in said
    assert said.endswith("; and 10 more")


def test_a_host_of_a_hundred_interfaces_suggests_some_of_them():
    batch = "".join(f"link add veth{number:02} type veth peer name veth{number + 50}\n" for number in range(50))
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True, timeout=60)
    said = refused("xdp_filter", interface="eth7")
    assert said.endswith(", veth16, veth17 and 82 more")


def test_the_command_says_no_more_of_a_broken_file_than_fits_on_a_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "sources", lambda: SOURCES)
    config = tmp_path / "pingkiller"
    changed("xdp_filter", interface="pk0", persist=True, config_dir=str(config))
    (config / "filters/pk0.json").write_text(json.dumps({"xdp": {"ratelimit_pps": int(LONG)}}))
    (config / "filters/pk1.json").write_text(json.dumps({"xdp": {LONG * 3: 1}}))
    for arguments in (["check"], ["apply"], ["check", "--json"]):
        assert cli.main([*arguments, "--config", str(config)]) == exit_status.ERROR
        told = capsys.readouterr()
        assert "ratelimit_pps=9999" in told.err
        assert all(len(line) < 4200 for line in (told.out + told.err).splitlines())
        assert "ratelimit_pps=" + "9" * 61 not in told.out + told.err
