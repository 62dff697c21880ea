# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the packages of the library: which may import which, and which files a module sends to a host."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
LIBRARY = PLUGINS / "module_utils/_pingkiller"
USERS = [path for top in ("plugins", "tests", "bench") for path in sorted((PLUGINS.parent / top).rglob("*.py"))]
PACKAGE = "ansible_collections.pingkiller.fleet.plugins."
#: The packages from bottom to top. A package imports only from lower floors, never from another one on its own floor.
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
    """Yield the files of the collection that a file imports, including imports inside functions."""
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
    """Return all files that Ansible sends to a host with a module: its imports, their imports, and so on."""
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


@pytest.mark.parametrize("module", ["xdp_blocklist", "xdp_allowlist", "xdp_facts", "xdp_events", "xdp_status_info"])
def test_what_compiles_nothing_brings_no_compiler_to_the_host(module):
    files = {str(path.relative_to(LIBRARY)) for path in shipped(module) if path.is_relative_to(LIBRARY)}
    assert "store/pins.py" in files
    assert "kernel/compiler.py" not in files


def library_names(tree: ast.Module) -> tuple[set[str], list[str]]:
    """Return the library's modules that a file imports, by their local names, and the original names of all imports."""
    modules, names = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or "_pingkiller" in (node.module or "")):
            modules |= {each.asname or each.name for each in node.names}
            names += [each.name for each in node.names]
    return modules, names


@pytest.mark.parametrize("path", USERS, ids=lambda path: str(path.relative_to(PLUGINS.parent)))
def test_nobody_uses_what_a_file_of_the_library_keeps_to_itself(path):
    tree = ast.parse(path.read_text())
    modules, used = library_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            used.append(node.attr)
        if (
            isinstance(node, ast.Call)
            and node.args[1:]
            and isinstance(node.args[0], ast.Name)
            and node.args[0].id in modules
        ):
            used += [
                each.value for each in node.args[1:2] if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
    assert [name for name in used if re.match(r"_(?!_|replace$|asdict$|fields$|field_defaults$)", name)] == []
