# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs in turns, and compare each with its reference program in the same round."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf


class Runner(NamedTuple):
    """A loaded program, and a function to call after each run."""

    program: bpf.Program
    tidy: Callable[[], object] | None = None

    def run(self, frame: bytes, repeat: int) -> int:
        """Return the average nanoseconds per packet."""
        duration = self.program.test_run(frame, repeat).duration
        if self.tidy:
            self.tidy()
        return duration


class Cell(NamedTuple):
    """One figure of a table: the time that ``runner`` takes for the frame, minus the time of ``floor``."""

    program: str
    case: str
    runner: Runner
    floor: Runner
    frame: bytes


def measure(cells: list[Cell], rounds: int, repeat: int) -> dict[tuple[str, str], int]:
    """Return the median of the added nanoseconds, by program and case."""
    figures: dict[tuple[str, str], list[int]] = {(cell.program, cell.case): [] for cell in cells}
    for _round in range(rounds):
        floors: dict[tuple[int, bytes], int] = {}
        for cell in cells:
            floor = (cell.floor.program.fd, cell.frame)
            if floor not in floors:
                floors[floor] = cell.floor.run(cell.frame, repeat)
            figures[cell.program, cell.case].append(cell.runner.run(cell.frame, repeat) - floors[floor])
    return {key: round(statistics.median(taken)) for key, taken in figures.items()}
