# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the report of a fleet, and beside it what the next report is compared with."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import VERSION
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError, quoted_path
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.files.replacing import replace
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _report_since
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_page import BEGINNING, page, render
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import read

_RECORD = ".json"


class Written(NamedTuple):
    """A report that was written, or in check mode would have been."""

    path: str
    record: str
    size: int  #: bytes
    message: str


def write(answers: Mapping[str, object], path: str, *, check: bool) -> Written:
    """Write the report of the hosts' answers (results of the module xdp_status_info) to a file. With ``check``, write nothing.

    Raises PingKillerError before anything is written if that cannot be done.
    """
    target, beside = places(path)
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    statuses = read(answers)
    before, not_compared = _report_since.read(beside)
    since = _report_since.compare(statuses, before) if before else None
    shown = page(statuses, made=made, version=VERSION, since=since, not_compared=not_compared)
    text = render(shown)
    if not check:
        _replace(target, text)
        if _report_since.is_ours(beside):
            _replace(beside, _report_since.record(statuses, made, before))
    done = "Would write" if check else "Wrote"
    message = f"{done} {quoted_path(target)}: {shown.headline}. {not_compared}".rstrip()
    return Written(target, beside, len(text.encode()), message)


def places(path: str) -> tuple[str, str]:
    """Return the paths of the report and of its record, after checking that they can be written."""
    if not path.strip() or "\0" in path:
        raise PingKillerError(
            f"pingkiller_report={quoted_path(path)} names no file: give a path like ./pingkiller-report.html"
        )
    target = os.path.realpath(os.path.expanduser(path))
    root, suffix = os.path.splitext(target)
    if suffix == _RECORD:
        raise PingKillerError(
            f"pingkiller_report={quoted_path(path)} ends in {_RECORD}, as the record beside a report does: write .html"
        )
    directory = os.path.dirname(target)
    if not os.path.isdir(directory):
        raise PingKillerError(
            f"{quoted_path(directory)}, where the report was to go, is no directory: make it, or name another"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PingKillerError(
            f"{quoted_path(directory)}, where the report was to go, cannot be written to: name another directory, or change its mode"
        )
    if path.endswith("/") or (os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode)):
        raise PingKillerError(f"pingkiller_report={quoted_path(path)} is no file: give the path of one, or of none yet")
    if os.path.exists(target) and not _may_replace(target):
        raise PingKillerError(
            f"{quoted_path(target)} is a file that no report has written, so it stays: name another, or move it away"
        )
    return target, root + _RECORD


def _may_replace(path: str) -> bool:
    """Return whether a file is empty or a report, so that a mistyped path costs nobody a file."""
    try:
        with open(path, "rb") as file:
            return file.read(len(BEGINNING)) in (b"", BEGINNING)
    except OSError as error:
        raise PingKillerError(
            f"{quoted_path(path)}, which the report is to replace, cannot be read ({error.strerror}): name another file"
        ) from error


def _replace(path: str, text: str) -> None:
    mask = os.umask(0)
    os.umask(mask)
    try:
        replace(path, [text], mode=0o666 & ~mask)
    except OSError as error:
        raise PingKillerError(
            f"{quoted_path(path)} could not be written ({error.strerror}): see to that, and run again"
        ) from error
