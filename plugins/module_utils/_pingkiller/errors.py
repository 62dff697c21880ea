# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that front ends show to the user."""

from __future__ import annotations


class PingKillerError(Exception):
    """Something the user can act on: one sentence with the value, what is wrong with it and the way out."""
