#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_allowlist
short_description: Let ICMP from or to addresses and networks pass
version_added: 0.1.0
description:
  - Adds addresses and networks to the allowlist of a host, or removes them from it.
  - The allowlist wins over the blocklist and over the policy of every filter.
  - All filters of the host read the entries from the same BPF maps. A change therefore takes effect with the next packet, and no program is
    compiled or replaced.
  - On a host without a filter the entries are stored, and a warning says that nothing is dropped yet.
  - A warning says if a removed address is in a network that stays on the list. Check mode gives the same warning.
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller.list
  - pingkiller.fleet.pingkiller.config
  - pingkiller.fleet.pingkiller.lock
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.attributes
seealso:
  - module: pingkiller.fleet.xdp_filter
  - module: pingkiller.fleet.xdp_blocklist
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Always let the monitoring ping
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10,2001:db8::10

- name: Allow exactly these networks, and keep the entries of other owners
  pingkiller.fleet.xdp_allowlist:
    ip:
      - 192.0.2.0/24
      - 2001:db8:1::/48
    exclusive: true
    owner: monitoring

- name: Take over an address that was allowed by hand
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10
    owner: monitoring
    from_owner: adhoc

- name: Remove an address from the allowlist
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10
    state: absent

- name: Let the monitoring through, and say what it is
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10
    comment: monitoring, ask the network team
"""

RETURN = r"""
added:
  description: The entries that were added to the list, in canonical form. At most 1000 are named.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.1, "2001:db8::/32"]
added_count:
  description: How many entries were added to the list.
  returned: success
  type: int
  sample: 2
updated:
  description: The entries whose direction, owners, end or comment changed. At most 1000 are named.
  returned: success
  type: list
  elements: str
  sample: []
updated_count:
  description: How many entries were updated.
  returned: success
  type: int
  sample: 0
removed:
  description: The entries that were removed from the list. At most 1000 are named.
  returned: success
  type: list
  elements: str
  sample: []
removed_count:
  description: How many entries were removed from the list.
  returned: success
  type: int
  sample: 0
skipped_count:
  description: How many lines or items were left out because they are not valid entries.
  returned: success
  type: int
  sample: 0
count:
  description: How many entries of all owners the list has now.
  returned: success
  type: int
  sample: 2
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._list_modules import run_list_module


def main():
    run_list_module("allowlist")


if __name__ == "__main__":
    main()
