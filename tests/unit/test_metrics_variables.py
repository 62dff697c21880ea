# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the role's variables about metrics: what is refused, and what a host may say about its file."""

from __future__ import annotations

import pytest
from looks import FIT

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _metrics
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._look import look
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._metrics import Asked

ASKED = Asked(metrics=True, persist=True, directory="/var/lib/prometheus/node-exporter", interval="30s")


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        ASKED._replace(metrics=False, persist=False),
        ASKED._replace(directory="/srv/.a/..b/c-d_e"),
        ASKED._replace(interval=5),
        ASKED._replace(interval="5m"),
    ],
)
def test_what_can_be_is_not_refused(asked):
    assert list(_metrics.faults(asked, "alpha")) == []


@pytest.mark.parametrize(
    "directory",
    ["", "/", "srv/x", "/srv/", "/srv//x", "/srv/../x", "/srv/..", "/srv/.", "/srv/a b", "/srv/x\n", "/srv/%n"],
)
@pytest.mark.parametrize("metrics", [True, False])
def test_directory_that_a_unit_cannot_name_is_refused(directory, metrics):
    (told,) = _metrics.faults(ASKED._replace(directory=directory, metrics=metrics), "alpha")
    assert told.startswith("pingkiller_metrics_dir of alpha is ")
    assert "write an absolute path" in told
    assert told.isprintable()


@pytest.mark.parametrize(
    ("interval", "fault"),
    [
        ("4s", "is out of range: write a duration from 5s to 5m"),
        ("301", "is out of range"),
        ("often", "is not a duration"),
        ("", "is not a duration"),
        (["30s"], "is not a duration"),
        ("30s\nExecStart=x", "is not a duration"),
    ],
)
def test_interval_that_makes_no_sense_is_refused(interval, fault):
    (told,) = _metrics.faults(ASKED._replace(interval=interval), "alpha")
    assert told.startswith("pingkiller_metrics_interval of alpha is ")
    assert fault in told
    assert told.isprintable()


def test_metrics_without_the_command_that_writes_them_are_refused():
    (told,) = _metrics.faults(ASKED._replace(persist=False), "alpha")
    assert told.startswith("pingkiller_metrics of alpha is true and pingkiller_persist is false, but")
    assert told.endswith("set pingkiller_persist: true, or pingkiller_metrics: false.")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/etc/../pingkiller.prom", "pingkiller.prom", "/x/pingkiller.prom.", "/x y/pingkiller.prom"]
)
def test_host_cannot_have_another_file_removed_than_one_with_metrics(path):
    said = {**FIT, "metrics_file": path}
    assert look("".join(f"pingkiller_{name}={value}\n" for name, value in said.items())).keys() == {"fault"}


def test_file_with_metrics_is_told():
    said = {**FIT, "metrics_file": "/var/lib/x/pingkiller.prom"}
    told = look("".join(f"pingkiller_{name}={value}\n" for name, value in said.items()))
    assert told["metrics_file"] == "/var/lib/x/pingkiller.prom"
