# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: look
short_description: Parse what the role's probe printed on a host
version_added: 0.1.0
description:
  - Parses the output of the role's probe on a host, and does not trust it. Control characters are replaced, and values that are too long are cut off.
  - Only the role uses this filter. It has no other use.
options:
  _input:
    description: The output of the probe on the host.
    type: str
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Show the kernel release of this host
  ansible.builtin.debug:
    msg: "{{ (probe.stdout | pingkiller.fleet.look).kernel }}"
"""

RETURN = r"""
_value:
  description: The facts about the host, by name. If a fact is missing or makes no sense, the result has only C(fault), which says what is wrong.
  type: dict
"""

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._look import look


class FilterModule:
    """Names the filter for Ansible."""

    def filters(self):
        return {"look": look}
