# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the files that a deploy writes with those on a host, by their marks: owner, mode and hash in one text."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping

from ..errors import PingKillerError, quoted
from ..kernel import schema

_PATIENCE = 60  #: seconds: the list files may have a million entries
_PREFIX = "pingkiller_"
_METRICS = "metrics_"  #: begins the names of what writes metrics, which not every inventory wants
_UDEV = "/etc/udev/rules.d"  #: without it, a deploy writes no rules
_PLACES = ("/usr/local/sbin", "/usr/local/lib", "/etc/systemd/system")
_LIST = "0:0 600 {}  -"  #: what the role's template task makes of a list file, given its hash
_NAMES = {
    "command": "the command pingkiller",
    "service": "pingkiller.service",
    "instance": "pingkiller@.service",
    "rules": "the udev rules",
    "enabled": "the boot service",
    "metrics_service": "pingkiller-metrics.service",
    "metrics_timer": "pingkiller-metrics.timer",
    "metrics_enabled": "the timer of the metrics",
}

Marks = Mapping[str, str]


def look(script: str, directory: str) -> Marks:
    """Return the marks of the files on this host, by the names that the role's marks.sh, which is the script, gives them.

    ``directory`` is that of the wanted state. Raises PingKillerError.
    """
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "directory": directory}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PingKillerError(
            f"the files that a deploy writes were not read within {_PATIENCE} s: see what their file system waits for"
        ) from None
    lines = done.stdout.decode(errors="replace").splitlines()
    pairs = (line[len(_PREFIX) :].partition("=") for line in lines if line.startswith(_PREFIX))
    found = {name: mark.rstrip() for name, _equals, mark in pairs}
    missing = [name for name in ("directory", *schema.LISTS, *_NAMES) if name not in found]
    if missing:
        told = done.stderr.decode(errors="replace").strip()
        raise PingKillerError(f"the look at files told nothing of {', '.join(missing)}: {quoted(told)}")
    return found


def hindrance() -> str:
    """Return why the files that restore filters at boot cannot be written, as the role's preflight would. Empty if they can."""
    if not os.path.isdir("/run/systemd/system"):
        return "this host was not booted with systemd, which restores filters at boot: set pingkiller_persist: false"
    closed = " ".join(place for place in _PLACES if not os.access(place, os.W_OK))
    if not closed:
        return ""
    return (
        f"{closed} cannot be written to, but what restores filters at boot goes there: make it writable, or set "
        f"pingkiller_persist: false"
    )


def changed_lists(found: Marks, hashes: Mapping[str, str]) -> list[str]:
    """Return the lists whose files a deploy would write anew, given the hashes of what it would write."""
    return [name for name in schema.LISTS if name in hashes and found[name] != _LIST.format(hashes[name])]


def boot_drift(found: Marks, wanted: Marks, *, persist: bool) -> Iterator[str]:
    """Yield a sentence for each file that a deploy would write or remove, of those that restore filters or write metrics."""
    if not persist:
        yield from (f"{text} is there, the inventory wants no filter restored at boot" for text in _there(found))
        return
    for name, text in _NAMES.items():
        if name == "rules" and not os.path.isdir(_UDEV):
            continue
        if name.startswith(_METRICS) and not wanted.get("metrics_timer"):
            if found[name]:
                yield f"{text} is there, the inventory wants no metrics"
        elif not found[name]:
            yield f"{text} is not enabled" if name.endswith("enabled") else f"{text} is missing"
        elif name in wanted and found[name] != wanted[name]:
            yield f"{text} is not as this version writes it"


def remains(found: Marks, directory: str) -> Iterator[str]:
    """Yield a sentence for each of our files on a host that is wanted to have none."""
    yield from (f"{text} is still there, the inventory wants nothing" for text in _there(found))
    if found["directory"]:
        yield f"{directory} is still there, the inventory wants nothing"


def _there(found: Marks) -> list[str]:
    return [text for name, text in _NAMES.items() if found[name]]
