# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the paths of pins: the base, the directories of interfaces, and the swap of lists."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import mounts
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import CURRENT, NEXT
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.recovery import settle_maps

settings.register_profile("unit", deadline=None)  # a busy machine is not a failure
settings.load_profile("unit")


@pytest.fixture
def pins():
    """Pins in an ordinary directory. Its name has no dot."""
    with tempfile.TemporaryDirectory(prefix="pk") as directory:
        yield Pins(directory)


def mounted(monkeypatch, *places):
    monkeypatch.setattr(mounts, "bpf_mounts", lambda: list(places))


@pytest.mark.parametrize(
    "base", ["", "pingkiller", "sys/fs/bpf/x", "/", "/sys/fs/bpf/a.b", "/sys/fs/bpf/../../..", "/sys/fs/bpf/x_old"]
)
def test_a_base_that_cannot_hold_pins_is_refused(base):
    with pytest.raises(PingKillerError) as refusal:
        Pins(base)
    assert str(refusal.value).startswith(
        f"base={base!r} cannot hold pins: give an absolute path below a BPF file system"
    )


@pytest.mark.parametrize(
    "base", ["/sys/fs/bpf/one/", "/sys//fs/bpf/one", "/sys/fs/bpf/./one", "/sys/fs/bpf/two/../one"]
)
def test_a_base_is_one_place_however_it_is_written(base):
    assert Pins(base).base == "/sys/fs/bpf/one"


def test_a_base_on_a_mounted_bpf_file_system_will_do(monkeypatch):
    mounted(monkeypatch, "/mnt", "/sys/fs/bpf")
    assert Pins("/sys/fs/bpf/pingkiller").check_mount()
    assert Pins("/mnt/deep/below").check_mount()


def test_the_usual_base_will_do_before_anything_is_mounted(monkeypatch):
    mounted(monkeypatch)
    assert not Pins("/sys/fs/bpf/pingkiller").check_mount()


@pytest.mark.parametrize("base", ["/run/pingkiller", "/sys/fs/bpfx/pingkiller", "/sys/fs/bpf"])
def test_a_base_elsewhere_is_refused_with_how_to_mount(monkeypatch, base):
    mounted(monkeypatch)
    with pytest.raises(PingKillerError) as refusal:
        Pins(base).check_mount()
    assert str(refusal.value) == (
        f"base={base!r} is not on a BPF file system: mount one there first (mount -t bpf -o mode=0700 bpf DIRECTORY) or leave base at "
        f"/sys/fs/bpf/pingkiller"
    )


def test_a_mount_point_is_no_base(monkeypatch):
    mounted(monkeypatch, "/sys/fs/bpf")
    with pytest.raises(PingKillerError, match="^base='/sys/fs/bpf' is a mount point: give a directory below it$"):
        Pins("/sys/fs/bpf").check_mount()


def as_the_kernel_writes(place: bytes, kind: bytes = b"bpf", source: bytes = b"bpf") -> bytes:
    """Write a line of /proc/self/mountinfo. The kernel escapes the same four bytes (seq_path, mangle)."""
    escaped = [
        b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in text) for text in (place, source)
    ]
    return b"36 35 0:31 / %s rw,relatime shared:7 - %s %s rw,mode=700\n" % (escaped[0], kind, escaped[1])


names = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name)


@given(st.lists(st.tuples(names, st.sampled_from([b"bpf", b"tmpfs", b"fuse.bpf"]), names), max_size=5))
@example([(b"/tmp/a\rb\x0bc\xff\x1c\x85", b"bpf", b"bpf - bpf")])
@example([(b"/tmp/x - bpf\n36 35 0:31 / /sys/fs/bpf/pingkiller rw - bpf bpf rw", b"tmpfs", b"\\040")])
def test_mounts_are_read_as_the_kernel_writes_them_whatever_somebody_called_them(there):
    table = b"".join(as_the_kernel_writes(b"/" + place, kind, source) for place, kind, source in there)
    expected = [os.fsdecode(b"/" + place) for place, kind, _source in there if kind == b"bpf"]
    assert mounts.mounted(table, b"bpf") == expected


