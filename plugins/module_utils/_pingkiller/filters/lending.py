# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change options of running filters for a while, such as those that measure, and put them back.

The filter itself notes which values to put back. So the note ends with the filter, a boot does not know of it, and whoever
changes such an option in earnest meanwhile ends the loan. Nothing that is restored at boot is changed.
"""

from __future__ import annotations

from typing import Any

from ..store import filter_meta, hooks
from ..store.pins import Pins
from . import change
from .request import FilterRequest


def lend(base: str, name: str, options: dict[str, Any], *, sources: dict[str, str], lock_timeout: float) -> None:
    """Give a running filter these options until ``put_back``. Its program is replaced in one step and its counts go on.

    ``sources`` are the C sources by their path below bpf/. Raises PingKillerError, and changes nothing.
    """
    _change(base, name, options, sources=sources, lock_timeout=lock_timeout, lent=True)


def put_back(base: str, name: str, *, option: str | None = None, sources: dict[str, str], lock_timeout: float) -> None:
    """Put back what a filter has only for a while, if it still runs: this option, or all of them. Raises PingKillerError."""
    now = filter_meta.running(Pins(base).in_use(), name)
    lent = {each: value for each, value in now.noted.lent.items() if option in (each, None)} if now else {}
    if lent:
        _change(base, name, lent, sources=sources, lock_timeout=lock_timeout, lent=False)


def _change(
    base: str, name: str, options: dict[str, Any], *, sources: dict[str, str], lock_timeout: float, lent: bool
) -> None:
    interface, hook = hooks.split_name(name)
    request = FilterRequest(
        interfaces=(interface,), options={**options, "hook": hook}, sources=sources, lent=lent, only_running=True
    )
    change.present(base, request, lock_timeout=lock_timeout)
