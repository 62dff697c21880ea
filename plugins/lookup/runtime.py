# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime
short_description: Build the runtime that restores filters at boot, as a file on the controller
version_added: 0.1.0
description:
  - Builds the runtime and returns its path. The runtime is one file that Python can run. It has the collection's host-side library and its C sources.
  - The same version of the collection builds the same bytes on every controller. The file is deleted when Ansible ends.
  - Only the role uses this lookup. It has no other use.
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Install the command pingkiller
  ansible.builtin.copy:
    src: "{{ lookup('pingkiller.fleet.runtime').path }}"
    dest: /usr/local/sbin/pingkiller
    mode: "0755"
"""

RETURN = r"""
_raw:
  description: One mapping with the C(path) of the file and the C(sha256) of its content.
  type: list
  elements: dict
"""

import hashlib
import os
import tempfile
from pathlib import Path

from ansible import constants
from ansible.plugins.lookup import LookupBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import build


class LookupModule(LookupBase):
    """Builds the file only once. Ansible calls this plugin for each host, in separate processes."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        path = Path(constants.DEFAULT_LOCAL_TMP) / "pingkiller"
        if not path.exists():
            descriptor, temporary = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
            with open(descriptor, "wb") as file:
                file.write(build())
            os.rename(temporary, path)
        return [{"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]
