# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choice of the tests that run at the same time."""

from xdist.scheduler import LoadScopeScheduling


class ByDirectory(LoadScopeScheduling):
    """Runs the tests of one directory in one process. A directory's tests are about all hosts, or about one."""

    def _split_scope(self, nodeid):
        return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config, log):
    return ByDirectory(config, log)
