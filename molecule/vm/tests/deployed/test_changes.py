# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of options and lists on machines that are pinged meanwhile."""

BLOCKED, BLOCKED6, FREE, FREE6 = "203.0.113.66", "2001:db8:bad::66", "203.0.113.5", "2001:db8::5"


def test_no_blocked_ping_is_answered_and_no_other_lost_while_options_and_lists_change(
    everywhere, hosts, deploy, stream
):
    ends = {(source, host): stream(source, host) for host in hosts for source in (BLOCKED, BLOCKED6, FREE, FREE6)}
    more = {"pingkiller_blocklist_more": ["203.0.113.200"], "pingkiller_ratelimit_pps": 1000}
    for variables in ({"pingkiller_events": "dropped", "pingkiller_icmp_types": ["all"], **more}, {}):
        done = deploy(**variables)
        assert done.returncode == 0
        assert all(done.changed.values())
    for (source, host), end in ends.items():
        sent, lost, answers = end()
        assert sent > 20, (source, host)
        if source in (FREE, FREE6):
            assert (lost, answers > 20) == ([], True), (source, host)
        else:
            assert answers == 0, (source, host)
