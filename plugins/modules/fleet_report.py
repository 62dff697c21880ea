#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_report
short_description: Write one page about all hosts of a play
version_added: 0.1.0
description:
  - Writes one file of HTML about what all hosts of the play answered to M(pingkiller.fleet.xdp_status_info). The page needs nothing else and runs nothing.
  - Beside it, the module writes a file of JSON. The next report tells what has changed since.
  - The module runs on the controller. It connects to no host, and reads the answers in the variable C(_pingkiller_seen) of each host.
  - It never reports a change, because it changes nothing on a host.
  - Use the playbook C(pingkiller.fleet.report), which looks at the hosts first.
options:
  path:
    description:
      - The file to write, in a directory that exists. A report that is there is replaced at once, and so is an empty file. Any
        other file is refused.
      - The file of JSON has the same name with C(.json) as its ending. If there is such a file that no report has written, it is left alone, and nothing
        is compared.
    type: str
    default: ./pingkiller-report.html
  only_check:
    description:
      - Only check that the report could be written there.
    type: bool
    default: false
attributes:
  check_mode:
    description: In check mode, it makes the page, and writes nothing.
    support: full
  diff_mode:
    description: There are no differences to show.
    support: none
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Report on the fleet
  hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Look at the hosts
      ansible.builtin.import_role:
        name: pingkiller.fleet.pingkiller
        tasks_from: status
      vars:
        pingkiller_status_details: true

    - name: Write the report
      pingkiller.fleet.fleet_report:
        path: /srv/www/internal/pingkiller.html
"""

RETURN = r"""
path:
  description: The absolute path of the page.
  returned: unless O(only_check)
  type: str
  sample: /srv/www/internal/pingkiller.html
record:
  description: The absolute path of the file that the next report is compared with.
  returned: unless O(only_check)
  type: str
  sample: /srv/www/internal/pingkiller.json
size:
  description: The size of the page, in bytes.
  returned: unless O(only_check)
  type: int
  sample: 25605
msg:
  description: What was written, and how many hosts lack what the inventory wants.
  returned: always
  type: list
  elements: str
"""
