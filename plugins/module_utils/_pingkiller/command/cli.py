# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``pingkiller`` on a host, which the units that restore filters call as well."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys

from .. import CONFIG_DIRECTORY, VERSION
from ..boot import restore
from ..boot.run import Outcome
from ..errors import PingKillerError, on_screen, printable, quoted
from ..kept import filter_notes
from ..kept.directory import Store
from ..kernel import access, schema
from ..report import facts
from ..store import filter_programs, hooks
from ..store.paths import DEFAULT_BASE
from . import runtime
from . import trace as trace_command

FINE, ERROR, USAGE, NOT_AS_WANTED = 0, 1, 2, 3
_ALL = 1 << 62  #: more entries than any list holds

_DESCRIPTION = """\
Look at PingKiller on this host: the XDP filters on its interfaces, what they dropped, and the lists they go by. And
bring back what a boot took away, as the host's own units do. Needs root.

What is wanted on a host is decided where Ansible runs; this command decides nothing. To block an address from here, use
the module: ansible localhost -c local -m pingkiller.fleet.xdp_blocklist -a ip=203.0.113.9
"""
_ENDING = """\
exit status:
  0   fine
  1   something could not be done or read; a sentence on standard error says what
  2   the command line is wrong
  3   status, check: the host is not as wanted

files:
  /etc/pingkiller/host.json, filters/, entries/    what is wanted, and restored at boot
  /etc/pingkiller/owners.json                      whose a filter is, restored or not
  /etc/pingkiller/allowlist, blocklist             the inventory's lists
  /sys/fs/bpf/pingkiller/                          the maps that filters and lists live in
  pingkiller.service                               restores all at boot, before the network
  pingkiller@INTERFACE.service                     restores the filter of an interface that appears later

examples:
  pingkiller status                    is it on?
  pingkiller stats                     what did it drop, and why?
  pingkiller list blocklist            what is blocked, and for whom?
  pingkiller check || echo drift       does a monitoring system have to call somebody?
  pingkiller stats --json | jq .filters.eth0.counters.dropped.packets
  pingkiller trace syscalls --latency  what do processes ask of the kernel, and how long does it take?
"""


def main(arguments: list[str] | None = None) -> int:
    _open_missing_streams()
    given = _parser().parse_args(arguments)
    try:
        access.require_root("run it as root, for example with sudo")
        status = given.run(given)
        sys.stdout.flush()
        return status
    except PingKillerError as error:
        _complain(str(error))
    except BrokenPipeError:  # whoever read this has seen enough
        _drop_output()
        return FINE
    except OSError as error:
        _complain(f"the host refused what PingKiller asked of it: {error}")
        _drop_output()
    except KeyboardInterrupt:
        return 130
    return ERROR


def _open_missing_streams() -> None:
    """Whoever starts this may have closed them, and Python has None in their place."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - it stays open
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - it stays open


def _drop_output() -> None:
    """What could not be written: Python would try again when it ends, and complain a second time."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(sentence: str) -> None:
    """In the journal as an error; systemd takes the number for that."""
    sys.stderr.write(("<3>" if "JOURNAL_STREAM" in os.environ else "pingkiller: ") + on_screen(sentence) + "\n")


# Command line


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="pingkiller",
        description=_DESCRIPTION,
        epilog=_ENDING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"pingkiller {VERSION}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(commands, "status", _status, "Show the filters, their mode and options, and how full the lists are.")
    _add(commands, "stats", _stats, "Show what each filter passed and dropped and why, and the busiest entries.")
    listing = _add(commands, "list", _list, "Show the entries of the lists, one a line, as a list file has them.")
    listing.add_argument("list", nargs="?", choices=schema.LISTS, help="one of the lists (both unless given)")
    listing.add_argument("--limit", type=_count, default=_ALL, metavar="N", help="at most so many of each list")
    applying = _add(
        commands,
        "apply",
        _apply,
        "Bring back what is wanted and missing: filters, and entries of the lists with what is left of their time. "
        "Takes nothing away. What runs as wanted is left alone, and nothing is compiled for it.",
    )
    applying.add_argument(
        "--interface", metavar="NAME", help="only the filters of this interface; fine if none is wanted there"
    )
    for each in (applying, _add(commands, "check", _check, "Say what apply would bring back, and change nothing.")):
        each.add_argument(
            "--lock-timeout",
            type=float,
            default=30.0,
            metavar="SECONDS",
            help="how long to wait for another run of PingKiller to end (%(default)s)",
        )
    trace_command.add(commands)
    return top


