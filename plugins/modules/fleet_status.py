#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_status
short_description: Show what all hosts of a play answered to xdp_status_info as one table
version_added: 0.1.0
description:
  - Makes one table of the results of M(pingkiller.fleet.xdp_status_info) on all hosts of the play. They have to be registered as C(_pingkiller_seen), as the
    tasks C(status) of the role do it. The worst hosts come first, and hosts that were not reachable are in it, too.
  - Below the table are sentences about what is wrong with the worst hosts, the ten busiest sources of the fleet, and a sentence that sums all up.
  - The table has as many hosts and columns as the terminal has room for, which is 24 lines of 80 columns if there is none.
  - The module runs on the controller, once for all hosts, and connects to none. It does not trust the results. It replaces control characters, and names a
    host whose result makes no sense.
  - The playbook C(pingkiller.fleet.status) uses it. A callback beside this playbook shows the table as the last thing on the screen. In other playbooks, the
    output of the task has it.
options:
  rows:
    description: How many hosts to show, V(0) for all. By default, as many as there is room for.
    type: int
  address:
    description: The address that the hosts were asked about. The table then says where it is dropped and why, in place of the busiest sources.
    type: str
    default: ""
attributes:
  check_mode:
    description: The module only reads, so check mode makes no difference.
    support: full
  diff_mode:
    description: Shows the state before and after a change.
    support: N/A
    details:
      - Nothing changes.
  action:
    description: Runs on the controller.
    support: full
  bypass_host_loop:
    description: Runs once for all hosts.
    support: full
author:
  - PingKiller maintainers (@pingkiller)
seealso:
  - module: pingkiller.fleet.xdp_status_info
"""

EXAMPLES = r"""
- name: Look at the hosts
  ansible.builtin.import_role:
    name: pingkiller.fleet.pingkiller
    tasks_from: status

- name: Show the worst five
  pingkiller.fleet.fleet_status:
    rows: 5
  register: fleet
"""

RETURN = r"""
msg:
  description: The lines of the table and of what is below it.
  type: list
  elements: str
  returned: success
lacking:
  description: A sentence that names the hosts that lack what they should have. Empty if there is none.
  type: str
  returned: success
  sample: "1 of 3 hosts lacks what it should have: bravo (unfiltered)"
"""
