# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is refused before anything is touched, in words that name the value, the reason and the way out."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest
from machine import (
    BPF_CALL,
    BPFFS,
    DEFAULT_BASE,
    LOCK_FILE,
    MOUNT_CALL,
    NOBODY,
    become_nobody,
    held,
    ip,
    look,
    ping,
    program,
    put_foreign_program,
    umount,
    without_call,
)
from running import changed, refused, run, unchanged

NO_ADDRESS = "is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"


@pytest.fixture(params=["fresh", "in use"])
def host(request):
    """A host that knows nothing of PingKiller, and one that holds lists."""
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
            "ip='fe80::1%eth0' has a zone id: leave out the % and what follows, an entry holds on every interface",
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
        f"the {name} would have 65537 entries and holds 65536: nothing was changed; raise max_entries of xdp_filter "
        f"(pingkiller_max_entries of the role) to 65537 or more"
    )


def test_more_entries_than_a_list_has_room_for_are_refused_whole(module):
    changed("xdp_filter", interface="pk0", max_entries=3)
    changed(module, ip="192.0.2.1,192.0.2.2")
    name = module.removeprefix("xdp_")
    assert f"the {name} would have 4 entries and holds 3" in refused(module, ip="192.0.2.3,192.0.2.4")
    changed(module, ip="192.0.2.3,192.0.2.4", exclusive=True)
    assert f"the {name} would have 4 entries and holds 3" in refused(module, ip="192.0.2.5,192.0.2.6", owner="feed")


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
    said = "interface 'pk7' does not exist on this host: use one of lo, pk0, pk1"
    assert refused("xdp_filter", interface="pk7") == said
    assert refused("xdp_filter", interface="pk0,pk7") == said
    assert "interface 'no-such-name-at-all' does not exist" in refused("xdp_filter", interface="no-such-name-at-all")
    assert "interface '' does not exist" in refused("xdp_filter", interface="")


def test_an_interface_without_ethernet_frames_is_refused():
    ip("tuntap", "add", "mode", "tun", "pktun")
    assert refused("xdp_filter", interface="pktun") == (
        "interface 'pktun' carries no Ethernet frames: attach the filter to the Ethernet interface below it"
    )


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
        "run 'mount -t bpf bpf /sys/fs/bpf' and look at what it says"
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
        "base='/run/pingkiller' is not on a BPF file system: mount one there first (mount -t bpf bpf DIRECTORY) or leave "
        "base at /sys/fs/bpf/pingkiller"
    )


def test_a_type_that_does_not_exist_is_refused():
    assert "icmp_types: 'ping' is no ICMP type: use all, " in refused("xdp_filter", interface="pk0", icmp_types="ping")


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
        f"{pin} is a map of another shape (array, key 4, value 64, 256 entries instead of hash, key"
    )
    assert ping(filtered, "192.0.2.1") == "pass"


def test_a_base_that_leads_elsewhere_is_refused():
    os.symlink("/run", DEFAULT_BASE)
    assert run("xdp_blocklist", ip="192.0.2.1")["msg"] == (
        f"{DEFAULT_BASE} is a symbolic link to '/run', which PingKiller never makes: nothing was changed through it; find out who "
        "made it, remove it, and run again"
    )


def test_a_base_of_somebody_else_is_refused():
    os.mkdir(DEFAULT_BASE)
    os.chown(DEFAULT_BASE, NOBODY, NOBODY)
    assert run("xdp_blocklist", ip="192.0.2.1")["msg"] == (
        f"{DEFAULT_BASE} is not a directory that belongs to root: remove it and run again"
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