def _add(commands, name: str, run, description: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=description.partition(".")[0], description=description)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")
    parser.add_argument(
        "--config",
        metavar="DIRECTORY",
        default=CONFIG_DIRECTORY,
        help="where the wanted state is (%(default)s)",
    )
    parser.set_defaults(run=run)
    return parser


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of entries: give 0 or more")
    return int(text)


# Looking


def _collect(store: Store, list_limit: int = 0, top: int = 0) -> dict:
    return facts.collect(filter_notes.host(store).get("base", DEFAULT_BASE), list_limit=list_limit, top=top)


def _status(given) -> int:
    store = Store(given.config)
    found = _collect(store)
    noted, broken = _noted(store)
    owned = set(map(filter_programs.own_name, filter_notes.owners(store)))
    filters = {
        name: {
            "wanted": name in noted or name in owned,
            "restored_at_boot": name in noted,
            **_shown_filter(found["filters"].get(name, {})),
        }
        for name in sorted({*noted, *owned, *found["filters"]})
    }
    lists = {name: {"count": each["count"], "capacity": each["capacity"]} for name, each in found["lists"].items()}
    shown = {"version": VERSION, "kernel": found["kernel"], "filters": filters, "lists": lists, "notes": found["notes"]}
    _print(given, shown, _status_text)
    for error in broken:
        _complain(error)
    if broken:
        return ERROR
    missing = any(each["wanted"] and each["mode"] == "none" for each in filters.values())
    return NOT_AS_WANTED if missing else FINE


def _noted(store: Store) -> tuple[set[str], list[str]]:
    """The names of the filters that are restored at boot, and what is wrong with the files that say so."""
    names, broken = set(), []
    try:
        filter_notes.check_there(store)
    except PingKillerError as error:
        broken.append(str(error))
    for interface in store.names("filters"):
        try:
            own = filter_programs.own_name(interface)
            names |= {hooks.filter_name(own, hook) for hook in filter_notes.filters(store, interface)}
        except PingKillerError as error:
            broken.append(str(error))
    return names, broken


def _shown_filter(each: dict) -> dict:
    names = ("mode", "mode_reason", "program", "build_id", "options")
    return {"mode": "none", **{name: each[name] for name in names if each.get(name)}}


def _status_text(shown: dict) -> list[str]:
    lines = [f"PingKiller {shown['version']}, Linux {shown['kernel']}"]
    for name, each in shown["filters"].items():
        since = f" since {each['program']['loaded_at']}" if each.get("program") else ""
        beside = "" if each["restored_at_boot"] else ", not restored at boot"
        monitors = ", monitors only and drops nothing" if each.get("options", {}).get("monitor") else ""
        lines.append(f"filter {name}: {each['mode']}{since}{monitors}{beside}")
        lines += [f"    {option}: {_plain(value)}" for option, value in each.get("options", {}).items()]
    if not shown["filters"]:
        lines.append("no filter")
    lines += [f"{name}: {each['count']} of {each['capacity']} entries" for name, each in shown["lists"].items()]
    return lines + [f"note: {note}" for note in shown["notes"]]


