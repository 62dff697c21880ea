# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cgroup holds the processes of a systemd unit, and where cgroups are."""

from __future__ import annotations

import os
import subprocess

from ..errors import PingKillerError, quoted, quoted_path

_PATIENCE = 10  #: seconds for systemd to answer


def find(unit: str | None, cgroup: str | None) -> str | None:
    """The directory of a unit's cgroup, or of one given by its path; None if neither is. Raises PingKillerError."""
    if unit is None and cgroup is None:
        return None
    top = _hierarchy()
    if cgroup == "":
        raise PingKillerError("cgroup='' names none: give a path, / for the one that holds all, or leave it out")
    path = _of_unit(unit) if cgroup is None else cgroup
    directory = os.path.realpath(os.path.join(top, f"{path}/".removeprefix(f"{top}/").lstrip("/")))
    if not os.path.isdir(directory) or not f"{directory}/".startswith(f"{os.path.realpath(top)}/"):
        raise PingKillerError(f"there is no cgroup {quoted_path(path)} below {top}: see systemd-cgls")
    return directory


def _hierarchy() -> str:
    """Where the cgroups of version 2 are."""
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
        said = subprocess.run(
            ["systemctl", "show", "--property=ControlGroup", "--value", "--", unit],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise PingKillerError(
            f"unit={quoted(unit)}: systemctl does not say ({error}): use cgroup, pid or comm"
        ) from None
    path = said.stdout.strip()
    if "\n" in path:
        raise PingKillerError(f"unit={quoted(unit)} is a pattern for several units: name one, such as ssh.service")
    if said.returncode or not path:
        raise PingKillerError(
            f"unit={quoted(unit)} has no cgroup{_reason(said.stderr)}: name a unit that runs, such as ssh.service"
        )
    return path


def _reason(said: str) -> str:
    line = said.strip().partition("\n")[0]
    return f" ({line})" if line else ""
