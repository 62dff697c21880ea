# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import the library from where the role has installed it: private to the collection."""

from __future__ import annotations

import os
import sys

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import __name__ as own

_LIBRARY = "/usr/local/lib/pingkiller"
_NOTE = "made"  #: of roles/pingkiller/files/install.py


def prefer_installed() -> None:
    """Import what is not imported yet from the host's copy of the library, of which Python has made bytecode.

    Reading the library that came with the module takes Python longer than anything else that a look does. Only for a host
    whose copy is known to be equal to it. Files that go missing meanwhile are taken from what came along.
    """
    sys.dont_write_bytecode = True  # another Python than that of the command would leave bytecode of its own
    versions = [name for name in os.listdir(_LIBRARY) if name != _NOTE]
    for name, module in list(sys.modules.items()):  # a room that is imported already has a path of its own
        if hasattr(module, "__path__") and (name == own or name.startswith(f"{own}.")):
            room = name[len(own) :].replace(".", "/")
            module.__path__[:0] = [f"{_LIBRARY}/{version}/pingkiller{room}" for version in versions]
