# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore what the wanted state says and the kernel does not have: after a boot, or when an interface appears.

Nothing is removed. Every filter, and the entries of every owner, are restored by themselves: an error is noted, and the rest
is restored all the same.
"""

from __future__ import annotations

from functools import partial

from ..kept import filter_notes
from ..kept.directory import Store
from ..kept.filter_notes import HostNote
from ..kernel import access
from ..store import filter_programs, host_maps
from ..store.limits import DEFAULT_CAPACITY
from ..store.lock import host_lock
from ..store.paths import DEFAULT_BASE
from ..store.pins import Pins
from .filters import lost, restore_interface
from .lists import Owned, restore_elsewhere, restore_lists
from .run import Outcome, Run


def restore(
    store: Store,
    sources: dict[str, str],
    *,
    interface: str | None = None,
    check: bool = False,
    lock_timeout: float = 30.0,
) -> Outcome:
    """Restore everything, or the filters of one interface. With ``check`` only say what is missing.

    ``sources`` are the filter's C sources by file name, and ``lock_timeout`` is in seconds.
    """
    outcome = Outcome(changed=[], absent=[], warnings=[], errors=[], lost=[])
    run = Run(
        store=store,
        sources=sources,
        base=DEFAULT_BASE,
        capacity=None,
        check=check,
        lock_timeout=lock_timeout,
        outcome=outcome,
    )
    run.attempt(lambda: filter_notes.check_there(store))
    if check:  # a boot accepts what only root can change; the modules require more before they write
        run.attempt(store.require_own)
    about: HostNote = run.attempt(lambda: filter_notes.host(store)) or {}
    run = run._replace(base=about.get("base", DEFAULT_BASE), capacity=about.get("max_entries"))
    if about or _any_notes(run):  # without host.json, its defaults hold
        run.attempt(lambda: _restore(run, interface))
    if interface is None:
        outcome.lost.extend(run.attempt(lambda: lost(run)) or [])
    return outcome


def _any_notes(run: Run) -> bool:
    return any(run.names(*inside) for inside in filter_notes.PLACES)


def _restore(run: Run, interface: str | None) -> None:
    """Restore lists before the filters that read them, and after these what may take long."""
    access.require_bpf()
    pins = Pins(run.base)
    fresh = not (pins.check_mount() and pins.in_use().exists())
    restored: list[Owned] = []
    if fresh and not run.check:
        with host_lock(run.lock_timeout):
            pins.require_ours()
            host_maps.create(pins, run.capacity or DEFAULT_CAPACITY)
        restored = restore_lists(run)
    for name in run.names("filters") if interface is None else [filter_programs.own_name(interface)]:
        run.attempt(partial(restore_interface, run, name))
    if interface is None and (run.check or not fresh):
        restored = restore_lists(run)
    for owned in restored:
        restore_elsewhere(run, owned)
