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
  - Puts addresses and networks on the allowlist of a host, or takes them off it.
  - The allowlist wins over the blocklist and over the policy of every filter.
  - The entries live in BPF maps that all filters of the host read, so a change takes effect with the next packet and
    no program is compiled or replaced for it.
  - On a host without a filter the entries are stored, with a warning that nothing is dropped yet.
  - Warnings say, in check mode too, if an address that was taken off is in a network that stays on the list.
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
- name: Monitoring may always ping
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10,2001:db8::10

- name: Exactly these networks, but for the entries of others
  pingkiller.fleet.xdp_allowlist:
    ip:
      - 192.0.2.0/24
      - 2001:db8:1::/48
    exclusive: true
    owner: monitoring

- name: Take over what was allowed by hand
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10
    owner: monitoring
    from_owner: adhoc

- name: No longer
  pingkiller.fleet.xdp_allowlist:
    ip: 192.0.2.10
    state: absent
"""

RETURN = r"""
added:
  description: The entries that came onto the list, in canonical form. At most 1000 are named.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.1, "2001:db8::/32"]
added_count:
  description: How many came onto the list.
  returned: success
  type: int
  sample: 2
updated:
  description: The entries whose direction or owners changed. At most 1000 are named.
  returned: success
  type: list
  elements: str
  sample: []
updated_count:
  description: How many changed.
  returned: success
  type: int
  sample: 0
removed:
  description: The entries that left the list. At most 1000 are named.
  returned: success
  type: list
  elements: str
  sample: []
removed_count:
  description: How many left the list.
  returned: success
  type: int
  sample: 0
skipped_count:
  description: How many lines or items were left out as they are no entries.
  returned: success
  type: int
  sample: 0
count:
  description: How many entries the list has now, of all owners.
  returned: success
  type: int
  sample: 2
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._list_modules import run_list_module


def main():
    run_list_module("allowlist")


if __name__ == "__main__":
    main()
