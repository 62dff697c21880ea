# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in Python as Ansible does on a managed host: ``run_module.py NAME ARGUMENTS``."""

from __future__ import annotations

import importlib
import json
import sys

from ansible.module_utils import basic
from report import CHECKOUT

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime


def sources() -> dict:
    """Return the C sources that the action plugin sends to the host for xdp_filter."""
    top = CHECKOUT / "bpf"
    return runtime.without_tracers({path.relative_to(top).as_posix(): path.read_text() for path in top.rglob("*.[ch]")})


def main(name: str, arguments: str) -> None:
    given = {**json.loads(arguments), "_ansible_diff": True}
    if name == "xdp_filter":
        given["_sources"] = sources()
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    importlib.import_module(f"ansible_collections.pingkiller.fleet.plugins.modules.{name}").main()


if __name__ == "__main__":
    main(*sys.argv[1:])
