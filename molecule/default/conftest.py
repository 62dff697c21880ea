# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests run at the same time."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests about one host run beside those about another. All the others are about all hosts, and run one by one."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(getattr(item.module, "HOST", "all")))
