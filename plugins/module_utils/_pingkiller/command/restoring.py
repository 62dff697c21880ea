# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller apply`` and ``pingkiller check``: restore the wanted state, or say what is missing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..kept.directory import Store
from . import output, parsers, runtime
from .exit_status import ERROR, FINE, NOT_AS_WANTED
from .output import Found

if TYPE_CHECKING:
    from ..boot.run import Outcome

_APPLY = """\
Restore the wanted filters that are missing, and the wanted entries of the lists with their remaining time. Removes nothing.
Filters that run as wanted are left alone, and nothing is compiled for them.
"""
_APPLY_ENDING = """\
What can be restored is restored even if something else cannot. An interface that is missing is no failure.

examples:
  pingkiller apply
  pingkiller apply --interface eth0    only the filters of eth0
"""
_CHECK = """\
Show what apply would restore, and which filters of the role were removed by hand. Changes nothing.
"""
_CHECK_ENDING = """\
exit status: 3 if anything is missing or different

examples:
  pingkiller check || echo drift
  pingkiller check --json | jq -r '.changed[]'
"""


def fill_apply(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of ``apply``."""
    parsers.fill(parser, run=_apply, description=_APPLY, ending=_APPLY_ENDING)
    parsers.add_config(parser)
    parser.add_argument(
        "--interface", metavar="NAME", help="only the filters of this interface; no error if it should have none"
    )
    parsers.add_lock_timeout(parser)


def fill_check(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of ``check``."""
    parsers.fill(parser, run=_check, description=_CHECK, ending=_CHECK_ENDING)
    parsers.add_config(parser)
    parsers.add_lock_timeout(parser)


def _apply(given: argparse.Namespace) -> int:
    # In the name of a unit a dash stands for a slash, which no interface's name has.
    interface = given.interface and given.interface.replace("/", "-")
    outcome = _restore(given, interface, check=False)
    output.write(given, outcome._asdict(), lambda found: _lines(found, "restored"))
    return ERROR if outcome.errors else FINE


def _check(given: argparse.Namespace) -> int:
    outcome = _restore(given, None, check=True)
    output.write(given, outcome._asdict(), lambda found: _lines(found, "missing or different"))
    if outcome.errors:
        return ERROR
    return NOT_AS_WANTED if outcome.changed or outcome.absent or outcome.lost else FINE


def _restore(given: argparse.Namespace, interface: str | None, *, check: bool) -> Outcome:
    from ..boot import restore  # imports what plans a change, which the other subcommands do not need

    outcome = restore.restore(
        Store(given.config), runtime.sources(), interface=interface, check=check, lock_timeout=given.lock_timeout
    )
    for error in outcome.errors:
        output.complain(error)
    return outcome


def _lines(found: Found, changed: str) -> list[str]:
    lines = [f"{changed}: {each}" for each in found["changed"]]
    lines += [f"not there yet: the interface of the filter on {name}" for name in found["absent"]]
    lines += [f"lost: the filter on {name}; deploy again to restore it" for name in found["lost"]]
    lines += [f"note: {each}" for each in found["warnings"]]
    return lines or ([] if found["errors"] else ["as wanted"])
