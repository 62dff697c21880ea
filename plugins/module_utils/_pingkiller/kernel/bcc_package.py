# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether BCC is installed, and which version, without importing it. Check mode, and choosing an interpreter, need no more."""

from __future__ import annotations

import importlib.util
import os
import re

from ..errors import PingKillerError


def directory() -> str | None:
    """Where this interpreter would import BCC from. The package of the same name on PyPI is something else."""
    spec = importlib.util.find_spec("bcc")
    found = os.path.dirname(spec.origin) if spec and spec.origin else ""
    return found if os.path.exists(os.path.join(found, "libbcc.py")) else None


def version() -> str:
    """BCC's version, without the tenth of a second that importing it takes. Raises PingKillerError without BCC."""
    found = directory()
    if not found:
        raise PingKillerError(
            "this host's Python has no BCC: install the package python3-bpfcc (Debian, Ubuntu) or python3-bcc (Red Hat, SUSE)"
        )
    with open(os.path.join(found, "version.py")) as file:
        told = re.search(r"__version__\s*=\s*['\"]([^'\"]+)", file.read())
    return told.group(1) if told else "unknown"
