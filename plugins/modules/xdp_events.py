#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: xdp_events
short_description: Listen to the filters of a host, packet by packet
version_added: 0.1.0
description:
  - Listens for O(duration) seconds to the filters whose O(pingkiller.fleet.xdp_filter#module:events) is not V(none). Returns their events, oldest
    first.
  - Filters report events only while a listener is running. Several can run at a time, also as C(pingkiller events --follow) on the host, and each
    gets all events.
options:
  duration:
    description:
      - How many seconds to listen.
    type: float
    default: 5
  limit:
    description:
      - Stop after this many events.
    type: int
    default: 1000
extends_documentation_fragment:
  - pingkiller.fleet.pingkiller
  - pingkiller.fleet.attributes.events
seealso:
  - module: pingkiller.fleet.xdp_filter
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Listen to the filters of this host
  pingkiller.fleet.xdp_events:
    duration: 10
  register: heard

- name: Show the sources
  ansible.builtin.debug:
    msg: "{{ heard.events | map(attribute='src') | unique }}"
"""

RETURN = r"""
events:
  description:
    - The events. Each has C(time) (UTC), C(interface), C(family), C(protocol), C(type), C(code), C(verdict), C(reason), C(src), C(dst), C(length),
      C(vlan) and C(processing_ns).
    - C(type) and C(code) are null for a later fragment, and for a packet that is malformed, not classified or not ICMP.
    - C(verdict) is C(pass), C(drop), or C(would_drop) for a packet that passed only because of O(pingkiller.fleet.xdp_filter#module:monitor).
    - C(src) and C(dst) are null for a frame with more VLAN tags than the filter reads. C(processing_ns) is null if it was not measured.
  returned: success
  type: list
  elements: dict
  sample:
    - time: "2026-01-31T12:00:00.123456Z"
      interface: eth0
      family: ipv4
      protocol: 1
      type: 8
      code: 0
      verdict: drop
      reason: blocklist
      src: 192.0.2.1
      dst: 198.51.100.1
      length: 98
      vlan: null
      processing_ns: null
count:
  description: How many events were received.
  returned: success
  type: int
  sample: 1
suppressed:
  description: How many events the filters did not report meanwhile, because of O(pingkiller.fleet.xdp_filter#module:events_per_second).
  returned: success
  type: int
  sample: 0
lost:
  description: How many events were lost meanwhile, because they were not read before the buffer was full.
  returned: success
  type: int
  sample: 0
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import BASE_OPTION, Module, finish
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import events


def main():
    module = Module(
        argument_spec={
            "duration": {"type": "float", "default": 5},
            "limit": {"type": "int", "default": 1000},
            **BASE_OPTION,
        },
        supports_check_mode=True,
    )
    given = module.params
    finish(module, events.listen, given["base"], duration=given["duration"], limit=given["limit"])


if __name__ == "__main__":
    main()
