#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_blocklist
short_description: Block ICMP from or to addresses and networks
version_added: 0.1.0
description:
  - Adds addresses and networks to the blocklist of a host, or removes them from it.
  - All ICMP packets from a listed source are dropped, except for the protected types (see O(pingkiller.fleet.xdp_filter#module:protect)). Packets that
    are not ICMP pass.
  - All filters of the host read the entries from the same BPF maps. A change therefore takes effect with the next packet, and no program is
    compiled or replaced.
  - On a host without a filter the entries are stored, and a warning says that nothing is dropped yet.
  - Warnings name entries that have no effect, or another effect than expected. The module warns if the allowlist covers an entry, if an unblocked
    address is in a network that stays blocked, if no filter looks at the direction of an entry, if all filters only monitor, and if an entry
    covers all addresses or an address of the host. Check mode gives the same warnings.
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller.list
  - pingkiller.fleet.pingkiller.config
  - pingkiller.fleet.pingkiller.lock
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.attributes
seealso:
  - module: pingkiller.fleet.xdp_filter
  - module: pingkiller.fleet.xdp_allowlist
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Block an address everywhere, at once
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1

- name: Block several addresses and a network
  pingkiller.fleet.xdp_blocklist:
    ip:
      - 192.0.2.1
      - 198.51.100.0/24
      - 2001:db8::/32

- name: Unblock addresses that were blocked by hand
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1,198.51.100.0/24
    state: absent

- name: Block exactly the addresses in a file on the host, and keep the entries of other owners
  pingkiller.fleet.xdp_blocklist:
    src: /etc/abuse-addresses
    exclusive: true
    owner: abuse-feed

- name: Unblock an address, whoever has blocked it
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1
    state: absent
    any_owner: true

- name: Block the addresses in the first column of a table, and skip its heading
  pingkiller.fleet.xdp_blocklist:
    src: /var/lib/feeds/scanners.tsv
    format: first_column
    on_invalid: skip
    exclusive: true
    owner: scanners

- name: Block a range of addresses
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1-192.0.2.9

- name: Hand over an address that was blocked by hand to the inventory
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1
    owner: inventory
    from_owner: adhoc

- name: Block an attacker for an hour
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1
    ttl: 1h

- name: Block an attacker until the host boots
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1
    persist: false

- name: Drop arriving ICMP from or to a network
  pingkiller.fleet.xdp_blocklist:
    ip: 203.0.113.0/24
    direction: both

- name: Block an attacker, and say why
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1
    comment: scans every night, ticket 4711

- name: Block exactly these entries, with a comment for each
  pingkiller.fleet.xdp_blocklist:
    content: |
      192.0.2.1 comment="scans every night"
      198.51.100.0/24 ttl=1d comment="spoofed sources"
    exclusive: true
    owner: abuse-feed
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
    run_list_module("blocklist")


if __name__ == "__main__":
    main()
