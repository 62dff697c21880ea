# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebooting a host from which PingKiller has been removed."""

import json


def test_nothing_comes_back_with_a_boot(reboot, on):
    assert reboot("alpha") == "running"
    assert [link for link in json.loads(on("alpha", "ip", "-j", "-d", "link")) if "xdp" in link] == []
    assert on("alpha", "ls", "-A", "/sys/fs/bpf").split() == ["maps.debug", "progs.debug"]
    assert "pingkiller" not in on("alpha", "systemctl", "list-units", "--all", "--plain")
