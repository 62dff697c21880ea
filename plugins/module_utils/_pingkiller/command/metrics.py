# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller metrics``: counters and states in the text format of Prometheus."""

from __future__ import annotations

import argparse
import sys

from . import output, parsers
from .exit_status import FINE
from .output import Found

_DESCRIPTION = """\
Write what the filters counted and how they and the lists are, in the text format of Prometheus. Nothing of PingKiller listens:
let a timer write a file for the textfile collector of node_exporter, which reads all files *.prom in its directory.

No label has an address or the name of the host. Counters begin at zero when a filter is set up. Expired entries count until
the next change of their list. pingkiller_drift_items is 0 where the host has the filters that the wanted state asks for, with
their options, and lists where entries are wanted; pingkiller check compares every entry, too.
"""
_ENDING = """\
With --output, FILE is replaced at once when all is written, with mode 0644, so that no reader sees a part of it. If that fails,
as on a full disk, the file stays as it was. Its directory has to exist.

examples:
  pingkiller metrics
  pingkiller metrics --output /var/lib/prometheus/node-exporter/pingkiller.prom
  pingkiller metrics | promtool check metrics
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)
    parser.add_argument("--output", metavar="FILE", help="write to this file and not to standard output")


def _run(given: argparse.Namespace) -> int:
    from ..kept.directory import Store
    from . import measuring, metric_file

    measured = measuring.measure(Store(given.config))
    found: Found = {"metrics": [metric_file.as_json(metric) for metric in measured.metrics]}
    lines = [line for metric in measured.metrics for line in metric_file.lines(metric)]
    text = output.text(given, found, lambda _found: lines)
    if given.output is None:
        sys.stdout.write(text)
    else:
        metric_file.replace(given.output, text)
    for fault in measured.faults:
        output.warn(fault)
    return FINE
