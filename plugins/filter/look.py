# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: look
short_description: What the role's look at a host has told
version_added: 0.1.0
description:
  - Reads what the role's probe has printed on a host, and does not trust it. What a terminal would obey is replaced, and what is too long is cut off.
  - The role uses it; there is no other use for it.
options:
  _input:
    description: What came back from the host.
    type: str
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Tell the kernel's release of this host
  ansible.builtin.debug:
    msg: "{{ (probe.stdout | pingkiller.fleet.look).kernel }}"
"""

RETURN = r"""
_value:
  description: What is known of the host, by name. If something is missing or makes no sense, only C(fault), which says what.
  type: dict
"""

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import look


class FilterModule:
    """Called by Ansible; the judgement is in plugin_utils."""

    def filters(self):
        return {"look": look}
