# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text format of Prometheus, and a file in it that is replaced at once.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import PingKillerError, printable, quoted_path
from ..files import replacing

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
_MODE = 0o644  #: the exporter is not root


class Sample(NamedTuple):
    """One value of a metric."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""  #: of the name, in a histogram


class Metric(NamedTuple):
    """A metric with its values."""

    name: str
    kind: str  #: GAUGE, COUNTER or HISTOGRAM
    help: str
    samples: list[Sample]


def lines(metric: Metric) -> list[str]:
    """Return the lines of a metric; none if it has no values."""
    if not metric.samples:
        return []
    samples = [
        f"{metric.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}" for sample in metric.samples
    ]
    return [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}", *samples]


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""


def _escaped(value: str) -> str:
    """Return the value of a label as the format has it. What no terminal shows, and what is no UTF-8, is escaped before."""
    return printable(value).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value)


def as_json(metric: Metric) -> dict[str, Any]:
    """Return a metric as JSON has it."""
    return {
        "name": metric.name,
        "type": metric.kind,
        "help": metric.help,
        "samples": [
            {"name": metric.name + sample.suffix, "labels": dict(sample.labels), "value": sample.value}
            for sample in metric.samples
        ],
    }


def replace(path: str, text: str) -> None:
    """Replace the file that an exporter reads. Raises PingKillerError, and leaves it as it was then."""
    try:
        _check_replaceable(path)
        replacing.replace(path, [text], mode=_MODE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PingKillerError(
            f"--output={quoted_path(path)} cannot be written ({reason}), and is as it was: give a file in a directory that exists and "
            f"has room"
        ) from None


def _check_replaceable(path: str) -> None:
    """Raise ValueError for anything but a regular file, or none."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise ValueError("there is something else than a regular file")
