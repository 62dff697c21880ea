# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this host has its lists and filters, and their facts for the subcommands that show them."""

from __future__ import annotations

from typing import Any

from ..kept import filter_notes
from ..kept.directory import Store
from ..store.paths import DEFAULT_BASE


def base(store: Store) -> str:
    """Return the base directory that the wanted state names."""
    return filter_notes.host(store).get("base", DEFAULT_BASE)


def collect(store: Store, *gather: str, **options: Any) -> dict[str, Any]:
    """Return what the module xdp_facts returns with these parts to gather. ``options`` are those of ``facts.collect``."""
    from ..report import facts  # which the subcommands that change lists do not need

    return facts.collect(base(store), gather=gather, **options)
