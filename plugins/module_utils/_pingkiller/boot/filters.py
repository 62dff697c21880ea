# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore filters."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..errors import PingKillerError, quoted
from ..filters import change
from ..filters.options import FilterOptions
from ..filters.request import FilterRequest
from ..kept import filter_notes, filter_owners
from ..kernel import netlink
from ..store import filter_programs, hooks
from ..store.pins import Pins
from .run import Run


def restore_interface(run: Run, interface: str) -> None:
    """Restore the filters of one interface. Raises PingKillerError if its note cannot be used."""
    own = filter_programs.own_name(interface)
    if own != interface and own in run.store.names("filters"):
        raise PingKillerError(
            f"{run.store.path(f'filters/{interface}')} is about the interface {own}, which also has a file under its own name: remove "
            f"{run.store.path(f'filters/{interface}')}"
        )
    for hook, options in filter_notes.filters(run.store, interface).items():
        if netlink.link(interface) is None:
            run.outcome.absent.append(hooks.filter_name(own, hook))
        else:
            run.attempt(partial(_restore_filter, run, interface, hook=hook, options=options))


def _restore_filter(run: Run, interface: str, *, hook: str, options: dict[str, Any]) -> None:
    request = filter_request(run, interface, hook=hook, options=options)
    result = change.present(run.base, request, check=run.check, lock_timeout=run.lock_timeout)
    run.outcome.warnings.extend(result["warnings"])
    if result["changed"]:
        name = filter_programs.own_name(hooks.filter_name(interface, hook))
        run.outcome.changed.append(f"filter on {name}")


def filter_request(run: Run, interface: str, *, hook: str, options: dict[str, Any]) -> FilterRequest:
    """Return the request for a filter with the options of a note. Raises PingKillerError if they are not as we write them."""
    try:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        force = given.pop("force", False) is True
        _check_types(given)
        checked = FilterOptions.checked(**{**given, "hook": hook})._asdict()
    except (AttributeError, TypeError, ValueError, PingKillerError) as error:
        path = run.store.path(f"filters/{interface}")
        what = error if isinstance(error, PingKillerError) else quoted(str(error))
        raise PingKillerError(f"{path} is not as PingKiller writes it ({what}): deploy again") from None
    return FilterRequest(
        interfaces=(interface,), options=checked, sources=run.sources, capacity=run.capacity, force=force
    )


def _check_types(given: dict[str, Any]) -> None:
    """Check the types of options, as Ansible does for a module. Raises TypeError."""
    for name, default in FilterOptions()._asdict().items():
        if name in given and type(given[name]) is not type(default):
            raise TypeError(f"{name}={quoted(str(given[name]))} should be like {default!r}")


def lost(run: Run) -> list[str]:
    """Return the names of filters that have an owner, but neither run nor have a note that says how to restore them."""
    named = filter_owners.owners(run.store)
    owned = set(map(filter_programs.own_name, named))
    pins = Pins(run.base)
    noted = {
        filter_programs.own_name(hooks.filter_name(interface, hook))
        for interface in {hooks.split_name(name)[0] for name in (*named, *owned)}
        for hook in filter_notes.filters(run.store, interface)
    }
    return [name for name in sorted(owned - noted) if not filter_programs.running(pins, name)]
