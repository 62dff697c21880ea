# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_fault
short_description: Say what is wrong with the variables of the playbook status
version_added: 0.1.0
description:
  - Only the playbook C(pingkiller.fleet.status) uses this filter, before any host is asked. It has no other use.
options:
  _input:
    description: The variables C(pingkiller_address), C(pingkiller_rows) and C(pingkiller_status_window) of the playbook.
    type: dict
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Fail if the address is none
  ansible.builtin.fail:
    msg: "{{ fault }}"
  vars:
    fault: "{{ {'pingkiller_address': '203.0.113.9'} | pingkiller.fleet.status_fault }}"
  when: fault != ''
"""

RETURN = r"""
_value:
  description: A sentence about the first fault, empty if there is none.
  type: str
"""

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_variables import fault


class FilterModule:
    """Names the filter for Ansible."""

    def filters(self):
        return {"status_fault": fault}
