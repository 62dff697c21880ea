# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``pingkiller`` on a host, which the units that restore filters call as well.

A subcommand is a file with a function ``fill``, which completes its parser. Only the file of the subcommand that is called
is imported, so that it starts quickly.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NamedTuple, NoReturn

from .. import VERSION
from ..errors import PingKillerError
from ..kernel import access
from . import output, parsers
from .exit_status import ERROR, FINE, INTERRUPTED


class _Subcommand(NamedTuple):
    """Where a subcommand is, and what the help says about it."""

    file: str  #: the name of the file in this room
    summary: str
    fill: str = "fill"  #: the name of the function that completes its parser


_SUBCOMMANDS = {
    "status": _Subcommand("status", "Show the filters, their mode and options, and how full the lists are"),
    "stats": _Subcommand("stats", "Show what each filter passed and dropped and why, and the busiest entries"),
    "top": _Subcommand("top", "Show what the filters do now, live: rates, reasons, processing times, busiest entries"),
    "list": _Subcommand("entries", "Show the entries of the lists"),
    "explain": _Subcommand("explain", "Explain why pings of an address pass here or are dropped"),
    "block": _Subcommand("acting", "Put addresses on the blocklist, or on the allowlist", fill="fill_block"),
    "unblock": _Subcommand("acting", "Take addresses off the blocklist, or off the allowlist", fill="fill_unblock"),
    "flush": _Subcommand("acting", "Remove all entries of an owner", fill="fill_flush"),
    "stream": _Subcommand("stream", "Block and unblock what standard input says, line by line"),
    "validate": _Subcommand("validate", "Say whether a list file is one that the lists can take"),
    "events": _Subcommand("events", "Show packets that the filters report, one on each line, as they come"),
    "metrics": _Subcommand("metrics", "Write counters and states in the text format of Prometheus"),
    "health": _Subcommand("health", "Say in one line whether this host filters as it should, for Nagios and Zabbix"),
    "check": _Subcommand("restoring", "Show what apply would restore, and change nothing", fill="fill_check"),
    "apply": _Subcommand("restoring", "Restore the wanted filters and entries that are missing", fill="fill_apply"),
    "trace": _Subcommand("trace", "Trace for a while what processes ask of the kernel"),
}

_DESCRIPTION = """\
Show PingKiller on this host: the XDP filters on its interfaces, what they dropped, and the lists that they use. Block and
unblock addresses. Restore filters and lists after a boot, as the host's own units do. Needs root.

Entries have owners. What is blocked here belongs to another owner than the entries of the inventory, so a deployment
leaves it alone. Ansible decides which filters a host has; this command does not change them.
"""
_ENDING = """\
exit status:
  0   fine, also if it was so already
  1   something could not be done or read; a message on standard error says what
  2   the command line is wrong
  3   status, check: the host does not have what it should have (health has other statuses: see its help)

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
  pingkiller top                       what does it drop now?
  pingkiller list blocklist            what is blocked, and for which owner?
  pingkiller explain 203.0.113.9       is it blocked here, and why?
  pingkiller block 203.0.113.9 --ttl 1h
  pingkiller check || echo drift       does the host still have what it should have?
  pingkiller stats --json | jq .filters.eth0.counters.dropped.packets
  pingkiller trace syscalls --latency  what do processes ask of the kernel, and how long does it take?
"""


def run() -> NoReturn:
    """Run the command, and end the process at once: freeing all that was imported takes Python a tenth of the whole time.

    A process that has loaded BCC ends the long way, since BCC puts things in order there.
    """
    status = main()
    if "bcc" in sys.modules:
        raise SystemExit(status)
    try:
        sys.stdout.flush()  # in case of an error, main has not done this
    except OSError:
        output.drop()
    sys.stderr.flush()
    os._exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Return its exit status."""
    output.open_missing_streams()
    words = sys.argv[1:] if arguments is None else arguments
    given = parser(only=words[0] if words else None).parse_args(words)
    try:
        if given.root:
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


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line. If ``only`` is the name of a subcommand, the others are left out: a parser is not cheap."""
    top = argparse.ArgumentParser(
        prog="pingkiller",
        description=_DESCRIPTION,
        epilog=_ENDING,
        formatter_class=parsers.Formatter,
    )
    top.add_argument("--version", action="version", version=f"pingkiller {VERSION}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in [only] if only in _SUBCOMMANDS else _SUBCOMMANDS:
        subcommand = _SUBCOMMANDS[name]
        own = commands.add_parser(name, help=subcommand.summary, formatter_class=parsers.Formatter)
        if only in (name, None):
            file = importlib.import_module(f".{subcommand.file}", __package__)
            getattr(file, subcommand.fill)(own)
    return top