def _plain(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


def _stats(given) -> int:
    found = _collect(Store(given.config), list_limit=10, top=10)
    names = ("counters", "processing_time", "ratelimit", "events")
    shown = {
        "filters": {name: {part: each[part] for part in names} for name, each in found["filters"].items()},
        "top": {name: each["top"] for name, each in found["lists"].items()},
    }
    _print(given, shown, _stats_text)
    return FINE


def _stats_text(shown: dict) -> list[str]:
    lines = []
    for name, each in shown["filters"].items():
        lines += [f"filter {name}", *_counter_lines(each["counters"])]
        for part in ("processing_time", "ratelimit", "events"):
            if each[part]:
                lines.append(f"    {part}: {json.dumps(each[part])}")
    for name, entries in shown["top"].items():
        lines += [f"{name}, busiest first"] if entries else []
        lines += ["    " + _entry_line(entry) for entry in entries]
    return lines or ["no filter"]


def _counter_lines(counters: dict) -> list[str]:
    """Each sum with its reasons below it. What monitor mode would have dropped is among what passed."""
    reasons, would_drop = counters["reasons"], counters["would_drop"]
    dropped = {reason: reasons[reason] for reason in schema.DROP_REASONS}
    passed = {reason: reasons[reason] for reason in schema.PASS_REASONS}
    lines = [f"    passed: {_amount(counters['passed'])}", *_reason_lines(passed)]
    if would_drop["packets"]:
        lines += [f"        would have dropped: {_amount(would_drop)}"]
        lines += ["    " + line for line in _reason_lines(would_drop["reasons"])]
    return [*lines, f"    dropped: {_amount(counters['dropped'])}", *_reason_lines(dropped)]


def _reason_lines(reasons: dict) -> list[str]:
    return [
        f"        {reason} {family}: {_amount(cell)}"
        for reason, by_family in reasons.items()
        for family, cell in by_family.items()
        if cell["packets"]
    ]


def _amount(cell: dict) -> str:
    return f"{cell['packets']} packets, {cell['bytes']} bytes"


def _list(given) -> int:
    found = _collect(Store(given.config), list_limit=given.limit)
    shown = {name: each for name, each in found["lists"].items() if given.list in (None, name)}
    _print(given, {name: {**each, "top": None} for name, each in shown.items()}, _list_text)
    return FINE


def _list_text(shown: dict) -> list[str]:
    lines = []
    for name, each in shown.items():
        lines.append(f"# {name}: {each['count']} of {each['capacity']} entries")
        lines += [_entry_line(entry) for entry in each["entries"]]
    return lines


def _entry_line(entry: dict) -> str:
    """As in a list file, with what such a file does not say as a comment."""
    ttl = f" ttl={entry['expires_in']}" if entry["expires_in"] is not None else ""
    seen = f", last seen {entry['last_seen']}" if entry["last_seen"] else ""
    owners = ", ".join(entry["owners"])
    return f"{entry['ip']} direction={entry['direction']}{ttl}  # {owners}; {_amount(entry)}{seen}"


# Restoring


def _apply(given) -> int:
    # In the name of a unit a dash stands for a slash, which no interface's name has.
    interface = given.interface and given.interface.replace("/", "-")
    outcome = _restore(given, interface, check=False)
    _print(given, outcome._asdict(), lambda shown: _outcome_text(shown, "restored"))
    return ERROR if outcome.errors else FINE


def _check(given) -> int:
    outcome = _restore(given, None, check=True)
    _print(given, outcome._asdict(), lambda shown: _outcome_text(shown, "missing or different"))
    if outcome.errors:
        return ERROR
    return NOT_AS_WANTED if outcome.changed or outcome.absent or outcome.lost else FINE


def _restore(given, interface: str | None, check: bool) -> Outcome:
    outcome = restore.restore(
        Store(given.config), runtime.sources(), interface=interface, check=check, lock_timeout=given.lock_timeout
    )
    for error in outcome.errors:
        _complain(error)
    return outcome


def _outcome_text(shown: dict, changed: str) -> list[str]:
    lines = [f"{changed}: {each}" for each in shown["changed"]]
    lines += [f"not there yet: the interface of the filter on {name}" for name in shown["absent"]]
    lines += [f"lost: the filter on {name}; deploy again to have it back" for name in shown["lost"]]
    lines += [f"note: {each}" for each in shown["warnings"]]
    return lines or ([] if shown["errors"] else ["as wanted"])


def _print(given, found: dict, text) -> None:
    sys.stdout.write((json.dumps(found, indent=2) if given.json else "\n".join(map(printable, text(found)))) + "\n")
