# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines on which PingKiller has never been."""

import json


def test_check_mode_touches_nothing_and_the_disk_is_remembered_for_the_removal(everywhere, disk, deploy, remembered):
    before = everywhere(disk)
    predicted = deploy("--check", "--diff")
    assert predicted.returncode == 0
    assert all(predicted.changed.values())
    assert everywhere(disk) == before
    remembered.write_text(json.dumps(before))


def test_no_kernel_headers_are_there(everywhere, on):
    found = everywhere(lambda host: on(host, "sh", "-c", "ls -d /lib/modules/*/build /usr/src/linux-* 2>/dev/null"))
    assert set(found.values()) == {""}
