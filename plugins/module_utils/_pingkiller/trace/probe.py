# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of a probe: what ``look`` needs to compile its program, attach it and read its maps.

A new probe is a class with this interface, an entry in ``look.PROBES``, and its options in ``request``.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..kernel import bpf
from ..kernel.ring_buffer import RingBuffer
from .request import Request


class Probe(Protocol):
    """Reads what a program has counted or told. ``maps`` are the maps of the program, by name."""

    program: str  #: the C source, by its path below bpf/

    def __init__(self, request: Request, maps: dict[str, bpf.Map]) -> None: ...

    @staticmethod
    def definitions(request: Request) -> dict[str, str]:
        """Return the macros that the program is compiled with, apart from those of ``scope``."""

    @staticmethod
    def tracepoints(request: Request) -> dict[str, str]:
        """Return the function for each tracepoint, in the order in which to attach them."""

    @property
    def ring(self) -> RingBuffer | None:
        """What the kernel writes to, if it has to be read while the trace runs."""

    @property
    def full(self) -> bool:
        """Whether the limit of the request is reached."""

    def note_present(self) -> None:
        """Note the processes that exist. It is called before the programs are attached, and again afterwards."""

    def poll(self) -> None:
        """Take what the kernel has told since the last call."""

    def result(self) -> dict[str, Any]:
        """Return the probe's part of the result, as JSON has it. It has at least ``unfinished``, a number."""

    def close(self) -> None:
        """Free the ring buffer. The maps belong to the caller."""
