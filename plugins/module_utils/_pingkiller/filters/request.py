# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of front ends for filters."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import PingKillerError, quoted
from ..kept.directory import Store
from ..kernel import schema
from ..store import hooks
from .options import FilterOptions


class FilterRequest(NamedTuple):
    """Filters that should run."""

    interfaces: tuple[str, ...] | None  #: by any of their names; None: the interfaces of the default routes
    options: dict[str, Any]  #: of FilterOptions, by name; a running filter keeps the others
    sources: dict[str, str]  #: C sources, by path below bpf/
    capacity: int | None = None
    force: bool = False
    persist: bool | None = None  #: None: do not change what is restored at boot
    owner: str | None = None  #: who wants the filters; None: do not change the owners
    store: Store | None = None
    reset: bool = False  #: options that are not named get their defaults
    lent: bool = False  #: the options are for a while only: note which values to put back
    only_running: bool = False  #: refuse to attach a filter that does not run
    sources_digest: str | None = None  #: ``definitions.digest`` of the sources, for a prediction without them

    @property
    def hook(self) -> str:
        return str(self.options.get("hook", schema.XDP))


#: The options for each filter, by its name, in the order of the request.
Asked = dict[str, FilterOptions]


class RemovalRequest(NamedTuple):
    """Filters that should be removed."""

    names: tuple[str, ...] | None  #: of the filters; None: everything on the host
    owner: str | None = None  #: who no longer wants them
    store: Store | None = None

    @property
    def everything(self) -> bool:
        return self.names is None


def named(interfaces: list[str] | None) -> tuple[str, ...] | None:
    """Check the names of interfaces. Returns None if none were given. Raises PingKillerError for an empty list."""
    if interfaces is None:
        return None
    names = tuple(name.strip() for name in interfaces)
    for name in names:
        require_printable(name)
    if not (names and all(names)):
        what = "has an empty name in it" if any(names) else "is empty"
        raise PingKillerError(
            f"interface {what}: name interfaces, or leave it out for those of the default routes; to remove everything "
            f"from the host, use state: absent with all: true"
        )
    return names


def require_printable(name: str) -> None:
    """Check that a terminal can show a name. Raises PingKillerError."""
    if not name.isprintable():
        raise PingKillerError(
            f"interface {quoted(name)} has characters in its name that cannot be printed: name another one, or rename it first"
        )


def names_to_remove(
    interfaces: tuple[str, ...] | None, *, hook: str | None, everything: bool | None
) -> tuple[str, ...] | None:
    """Return the names of the filters, None for everything on the host. Raises PingKillerError for an unclear request."""
    if interfaces is not None:
        if everything:
            raise PingKillerError(
                "interface and all=true contradict each other: leave out all to remove only these filters, or leave out "
                "interface to remove everything from the host"
            )
        return tuple(hooks.filter_name(interface, hook or schema.XDP) for interface in interfaces)
    if hook is not None:
        raise PingKillerError(
            f"hook={hook} does not say which filters to remove: name their interfaces with interface, too, or leave hook out "
            f"and use all: true to remove everything from the host"
        )
    if everything is False:
        raise PingKillerError(
            "all=false does not say which filters to remove: name their interfaces with interface, or use all: true to remove "
            "everything from the host"
        )
    return None
