# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime
short_description: Build the archive that installs the command pingkiller, as a file on the controller
version_added: 0.1.0
description:
  - Builds the runtime and returns its path. The runtime is an archive that Python can run, to install the command or to remove it.
  - The archive has the collection's host-side library, its C sources, the manual page and the completion.
  - The same version of the collection builds the same bytes on every controller. The file is deleted when Ansible ends.
  - Only the role uses this lookup. It has no other use.
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Install the command pingkiller
  ansible.builtin.script:
    cmd: "{{ lookup('pingkiller.fleet.runtime').path }} install"
    executable: /usr/bin/python3 -I
"""

RETURN = r"""
_raw:
  description: One mapping with the C(path) of the file, and the C(mark) that the role's look at a host has to find if the command is installed.
  type: list
  elements: dict
"""

import os
import tempfile
from pathlib import Path

from ansible import constants
from ansible.plugins.lookup import LookupBase

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import build, mark


class LookupModule(LookupBase):
    """Builds the files only once. Ansible calls this plugin for each host, in separate processes."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        archive, its_mark = (Path(constants.DEFAULT_LOCAL_TMP) / name for name in ("pingkiller", "pingkiller.mark"))
        if not archive.exists():
            _write(its_mark, mark().encode())
            _write(archive, build())
        return [{"path": str(archive), "mark": its_mark.read_text()}]


def _write(path: Path, content: bytes) -> None:
    """Write a file, completely or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with open(descriptor, "wb") as file:
        file.write(content)
    os.rename(temporary, path)
