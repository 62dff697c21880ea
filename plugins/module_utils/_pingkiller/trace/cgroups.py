# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the cgroup of a systemd unit, or the directory of a cgroup."""

from __future__ import annotations

import os
import subprocess

from ..errors import PingKillerError, quoted, quoted_path

_PATIENCE = 10  #: seconds for systemd to answer


def find(unit: str | None, cgroup: str | None) -> str | None:
    """Return the directory of a unit's cgroup, or of the cgroup; None if neither is given. Raises PingKillerError."""
    path = _of_unit(unit) if unit is not None and cgroup is None else cgroup
    if path is None:
        return None
    if not path:
        raise PingKillerError("cgroup='' is empty: give a path, / for the cgroup of all processes, or leave it out")
    top = _hierarchy()
    directory = os.path.realpath(os.path.join(top, f"{path}/".removeprefix(f"{top}/").lstrip("/")))
    if not os.path.isdir(directory) or not f"{directory}/".startswith(f"{os.path.realpath(top)}/"):
        raise PingKillerError(f"there is no cgroup {quoted_path(path)} below {top}: see systemd-cgls")
    return directory


def _hierarchy() -> str:
    """Return where the cgroups of version 2 are mounted."""
    with open("/proc/self/mountinfo", errors="replace") as file:
        for line in file:
            before, _dash, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                return before.split()[4]
    raise PingKillerError(
        "unit and cgroup need cgroups of version 2, and none are mounted on this host: use pid, user or comm"
    )


def _of_unit(unit: str) -> str:
    try:
        answer = subprocess.run(
            ["systemctl", "show", "--property=ControlGroup", "--value", "--", unit],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise PingKillerError(
            f"unit={quoted(unit)}: systemctl gave no answer ({error}): use cgroup, pid or comm"
        ) from None
    path = answer.stdout.strip()
    if "\n" in path:
        raise PingKillerError(f"unit={quoted(unit)} is a pattern for several units: name one, such as ssh.service")
    if answer.returncode or not path:
        raise PingKillerError(
            f"unit={quoted(unit)} has no cgroup{_reason(answer.stderr)}: name a unit that runs, such as ssh.service"
        )
    return path


def _reason(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return f" ({line})" if line else ""
