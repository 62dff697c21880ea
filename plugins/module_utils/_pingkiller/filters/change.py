# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the filters of a host to what a front end asks for."""

from __future__ import annotations

from ..kept.edit import write_all
from ..kernel import access
from ..store import filter_meta, recovery
from ..store.lock import check_timeout, host_lock
from ..store.pins import Pins
from . import predict
from .interfaces import usable_links
from .notes import plan_notes
from .plan import ask, make_plan, own_names
from .request import FilterRequest
from .result import Result, result_of, with_kept


def present(base: str, request: FilterRequest, *, check: bool = False, lock_timeout: float = 30.0) -> Result:
    """Make sure that the filters run as asked. Raises PingKillerError before it changes anything."""
    check_timeout(lock_timeout)
    if check:
        return predict.present(base, request)
    from .apply import apply, complete_interrupted_move  # what compiles, which a prediction does not need

    access.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    links = usable_links(request)
    with host_lock(lock_timeout):
        asked = ask(pins.in_use(), request, links)
        own_name = own_names(pins.in_use())
        mended = recovery.settle(pins, tuple(asked)) + complete_interrupted_move(pins, request)
        plan = make_plan(pins, request, asked, own_name=own_name)
        notes = mended + plan_notes(pins, request, plan)
        notes += apply(pins, request, plan)
        write_all(plan.kept)
        after = {step.name: filter_meta.running(pins, step.name) for step in plan.steps}
        result = result_of(plan, request, notes, after=after)
        return with_kept({**result, "changed": result["changed"] or bool(mended)}, plan.kept, request.owner)
