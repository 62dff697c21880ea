# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what the modules do in check and diff mode."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode. It then changes nothing, and predicts what a run would report.
    support: full
  diff_mode:
    description: Shows the state before and after a change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: The operating systems of the managed hosts.
    platforms: linux
    support: full
"""

    EVENTS = r"""
options: {}
attributes:
  check_mode:
    description: The module only reads, so check mode makes no difference.
    support: full
  diff_mode:
    description: Shows the state before and after a change.
    support: N/A
    details:
      - Nothing changes.
  platform:
    description: The operating systems of the managed hosts.
    platforms: linux
    support: full
"""

    FACTS = r"""
options: {}
attributes:
  check_mode:
    description: The module only reads, so check mode makes no difference.
    support: full
  diff_mode:
    description: Shows the state before and after a change.
    support: N/A
    details:
      - Nothing changes.
  facts:
    description: Returns C(ansible_facts), which Ansible keeps for the host.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: The operating systems of the managed hosts.
    platforms: linux
    support: full
"""
