# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ad hoc commands on a host with PingKiller."""

HOST = "alpha"
testinfra_hosts = [f"ansible://{HOST}"]


def test_blocking_by_hand_works_at_once_and_is_undone_by_hand(module, ping):
    assert ping("203.0.113.99", HOST, patience=5)
    try:
        done = module("xdp_blocklist", ip="203.0.113.99", state="present")
        assert done["changed"]
        assert done["added"] == ["203.0.113.99"]
        assert not module("xdp_blocklist", ip="203.0.113.99", state="present")["changed"]
        assert not ping("203.0.113.99", HOST)
    finally:
        done = module("xdp_blocklist", ip="203.0.113.99", state="absent")
    assert done["removed"] == ["203.0.113.99"]
    assert ping("203.0.113.99", HOST, patience=5)


def test_check_mode_of_blocking_by_hand_predicts_and_blocks_nothing(module, ping):
    done = module("xdp_blocklist", check=True, ip="203.0.113.98")
    assert done["changed"]
    assert done["added"] == ["203.0.113.98"]
    assert ping("203.0.113.98", HOST, patience=5)


def test_bad_address_is_refused_by_name(module, facts):
    before = facts()["lists"]["blocklist"]["count"]
    done = module("xdp_blocklist", ip="203.0.113.97,300.1.1.1")
    assert not done["changed"]
    assert "300.1.1.1" in done["msg"]
    assert facts()["lists"]["blocklist"]["count"] == before
