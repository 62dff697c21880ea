# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look into what the processes of a host do, with programs at the kernel's tracepoints: counted there, read here.

``Request.checked`` says what to look for, ``run`` looks for a while, ``watch`` also tells how it stands meanwhile. Nothing
is pinned, so whatever becomes of the process that looks, the kernel removes its programs with it.
"""

from __future__ import annotations

from .request import BY, DEFAULT_NAME, PROBES, Request
from .session import plan, run, watch

__all__ = ["BY", "DEFAULT_NAME", "PROBES", "Request", "plan", "run", "watch"]
