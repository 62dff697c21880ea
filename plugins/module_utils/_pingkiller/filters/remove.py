# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove filters, or everything that PingKiller has made on a host."""

from __future__ import annotations

from ..kernel import access, compiler
from ..store import filter_programs, hooks, recovery
from ..store.lock import check_timeout, host_lock
from ..store.pins import Pins
from . import predict, removal
from .clsact import remove_clsact
from .request import RemovalRequest
from .result import Result, with_kept


def absent(base: str, request: RemovalRequest, *, check: bool = False, lock_timeout: float = 30.0) -> Result:
    """Remove filters, or everything: all filters, both lists and all pins. Raises PingKillerError.

    Removed filters are not restored at boot. ``owner`` no longer wants them. If another owner wants them, that stays
    noted, so they are reported as missing. A filter that this run cannot reach keeps running. It keeps its pins, which
    identify it, unless everything is removed.
    """
    check_timeout(lock_timeout)
    access.require_bpf()
    pins, request = Pins(base), removal.with_own_names(request)
    there = removal.is_there(pins)
    if check or not (there or removal.plan_forgetting(request)):
        return predict.absent(base, request)
    with host_lock(lock_timeout):
        # First, because it refuses what is not ours, before anything has changed.
        recovery.settle(pins, request.names or ())
        planned = removal.plan_removal(pins, request.names)
        # Before any filter is removed, so that no boot restores the filters of an interrupted removal.
        kept = removal.plan_forgetting(request)
        for edit in kept:
            edit.write()
        compiler.remove_abandoned_headers()
        for name in planned.before:
            _detach(pins, name)
            if name not in planned.going_on:
                pins.remove_filter(name)
        recovery.settle_maps(pins)  # the last filter that used the old maps may be gone now
        if request.everything:
            pins.remove_all()
        return with_kept(removal.result(planned, lists_go=request.everything and there), kept)


def _detach(pins: Pins, name: str) -> None:
    for found in list(filter_programs.programs(pins, name)):
        hooks.detach(found.link, found.attached)
    remove_clsact(pins, name)
