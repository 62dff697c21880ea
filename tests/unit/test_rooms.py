# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the library: who may import whom, and what travels to a host with a module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
LIBRARY = PLUGINS / "module_utils/_pingkiller"
PACKAGE = "ansible_collections.pingkiller.fleet.plugins."
#: From the bottom to the top. A room imports what is below it, and nothing of a neighbour on its own floor.
FLOORS = (
    {""},
    {"kernel"},
    {"files"},
    {"entries"},
    {"store"},
    {"kept"},
    {"lists", "filters"},
    {"boot", "report", "trace"},
    {"command"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(LIBRARY.rglob("*.py"))


def imports(path: Path) -> Iterator[Path]:
    """The files of the collection that a file imports, also those that it imports where it needs them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            top = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        elif node.module and node.module.startswith(PACKAGE):
            top = PLUGINS.joinpath(*node.module[len(PACKAGE) :].split("."))
        else:
            continue
        for name in [each.name for each in node.names]:
            found = [each for each in (top / f"{name}.py", top.with_suffix(".py")) if each.is_file()]
            yield found[0] if found else top / "__init__.py"


def room(path: Path) -> str:
    inside = path.relative_to(LIBRARY)
    return inside.parts[0] if len(inside.parts) > 1 else ""


def shipped(module: str) -> set[Path]:
    """What travels to a host with a module: the files that it imports, and theirs, and so on."""
    found: set[Path] = set()
    todo = [PLUGINS / f"modules/{module}.py"]
    while todo:
        new = set(imports(todo.pop())) - found
        found |= new
        todo += new
    return found


def test_every_room_has_its_floor():
    assert {room(path) for path in FILES} == FLOOR.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_room_imports_only_what_is_below_it(path):
    mine = room(path)
    upwards = [
        str(each.relative_to(LIBRARY))
        for each in imports(path)
        if room(each) != mine and FLOOR[room(each)] >= FLOOR[mine]
    ]
    assert upwards == []


def test_no_file_imports_itself_through_others():
    TopologicalSorter({path: list(imports(path)) for path in FILES}).prepare()


@pytest.mark.parametrize("module", ["xdp_blocklist", "xdp_allowlist", "xdp_facts", "xdp_events"])
def test_what_compiles_nothing_brings_no_compiler_to_the_host(module):
    files = {str(path.relative_to(LIBRARY)) for path in shipped(module) if path.is_relative_to(LIBRARY)}
    assert "store/pins.py" in files
    assert "kernel/compiler.py" not in files
