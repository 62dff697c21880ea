# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PingKiller's host-side library: everything that runs on a managed host, without Ansible.

Private to the collection: its modules are the interface. Imports inside are relative, so that the same files serve
Ansible's modules and programs on the host. One direction of dependencies: front end, this library, kernel.
"""

from __future__ import annotations

VERSION = "0.1.0"
CONFIG_DIRECTORY = "/etc/pingkiller"  #: where files say what is wanted
