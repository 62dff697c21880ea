# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every run ends with a result or a message, whatever is in place of the pins; that varies with ``--faults-day``."""

from __future__ import annotations

import contextlib
import os
import random
import shutil

import pytest
from machine import DEFAULT_BASE, ip, program
from running import changed, run

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf

TYPES = (bpf.HASH, bpf.ARRAY, bpf.PERCPU_ARRAY, bpf.LRU_HASH, bpf.LPM_TRIE, bpf.RINGBUF)
RUNS = (
    ("xdp_facts", {}),
    ("xdp_blocklist", {"ip": "192.0.2.2"}),
    ("xdp_blocklist", {"ip": "192.0.2.1", "state": "absent"}),
    ("xdp_allowlist", {"content": "198.51.100.0/24\n", "exclusive": True}),
    ("xdp_filter", {"interface": "pk0", "policy": "drop"}),
    ("xdp_filter", {"interface": "pk0", "hook": "tc_ingress"}),
    ("xdp_filter", {"max_entries": 1000, "interface": "pk0"}),
    ("xdp_events", {"duration": 1, "limit": 1, "interface": "pk0"}),
    ("xdp_filter", {"interface": "pk0", "state": "absent"}),
)


def places(chance: random.Random) -> list[str]:
    """Return paths that exist, and paths where a run looks for something."""
    found = [os.path.join(where, name) for where, inside, names in os.walk(DEFAULT_BASE) for name in (*inside, *names)]
    return [
        *found,
        f"{DEFAULT_BASE}{chance.choice(['_next', '_old'])}",
        f"{DEFAULT_BASE}/filters/{chance.choice(['a', 'pk1'])}",
    ]


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def pin_any_map(chance: random.Random, path: str) -> None:
    kind = chance.choice(TYPES)
    info = bpf.MapInfo(
        type=kind,
        key_size=0 if kind == bpf.RINGBUF else chance.choice([4, 8, 16, 20]),
        value_size=0 if kind == bpf.RINGBUF else chance.choice([1, 4, 8, 64, 4096]),
        max_entries=chance.choice([1, 2, 64, 4096]),
        flags=chance.choice([0, bpf.NO_PREALLOC, bpf.MMAPABLE]),
    )
    with contextlib.suppress(OSError), bpf.Map.create("odd", info) as odd:  # the kernel refuses some of these maps
        odd.pin(path)


def put_something_odd(chance: random.Random) -> None:
    path, other = (chance.choice(places(chance)) for _ in range(2))
    what = chance.choice(["nothing", "directory", "map", "map", "program", "link", "other", "mode"])
    if what == "mode":
        with contextlib.suppress(OSError):
            os.chmod(path, chance.choice([0o000, 0o644, 0o755, 0o1777]))
        return
    remove(path)
    with contextlib.suppress(OSError):  # the parent directory may be gone
        if what == "directory":
            os.makedirs(os.path.join(path, *chance.choice([[], ["inside"]])))
        elif what == "map":
            pin_any_map(chance, path)
        elif what == "program":
            with bpf.Program.from_id(program("pk0")) as attached:
                attached.pin(path)
        elif what == "link":
            os.symlink(chance.choice([other, path, "/nowhere"]), path)
        elif what == "other":
            os.rename(other, path)


@pytest.mark.parametrize("number", range(20))
def test_pins_of_any_shape_bring_a_sentence_or_a_result(pytestconfig, number):
    chance = random.Random(f"{pytestconfig.getoption('--faults-day')} {number}")
    changed("xdp_filter", interface="pk0", events="dropped", ratelimit_pps=5)
    changed("xdp_blocklist", ip="192.0.2.1")
    for module, arguments in chance.sample(RUNS, len(RUNS)):
        if chance.random() < 0.5:
            put_something_odd(chance)
        result = run(module, check=chance.random() < 0.3, **arguments)
        for said in (result.get("msg", ""), *result["warnings"]):
            assert len(said) < 2000, said
            assert "Traceback" not in said
    # Remove everything by hand, as messages advise. After that a filter can be attached again.
    run("xdp_filter", state="absent", all=True)
    for name in ("", "_next", "_old"):
        remove(DEFAULT_BASE + name)
    with contextlib.suppress(Exception):
        ip("link", "set", "pk0", "xdp", "off")
    assert not run("xdp_filter", interface="pk0").get("failed")
