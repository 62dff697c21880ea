# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: address_fault
short_description: What is wrong with an address
version_added: 0.1.0
description:
  - Says what the modules would say about an address or network, on the controller and before a host is touched.
positional: _input
options:
  _input:
    description: An address or network as text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse addresses that the modules would refuse
  ansible.builtin.assert:
    that: item | pingkiller.fleet.address_fault == ''
    fail_msg: "{{ item }} {{ item | pingkiller.fleet.address_fault }}"
  loop: "{{ my_addresses }}"
"""

RETURN = r"""
_value:
  description: What is wrong, in words that can follow the address; empty when nothing is.
  type: str
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import addresses


def address_fault(text):
    try:
        addresses.parse(str(text))
    except ValueError as error:
        return str(error)
    return ""


class FilterModule:
    """Called by Ansible; one way of reading addresses serves the controller and the hosts."""

    def filters(self):
        return {"address_fault": address_fault}
