# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the host what it needs to find out what a deploy would change, and check its answer."""

from __future__ import annotations

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import definitions
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._actions import Judged
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import ROLE_FILES, read_sources


class ActionModule(Judged):
    """Adds the digest of the C sources, and the script that the role's preflight runs, too."""

    def arguments(self) -> dict:
        script = (ROLE_FILES / "marks.sh").read_text(encoding="utf-8")
        return {**super().arguments(), "_sources_digest": definitions.digest(read_sources()), "_script": script}
