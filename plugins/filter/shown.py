# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: shown
short_description: Make any text safe to show to a user
version_added: 0.1.0
description:
  - Replaces control characters, and cuts off text that is longer than a screen.
  - Only the role uses this filter. It has no other use.
options:
  _input:
    description: The text.
    type: str
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Fail with a safe message
  ansible.builtin.fail:
    msg: "{{ refusal | pingkiller.fleet.shown }}"
"""

RETURN = r"""
_value:
  description: The text, on one line.
  type: str
"""

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import shown


class FilterModule:
    """Names the filter for Ansible."""

    def filters(self):
        return {"shown": shown}
