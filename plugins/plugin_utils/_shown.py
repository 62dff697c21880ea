# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make values safe to show to a user. Hosts may put anything into them."""

from __future__ import annotations

import json

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import errors


def printable(text: str, length: int) -> str:
    """Escape characters that control a terminal, and shorten the text to about ``length`` characters."""
    safe = errors.printable(errors.shortened(text, length))
    return safe if len(safe) <= length + 3 else safe[:length] + "..."


def quoted(value: object, length: int = 60) -> str:
    """Write a value as JSON, at a length that fits into a sentence."""
    return printable(json.dumps(value, default=str), length)


def shown(message: str) -> str:
    """Make a whole message safe. It may contain variables, and a host can set variables through facts."""
    return printable(message, errors.SCREEN)
