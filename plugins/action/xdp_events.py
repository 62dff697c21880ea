# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the answer of the managed host."""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import Judged


class ActionModule(Judged):
    """Checks the answer, and does nothing else."""
