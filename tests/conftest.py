# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up all suites: clean up on SIGTERM, begin with long tests, and let a slow machine run only some of the tests."""

from __future__ import annotations

import signal


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, metavar="N", help="run only every Nth test, on a slow machine")
    parser.addoption("--begin", type=int, default=0, metavar="M", help="begin with the test after so many")
    parser.addoption("--of", default="", metavar="FILE", help="of this file; of the others run all tests")


def pytest_configure(config):
    # After SIGTERM a run cleans up as it does after Ctrl-C. A job in the background ignores SIGINT and SIGQUIT, and so would all
    # that tests start: here they begin as in a terminal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    # BCC warns if it is given text instead of bytes.
    config.addinivalue_line("filterwarnings", "ignore:not a bytes object:DeprecationWarning:bcc")


def pytest_collection_modifyitems(config, items):
    many = [item for item in items if config.getoption("--of") in item.nodeid]
    left_out = set(many) - set(many[config.getoption("--begin") :: config.getoption("--every")])
    # A long test that comes last would keep one processor busy while the others have nothing left.
    items[:] = sorted(
        (item for item in items if item not in left_out), key=lambda item: not item.get_closest_marker("slow")
    )
