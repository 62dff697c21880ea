# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller block``, ``unblock`` and ``flush``: change a list, as the modules xdp_blocklist and xdp_allowlist do."""

from __future__ import annotations

import argparse

from . import list_parsers, parsers
from .exit_status import FINE
from .output import Found

OWNER = "local"  #: of entries from this command. The modules' is adhoc, so one sees who has blocked what
_INVENTORY = "inventory"  #: the owner of the role's entries
_FEW = 20  #: entries that are shown

_BLOCK = """\
Put addresses, networks or ranges on the blocklist, or with --list allowlist on the allowlist, while packets flow. An entry
that is already there for this owner gets the ttl and the direction that are given now.
"""
_BLOCK_ENDING = """\
Prints what was done in one line, and the entries that changed if they are at most 20. Warnings, such as of an entry that
has no effect, are on standard error. The exit status is 0 also if everything was there already.

Only ICMP is dropped: block in the firewall as well what must not reach the host at all.

examples:
  pingkiller block 203.0.113.9 --ttl 1h
  pingkiller block 198.51.100.0/24 192.0.2.10-192.0.2.19 2001:db8:bad::/48
  pingkiller block 198.51.100.10 --list allowlist     never drop anything from there
  pingkiller block 203.0.113.9 --check                what would it do?
"""
_UNBLOCK = """\
Take addresses, networks or ranges off the blocklist, or with --list allowlist off the allowlist. What other owners want
stays, and a warning names them, unless --any-owner is given.
"""
_UNBLOCK_ENDING = """\
Prints what was done in one line, and the entries that changed if they are at most 20. Warnings, such as of an address that
a network still covers, are on standard error. The exit status is 0 also if nothing of it was there.

examples:
  pingkiller unblock 203.0.113.9
  pingkiller unblock 203.0.113.9 --any-owner          whoever had blocked it
  pingkiller unblock 203.0.113.9 --owner fail2ban.sshd
"""
_FLUSH = """\
Remove all entries that an owner has on the blocklist, or with --list allowlist on the allowlist, now and of what is restored
at boot. An entry that other owners want, too, stays for these.
"""
_FLUSH_ENDING = """\
Prints what was done in one line, and the entries that went if they are at most 20. The exit status is 0 also if the owner had
nothing.

examples:
  pingkiller flush --owner local
  pingkiller flush --owner fail2ban.sshd --check      what would it remove?
"""


def fill_block(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of ``block``."""
    _fill(parser, _BLOCK, _BLOCK_ENDING)
    parser.add_argument("ip", nargs="+", metavar="IP", help="an address, a network or a range, IPv4 or IPv6")
    parser.add_argument("--ttl", help="how long: 90s, 10m, 1h, 2d, 1w (for good)")
    parser.add_argument("--owner", metavar="NAME", default=OWNER, help="whose entry it is (%(default)s)")
    list_parsers.add_direction(parser, "which address of a packet has to match (src)")
    list_parsers.add_entry_options(parser)
    parser.set_defaults(absent=False)


def fill_unblock(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of ``unblock``."""
    _fill(parser, _UNBLOCK, _UNBLOCK_ENDING)
    parser.add_argument("ip", nargs="+", metavar="IP", help="an address, a network or a range, IPv4 or IPv6")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--owner", metavar="NAME", default=OWNER, help="whose entry it is (%(default)s)")
    whose.add_argument("--any-owner", action="store_true", help="remove it whoever owns it")
    list_parsers.add_direction(parser, "only this direction of it (both)")
    parser.set_defaults(absent=True)


def fill_flush(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of ``flush``."""
    _fill(parser, _FLUSH, _FLUSH_ENDING)
    parser.add_argument("--owner", metavar="NAME", required=True, help="whose entries go")
    parser.set_defaults(absent=True, everything=True)


def _fill(parser: argparse.ArgumentParser, description: str, ending: str) -> None:
    parsers.fill(parser, run=_run, description=description, ending=ending)
    parser.add_argument("--check", action="store_true", help="change nothing, and show what a run would do")
    list_parsers.add_list(parser)
    parsers.add_config(parser)
    parsers.add_lock_timeout(parser)


def _run(given: argparse.Namespace) -> int:
    from ..kept.directory import Store
    from ..lists.change import change_list
    from ..lists.request import ListRequest
    from . import host, output

    store = Store(given.config)
    asked = {name: getattr(given, name) for name in ListRequest._fields if name in given}
    request = ListRequest(**{**asked, "name": given.list, "store": store})
    result = change_list(host.base(store), request, check=given.check, lock_timeout=given.lock_timeout)
    output.write(given, result, lambda found: _lines(found, given))
    for warning in result["warnings"]:
        output.warn(warning)
    if request.everything and given.owner == _INVENTORY:
        output.warn(
            "the next deployment puts the entries of the inventory back: change the inventory to be rid of them"
        )
    return FINE


def _lines(result: Found, given: argparse.Namespace) -> list[str]:
    changes = [name for name in ("added", "updated", "removed") if result[f"{name}_count"]]
    numbers = ", ".join(f"{result[f'{name}_count']} {name}" for name in changes)
    if not numbers:
        numbers = "only what is restored at boot changed" if result["changed"] else "nothing to change"
    would = "would be " if given.check and result["changed"] else ""
    shown = [f"    {name}: {ip}" for name in changes for ip in result[name]]
    few = sum(result[f"{name}_count"] for name in changes) <= _FEW
    return [f"{given.list}: {would}{numbers}; {result['count']} in all", *(shown if few else [])]
