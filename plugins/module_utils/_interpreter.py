# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the Python that runs a module that compiles: private to the collection."""

from __future__ import annotations

from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bcc_package

_SYSTEM_INTERPRETERS = ["/usr/bin/python3", "/usr/libexec/platform-python"]


def move_to_interpreter_with_bcc() -> None:
    """Run the module again with the system's Python if this one has no BCC. Ansible may have found another Python."""
    if bcc_package.directory() or has_respawned():
        return
    interpreter = probe_interpreters_for_module(_SYSTEM_INTERPRETERS, "bcc.libbcc")
    if interpreter:
        respawn_module(interpreter)
