# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: traced
short_description: Show the traces of several hosts as one table
version_added: 0.1.0
description:
  - Adds up the results of M(pingkiller.fleet.bpf_trace_info) on several hosts, and shows them in one table. The sums over all hosts come first.
  - The filter does not trust the results. It replaces control characters. If the result of a host makes no sense, the filter names the host and leaves
    its result out.
options:
  _input:
    description: The result of each host, by the name of the host. A host that failed or was not reachable is named in the output with its message.
    type: dict
    required: true
  top:
    description: How many rows to show for each host, and for the sums over all hosts. V(0) shows all rows.
    type: int
    default: 10
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Show the traces of two hosts
  ansible.builtin.debug:
    msg: "{{ {'alpha': hostvars.alpha.seen, 'bravo': hostvars.bravo.seen} | pingkiller.fleet.traced(top=5) }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""

from ansible.errors import AnsibleError

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import quoted
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace import lines


def traced(answers, top=10):
    """Write the table of all hosts. Raises AnsibleError."""
    if not str(top).isdecimal():
        raise AnsibleError(f"traced: top is {quoted(top)}, which is not a number of rows: give one, 0 for all")
    return lines(answers, int(top))


class FilterModule:
    """Names the filter for Ansible."""

    def filters(self):
        return {"traced": traced}