# The kernel accepts any name of up to 15 bytes without slash, colon and white space, except "." and "..".
interfaces = st.text(st.characters(exclude_characters="/:\0", exclude_categories=["Z", "C"]), min_size=1, max_size=15)


@given(interfaces.filter(lambda name: name.strip(".")))
@example("eth0.100")
@example("wan%2E5")
@example("br-..x")
def test_every_interface_has_a_directory_that_the_bpf_file_system_allows(name):
    directory = os.path.relpath(Pins("/base").filter_pin(name), "/base/filters")
    assert "." not in directory
    assert "/" not in directory


@given(st.sets(interfaces.filter(lambda name: name.strip(".") and len(name.encode()) < 16), max_size=4))
def test_the_filters_are_found_by_the_names_of_their_interfaces(names):
    with tempfile.TemporaryDirectory(prefix="pk") as directory:
        pins = Pins(directory)
        for name in names:
            os.makedirs(pins.filter_pin(name))
        assert pins.filters() == sorted(names)


def test_looking_makes_nothing(pins):
    os.rmdir(pins.base)
    assert not pins.exists()
    assert pins.filters() == []
    assert not pins.exists()
    os.mkdir(pins.base)


def put_lists(pins, generation=CURRENT):
    """Make the directories of lists. Each map is a file that contains the base of its pins."""
    for name in schema.LISTS:
        pins.make_directory(pins.list_pin(name, generation=generation))
        for each in schema.list_maps(1):
            Path(pins.list_pin(name, each, generation)).write_text(pins.base)


def makers(pins):
    """Return, for each base that exists now, the base under which its files were made."""
    found = {}
    for each in (pins, pins.new, pins.old):
        if each.exists():
            (found[each.base],) = {path.read_text() for path in Path(each.base).glob("*/*/*")}
    return found


def test_new_maps_take_the_place_of_the_old_ones(pins):
    put_lists(pins)
    put_lists(pins.new)
    pins.swap()
    assert makers(pins) == {pins.base: pins.new.base, pins.old.base: pins.base}
    pins.discard_old()
    assert makers(pins) == {pins.base: pins.new.base}


def test_maps_that_were_not_yet_in_use_go(pins):
    put_lists(pins)
    put_lists(pins.new)
    settle_maps(pins)
    assert makers(pins) == {pins.base: pins.base}


def test_a_swap_interrupted_half_way_is_taken_back(pins):
    put_lists(pins)
    put_lists(pins.new)
    os.rename(pins.base, pins.old.base)
    assert pins.in_use().base == pins.old.base
    assert pins.in_use().in_use().filters() == []
    settle_maps(pins)
    assert pins.in_use() is pins
    assert makers(pins) == {pins.base: pins.base}


@pytest.mark.parametrize("beside", ["new", "old"])
def test_a_directory_that_came_after_it_was_looked_whose_it_is_is_neither_removed_nor_renamed(pins, beside):
    path = getattr(pins, beside).base
    os.rmdir(pins.base)
    os.mkdir(path, 0o755)
    try:
        with pytest.raises(PingKillerError, match=f"^{path} is a directory of user "):
            settle_maps(pins)
        assert os.path.isdir(path)
        assert not pins.exists()
    finally:
        os.rmdir(path)
        os.mkdir(pins.base)


def test_what_is_not_ours_is_left_and_named(pins):
    put_lists(pins, CURRENT)
    Path(pins.base, "notes").touch()
    with pytest.raises(PingKillerError) as refusal:
        pins.remove_all()
    assert str(refusal.value) == f"{pins.base} holds something that is not PingKiller's (notes): remove it by hand"
    assert os.listdir(pins.base) == ["notes"]


def test_everything_of_ours_goes(pins):
    for generation in (CURRENT, NEXT):
        put_lists(pins, generation)
    for name in schema.HOST_MAPS:
        Path(pins.host_pin(name)).touch()
    for interface in ("eth0", "eth0.100"):
        os.makedirs(pins.filter_pin(interface))
        for name in schema.FILTER_MAPS:
            Path(pins.filter_pin(interface, name)).touch()
    pins.remove_all()
    assert not pins.exists()
    os.mkdir(pins.base)
