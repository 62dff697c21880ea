# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign objects in place of PingKiller's pins: runs name the path and neither write to it nor remove it."""

from __future__ import annotations

import json
import os

import pytest
from machine import LOCK_FILE, look, modes, ping, program
from running import changed, facts, run

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

BLOCKED = "192.0.2.1"
LISTS = [f"lists/{name}/{each}" for name in schema.LISTS for each in schema.list_maps(0)]
PINS = [*schema.HOST_MAPS, *LISTS, "filters/pk0/counters", "filters/pk0/meta"]
DIRECTORIES = ["", "lists", "lists/blocklist", "filters", "filters/pk0"]
RUNS = [("xdp_filter", {"interface": "pk0", "policy": "drop"}), ("xdp_blocklist", {"ip": "192.0.2.2"})]


def path_of(pin: str) -> str:
    return os.path.join(DEFAULT_BASE, pin).rstrip("/")


@pytest.fixture
def blocking(filtered):
    changed("xdp_blocklist", ip=BLOCKED)
    return filtered


def content(path: str) -> list:
    with bpf.Map.open(path) as found:
        return list(found.items())


def assert_refused_everywhere(path: str) -> None:
    """Check that every run that would use the pin names it, without a traceback, and changes neither pin nor filter."""
    before = look_at_files()
    for module, arguments in RUNS:
        for check in (True, False):
            result = run(module, check=check, **arguments)
            if result.get("failed"):
                assert path in result["msg"], result["msg"]
            else:
                assert not touches(module, path), result
    assert look_at_files() == before
    assert ping("pk0", BLOCKED) == "drop"


def touches(module: str, path: str) -> bool:
    return module == "xdp_filter" or not ("/filters" in path or "/allowlist" in path)


def look_at_files() -> dict:
    """Return the pins by inode, and the program. A planted object may not be readable in any other way."""
    found = {"program": program("pk0")}
    for directory, directories, files in os.walk(DEFAULT_BASE):
        for name in [*directories, *files]:
            status = os.lstat(os.path.join(directory, name))
            found[os.path.join(directory, name)] = status.st_ino, status.st_mode
    return found


@pytest.mark.parametrize("pin", PINS)
def test_a_map_of_another_shape_is_refused_with_its_path_and_not_written_to(blocking, pin):
    path = path_of(pin)
    os.unlink(path)
    shape = bpf.MapInfo(type=bpf.ARRAY, key_size=4, value_size=24, max_entries=3, flags=0)
    with bpf.Map.create("somebody_else", shape) as foreign:
        foreign.update(schema.ZERO, b"p" * 24)
        foreign.pin(path)
    assert_refused_everywhere(path)
    assert content(path)[0] == (schema.ZERO, b"p" * 24)


@pytest.mark.parametrize(
    "pin", ["control", "lists/blocklist/records", "lists/allowlist/exact6", "filters/pk0/counters"]
)
@pytest.mark.parametrize("difference", ["type", "key_size", "value_size", "max_entries", "flags"])
def test_every_part_of_a_declaration_is_compared(blocking, pin, difference):
    path = path_of(pin)
    with bpf.Map.open(path) as found:
        info = found.info
    other = {
        "type": bpf.HASH if info.type != bpf.HASH else bpf.LRU_HASH,
        "key_size": 8,
        "value_size": info.value_size + 8,
        "max_entries": info.max_entries + 1,
        "flags": info.flags ^ bpf.NO_PREALLOC if info.type == bpf.HASH else info.flags ^ bpf.MMAPABLE,
    }
    if difference == "key_size" and info.type in (bpf.ARRAY, bpf.PERCPU_ARRAY):
        pytest.skip("the kernel makes no array with another key")
    changes = {difference: other[difference]}
    if difference == "type":
        changes["flags"] = 0
    if info.type == bpf.PERCPU_ARRAY and difference == "flags":
        pytest.skip("the kernel maps no per-CPU array into memory")
    if difference == "max_entries" and pin.endswith("records"):
        pytest.skip("it says what size the indexes must have, so that they are what is named")
    os.unlink(path)
    with bpf.Map.create("somebody_else", info._replace(**changes)) as foreign:
        foreign.pin(path)
    assert_refused_everywhere(path)


@pytest.mark.parametrize("pin", ["control", "claims", "lists/blocklist/records", "filters/pk0/meta"])
def test_the_pin_of_a_program_is_refused_where_a_map_ought_to_be(blocking, pin):
    path = path_of(pin)
    os.unlink(path)
    with bpf.Program.from_id(program("pk0")) as attached:
        attached.pin(path)
    assert_refused_everywhere(path)


@pytest.mark.parametrize("pin", PINS)
def test_a_link_in_the_place_of_a_pin_is_refused(blocking, pin):
    path, elsewhere = path_of(pin), "/sys/fs/bpf/elsewhere"
    with bpf.Map.open(path) as found, bpf.Map.create("same_shape", found.info) as same:
        same.pin(elsewhere)
    before = content(elsewhere) if not pin.endswith("counters") else []
    os.unlink(path)
    os.symlink(elsewhere, path)
    assert_refused_everywhere(path)
    assert (content(elsewhere) if not pin.endswith("counters") else []) == before


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_a_link_in_the_place_of_a_directory_is_refused_and_not_removed_through(blocking, directory):
    path, elsewhere = path_of(directory), "/sys/fs/bpf/elsewhere"
    os.rename(path, elsewhere)
    os.symlink(elsewhere, path)
    before = sorted(os.listdir(elsewhere))
    assert_refused_everywhere(path)
    result = run("xdp_filter", state="absent")
    assert result.get("failed"), result
    assert path in result["msg"]
    assert sorted(os.listdir(elsewhere)) == before


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    os.symlink(precious, LOCK_FILE)
    for module, arguments in RUNS:
        result = run(module, **arguments)
        assert result["msg"].startswith(f"{LOCK_FILE} is not a lock file"), result
    assert precious.read_text() == "precious"


def test_maps_of_a_schema_that_is_not_known_are_left_alone(blocking):
    with bpf.Map.open(path_of("control")) as control:
        value = control.lookup(schema.ZERO)
        control.update(schema.ZERO, (99).to_bytes(4, "little") + value[4:])
    before = look_at_files()
    for module, arguments in RUNS:
        result = run(module, **arguments)
        assert "the maps on this host have schema 99" in result["msg"], result
    assert look_at_files() == before
    assert ping("pk0", BLOCKED) == "drop"


@pytest.mark.parametrize("noted", [b"\xff", b"[]", b"{", b'{"options": 7}', json.dumps({"program_id": 1}).encode()])
def test_notes_that_say_nothing_sensible_are_not_believed(blocking, noted):
    path = path_of("filters/pk0/meta")
    with bpf.Map.open(path) as meta:
        meta.update(schema.ZERO, noted.ljust(schema.META_SIZE, b"\0"))
    assert facts()["filters"]["pk0"]["options"] == {}
    changed("xdp_filter", interface="pk0")
    assert facts()["filters"]["pk0"]["options"]
    assert ping("pk0", BLOCKED) == "drop"


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_everything_is_for_root_alone_whatever_the_umask(umask):
    def set_umask():
        os.umask(umask)

    for module, arguments in reversed(RUNS):
        changed(module, set_umask, **arguments)
    for path, (is_directory, mode) in modes().items():
        assert mode & 0o077 == 0, path
        assert not is_directory or mode == 0o700, path
    assert look()["run"] == []
    changed("xdp_filter", set_umask, state="absent")
    assert not Pins(DEFAULT_BASE).exists()
