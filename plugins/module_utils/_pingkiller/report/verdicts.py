# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a packet, in the words of events, explanations and metrics."""

from __future__ import annotations

PASS, DROP = "pass", "drop"
WOULD_DROP = "would_drop"  #: monitor mode counts it as dropped, and passes it
UNKNOWN = "unknown"
