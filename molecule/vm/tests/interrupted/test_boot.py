# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that boot with something changed since PingKiller was deployed."""

import pytest

BLOCKED, FREE, FREE6 = "203.0.113.66", "203.0.113.5", "2001:db8::5"
BCC = "/usr/lib/python3/dist-packages/bcc"


@pytest.fixture
def without_compiler(everywhere, shell):
    """Hide BCC, without which no filter can be compiled, as a failed upgrade may."""
    try:
        everywhere(lambda host: shell(host, f"mv {BCC} /root/bcc"))
        yield
    finally:
        everywhere(lambda host: shell(host, f"mv /root/bcc {BCC}; systemctl restart pingkiller.service"))


@pytest.mark.usefixtures("without_compiler")
def test_what_cannot_be_restored_is_loud_and_keeps_neither_the_lists_nor_the_machine_from_coming_up(
    everywhere, run_tool, shell, answered
):
    for host, done in everywhere(lambda host: run_tool("reboot", host)).items():
        assert f"{host} is up, but some of its units failed: pingkiller.service" in done.stderr, done.stderr
        assert "BCC" in shell(host, "journalctl --boot --priority=err --unit=pingkiller.service --output=cat")
        assert BLOCKED in shell(host, "pingkiller list blocklist")
        assert shell(host, "ip link show | grep prog/xdp; ls /sys/fs/bpf/pingkiller/filters || true") == ""
    everybody = (BLOCKED, FREE, FREE6)
    assert set(map(tuple, everywhere(lambda host: answered(host, everybody, ())).values())) == {everybody}


def test_filter_is_in_the_driver_again_where_that_takes_the_mtu_again(everywhere, facts_of):
    """Before the boot, the MTU was too large."""
    assert {facts["filters"]["eth1"]["mode"] for facts in everywhere(facts_of).values()} == {"native"}
