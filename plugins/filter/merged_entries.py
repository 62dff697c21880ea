# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: merged_entries
short_description: Merge and check the variables of a list
version_added: 0.1.0
description:
  - Makes the lines of a list file of the items in the role's variables, and says what is wrong with the items.
  - The filter checks addresses and durations as the modules M(pingkiller.fleet.xdp_blocklist) and M(pingkiller.fleet.xdp_allowlist) do.
  - Only the role uses this filter. It has no other use.
positional: host
options:
  _input:
    description:
      - The variables that a list is merged from, as pairs of name and items. P(pingkiller.fleet.inventory#lookup) returns them.
      - An item is an address, a network, a range, or a mapping. A mapping has C(ip) and can have C(direction), C(ttl) and C(comment).
      - A C(comment) may be any text. It is written in one line of at most 255 bytes, with single quotes in place of double quotes.
    type: list
    elements: list
    required: true
  host:
    description: The host that has the variables. Problems name it.
    type: str
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Show the lines that the role would write into the blocklist of this host
  ansible.builtin.debug:
    msg: "{{ (query('pingkiller.fleet.inventory', 'blocklist') | pingkiller.fleet.merged_entries(inventory_hostname)).lines }}"
    # ['203.0.113.66 comment="scans every night"  # pingkiller_blocklist', '192.0.2.0/24 direction=both ttl=1h  # pingkiller_blocklist_db']

- name: Show what is wrong with a list
  ansible.builtin.debug:
    msg: "{{ ([['pingkiller_blocklist', ['192.0.2.300']]] | pingkiller.fleet.merged_entries('alpha')).problems }}"
    # ["In pingkiller_blocklist of alpha, \"192.0.2.300\" is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1."]
"""

RETURN = r"""
_value:
  description: The merged list.
  type: dict
  contains:
    lines:
      description:
        - A line for each item, in the order of the variables, with the name of the variable behind a C(#).
        - The line of an item that is wrong is its problem. The modules refuse a file with such a line.
      type: list
      elements: str
    problems:
      description: What is wrong with items, as sentences. At most ten are returned, and the rest are counted.
      type: list
      elements: str
"""

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._list_items import merged_entries


class FilterModule:
    """Names the filter for Ansible."""

    def filters(self):
        return {"merged_entries": merged_entries}
