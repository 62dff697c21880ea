# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exit status of ``pingkiller``. Its help explains them to users."""

from __future__ import annotations

FINE = 0
ERROR = 1  #: something could not be done or read
USAGE = 2  #: argparse's, for a wrong command line
NOT_AS_WANTED = 3  #: the host does not have what the wanted state says
INTERRUPTED = 130  #: as shells have it for SIGINT
