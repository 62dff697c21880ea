# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the request for a filter of a module's arguments: private to the collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import FilterOptions
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import FilterRequest, named
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kept.directory import Store


def request_from(given: dict[str, Any], sources: dict[str, str], *, digest: str | None = None) -> FilterRequest:
    """Return the request that the arguments of xdp_filter make. Raises PingKillerError.

    With ``digest``, that of the C sources, these are not needed to find out what would change.
    """
    options = {name: given[name] for name in FilterOptions._fields if given[name] is not None}
    return FilterRequest(
        interfaces=named(given["interface"]),
        options={name: tuple(value) if isinstance(value, list) else value for name, value in options.items()},
        sources=sources,
        sources_digest=digest,
        capacity=given["max_entries"],
        force=given["force"],
        persist=given["persist"],
        owner=given["owner"],
        store=Store(given["config_dir"]),
        reset=given["reset"],
    )
