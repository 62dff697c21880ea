# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run an installed command with programs that BCC has built before, not compiled anew: loading.py COMMAND ARGUMENTS."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

del sys.argv[0]
(library,) = Path(sys.argv[0]).parents[1].glob("lib/pingkiller/*/")
sys.path[:0] = [str(library), str(Path(__file__).resolve().parents[1] / "kernel")]

import built  # noqa: E402
from pingkiller.kernel import compiler  # noqa: E402

compiler.compile_program = built.compile_program
runpy.run_path(sys.argv[0], run_name="__main__")
