# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filtering on hosts with the inventory's lists."""

import pytest

HOSTS = ("alpha", "bravo", "charlie")
WEB = ("alpha", "bravo")

# Source -> hosts that list it. tools/fleet writes the inventory.
LISTED = {
    "203.0.113.66": HOSTS,
    "2001:db8:bad::66": HOSTS,
    "198.51.100.7": WEB,
    "192.0.2.1": ("charlie",),
    "203.0.113.11": ("alpha",),
    "203.0.113.12": ("bravo",),
    "203.0.113.13": ("charlie",),
}
NOT_LISTED = ("203.0.113.5", "2001:db8::5")
ALLOWED = "198.51.100.10"


@pytest.mark.parametrize(("source", "host"), [(source, host) for source, hosts in LISTED.items() for host in hosts])
def test_listed_source_is_refused(ping, source, host):
    assert not ping(source, host)


@pytest.mark.parametrize(
    ("source", "host"), [(source, host) for source, hosts in LISTED.items() for host in HOSTS if host not in hosts]
)
def test_source_listed_for_other_hosts_only_is_answered(ping, source, host):
    assert ping(source, host, patience=5)


@pytest.mark.parametrize("source", NOT_LISTED)
@pytest.mark.parametrize("host", HOSTS)
def test_source_on_no_list_is_answered(ping, source, host):
    assert ping(source, host, patience=5)


@pytest.mark.parametrize("host", WEB)
def test_allowed_source_inside_a_blocked_network_is_answered(ping, host):
    assert ping(ALLOWED, host, patience=5)


@pytest.mark.parametrize("host", HOSTS)
def test_tcp_from_a_blocked_source_passes(guest, ssh_config, host):
    done = guest("ssh", "-F", ssh_config, "-b", "203.0.113.66", host, "hostname")
    assert done.stdout.strip() == host, done.stderr


def test_fragmented_ping_from_a_blocked_source_is_refused(ping):
    assert not ping("203.0.113.66", "alpha", "-s", "4000")
    assert not ping("2001:db8:bad::66", "alpha", "-s", "4000")


def test_fragmented_ping_from_another_source_is_answered(ping):
    assert ping("203.0.113.5", "alpha", "-s", "4000", patience=5)
    assert ping("2001:db8::5", "alpha", "-s", "4000", patience=5)
