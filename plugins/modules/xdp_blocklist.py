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
  - Puts addresses and networks on the blocklist of a host, or takes them off it.
  - A packet from a listed source loses all its ICMP but the protected types (see O(pingkiller.fleet.xdp_filter#module:protect)); everything that
    is not ICMP passes.
  - The entries live in BPF maps that all filters of the host read, so a change takes effect with the next packet and
    no program is compiled or replaced for it.
  - On a host without a filter the entries are stored, with a warning that nothing is dropped yet.
  - Warnings say, in check mode too, what will have no effect or another one than it seems. The allowlist covers an entry; an address that
    is unblocked is in a network that stays; no filter looks at the direction; all filters only monitor; an entry covers everybody or an
    address of the host.
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
- name: Block an address everywhere, now
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1

- name: Block several addresses and a network
  pingkiller.fleet.xdp_blocklist:
    ip:
      - 192.0.2.1
      - 198.51.100.0/24
      - 2001:db8::/32

- name: Unblock what was blocked by hand
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1,198.51.100.0/24
    state: absent

- name: Keep the blocklist exactly as a file on the host says, but for the entries of others
  pingkiller.fleet.xdp_blocklist:
    src: /etc/abuse-addresses
    exclusive: true
    owner: abuse-feed

- name: Unblock an address whoever has blocked it
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1
    state: absent
    any_owner: true

- name: Take the addresses out of a table, and leave out its heading
  pingkiller.fleet.xdp_blocklist:
    src: /var/lib/feeds/scanners.tsv
    format: first_column
    on_invalid: skip
    exclusive: true
    owner: scanners

- name: Block a range
  pingkiller.fleet.xdp_blocklist:
    ip: 192.0.2.1-192.0.2.9

- name: Take over into the inventory what was blocked by hand
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

- name: Drop arriving ICMP that names a network as its source or as its destination
  pingkiller.fleet.xdp_blocklist:
    ip: 203.0.113.0/24
    direction: both
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
    run_list_module("blocklist")


if __name__ == "__main__":
    main()
