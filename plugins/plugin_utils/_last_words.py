# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody shows what a playbook has to say last, after Ansible's list of all hosts."""

from __future__ import annotations

#: True if the callback in playbooks/callback_plugins does. It sets this in Ansible's main process, which action plugins are
#: forked from.
heard = False
