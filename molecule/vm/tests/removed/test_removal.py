# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines from which PingKiller has been removed."""

import json

FREE, FREE6 = "203.0.113.5", "2001:db8::5"
BLOCKED, BLOCKED6 = "203.0.113.66", "2001:db8:bad::66"


def test_every_source_is_answered(everywhere, answered):
    everybody = (FREE, FREE6, BLOCKED, BLOCKED6)
    assert set(map(tuple, everywhere(lambda host: answered(host, everybody, ())).values())) == {everybody}


def test_no_program_map_or_pin_is_left(everywhere, on):
    look = "ip -d link | grep -c prog/xdp; find /sys/fs/bpf -mindepth 1 | grep -c ."
    assert set(everywhere(lambda host: on(host, "sh", "-c", look)).values()) == {"0\n0\n"}


def test_disks_are_as_they_were_before_the_first_deployment(everywhere, disk, remembered):
    before = json.loads(remembered.read_text())
    for host, found in everywhere(disk).items():
        assert {path: tuple(what) for path, what in before[host].items()} == found


def test_nothing_of_it_comes_back_with_a_reboot(everywhere, run_tool, on):
    everywhere(lambda host: run_tool("reboot", host))
    look = "ip -d link | grep -c prog/xdp; systemctl list-units --all --plain --no-legend 'pingkiller*' | grep -c ."
    assert set(everywhere(lambda host: on(host, "sh", "-c", look)).values()) == {"0\n0\n"}
