# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``pingkiller`` on a host, which the units that restore filters call as well.

A subcommand is a file with a function ``add``, which is called here. A subcommand that compiles imports what it needs
when it runs, so that the others start quickly.
"""

from __future__ import annotations

import argparse
import sys

from .. import VERSION
from ..errors import PingKillerError
from ..kernel import access
from . import entries, output, restoring, stats, status, trace
from .exit_status import ERROR, FINE, INTERRUPTED

_SUBCOMMANDS = (status, stats, entries, restoring, trace)

_DESCRIPTION = """\
Show PingKiller on this host: the XDP filters on its interfaces, what they dropped, and the lists that they use. Restore
filters and lists after a boot, as the host's own units do. Needs root.

Ansible decides which filters and entries a host has; this command does not change them. To block an address from here,
use the module: ansible localhost -c local -m pingkiller.fleet.xdp_blocklist -a ip=203.0.113.9
"""
_ENDING = """\
exit status:
  0   fine
  1   something could not be done or read; a message on standard error says what
  2   the command line is wrong
  3   status, check: the host does not have what it should have

files:
  /etc/pingkiller/host.json, filters/, entries/    the filters and entries that are restored at boot
  /etc/pingkiller/owners.json                      the owners of the filters, restored or not
  /etc/pingkiller/allowlist, blocklist             the inventory's lists
  /sys/fs/bpf/pingkiller/                          the maps of filters and lists
  pingkiller.service                               restores filters and lists at boot, before the network
  pingkiller@INTERFACE.service                     restores the filter of an interface that appears later

examples:
  pingkiller status                    does it filter?
  pingkiller stats                     what did it drop, and why?
  pingkiller list blocklist            what is blocked, and for which owner?
  pingkiller check || echo drift       does the host still have what it should have?
  pingkiller stats --json | jq .filters.eth0.counters.dropped.packets
  pingkiller trace syscalls --latency  what do processes ask of the kernel, and how long does it take?
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Return its exit status."""
    output.open_missing_streams()
    given = _parser().parse_args(arguments)
    try:
        access.require_root("run it as root, for example with sudo")
        result: int = given.run(given)
        sys.stdout.flush()
        return result
    except PingKillerError as error:
        output.complain(str(error))
    except BrokenPipeError:  # the reader has seen enough
        output.drop()
        return FINE
    except OSError as error:
        output.complain(f"a system call failed ({error}): fix the cause and run this again")
        output.drop()
    except KeyboardInterrupt:
        return INTERRUPTED
    return ERROR


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="pingkiller",
        description=_DESCRIPTION,
        epilog=_ENDING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"pingkiller {VERSION}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for subcommand in _SUBCOMMANDS:
        subcommand.add(commands)
    return top
