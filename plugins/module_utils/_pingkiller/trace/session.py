# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to trace: only plan it, trace to the end, or watch how it goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from ..kernel import bcc_package
from . import allowed, cgroups
from .look import PROBES, Look
from .request import Request


def plan(request: Request) -> dict[str, str]:
    """Check that ``run`` is possible, and say in ``msg`` what it would do. Compiles nothing. Raises PingKillerError."""
    _require()
    cgroups.find(request.unit, request.cgroup)
    *names, last = PROBES[request.probe].tracepoints(request)
    return {
        "probe": request.probe,
        "msg": f"would look at {request.probe} for {request.duration:g} s, with programs at the tracepoints "
        f"{', '.join(names)} and {last}",
    }


def run(request: Request, sources: dict[str, str]) -> dict[str, Any]:
    """Trace for as long as the request says, and return the result. Raises PingKillerError.

    ``sources`` are the C sources of the tracers, by their path below bpf/.
    """
    *_none, result = watch(request, sources)
    return result


def watch(
    request: Request, sources: dict[str, str], *, every: float | None = None, stop: threading.Event | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a result every ``every`` seconds, if given, and at the end. A result covers the time since the start.

    The trace ends within a tenth of a second after ``stop`` is set, for example in a signal handler, or after Ctrl-C.
    Results before the last one are read while programs count, so a number may be one too low.
    """
    _require()
    with Look(request, sources) as look:
        following = look.began + (every or request.duration)
        while not look.wait(following, stop):
            yield look.result()
            following += every or request.duration
        look.finish()
        yield look.result()


def _require() -> None:
    allowed.require()
    bcc_package.version()
