# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback in playbooks/callback_plugins tells the action plugins.

Ansible forks those from its main process, where the callback is. They have no terminal of their own.
"""

from __future__ import annotations

import os

heard = False  #: whether the callback shows the table after the run
screen = os.terminal_size((79, 24))  #: the columns and lines of the terminal, or those of a usual one
