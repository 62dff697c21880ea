# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of this host, for the subcommands that show them."""

from __future__ import annotations

from typing import Any

from ..kept import filter_notes
from ..kept.directory import Store
from ..report import facts
from ..store.paths import DEFAULT_BASE


def collect(store: Store, *, list_limit: int = 0, top: int = 0) -> dict[str, Any]:
    """Return what the module xdp_facts returns, from the base directory that the wanted state names."""
    return facts.collect(base(store), list_limit=list_limit, top=top)


def base(store: Store) -> str:
    """Return the base directory that the wanted state names."""
    return str(filter_notes.host(store).get("base", DEFAULT_BASE))
