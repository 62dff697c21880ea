# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the digest of the C sources to the managed host, and check its answer."""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import definitions
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import Judged
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_sources


class ActionModule(Judged):
    """Adds the digest, by which the module finds out whether the running programs are those of this version."""

    def arguments(self) -> dict:
        return {**super().arguments(), "_sources_digest": definitions.digest(read_sources())}
