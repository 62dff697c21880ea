# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: shown
short_description: A text as it can be shown to a user, whoever wrote it
version_added: 0.1.0
description:
  - Replaces what a terminal would obey, and cuts off what is longer than a screen.
  - The role uses it; there is no other use for it.
options:
  _input:
    description: The text.
    type: str
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Say what is wrong
  ansible.builtin.fail:
    msg: "{{ refusal | pingkiller.fleet.shown }}"
"""

RETURN = r"""
_value:
  description: The text, in one line.
  type: str
"""

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import shown


class FilterModule:
    """Called by Ansible; the judgement is in plugin_utils."""

    def filters(self):
        return {"shown": shown}
