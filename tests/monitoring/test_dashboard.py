# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard for Grafana, without a Grafana. test_end_to_end.py asks a Prometheus its queries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((CHECKOUT / "extensions/grafana/pingkiller.json").read_text())
PANELS = DASHBOARD["panels"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
QUERIES = [target for panel in PANELS for target in panel["targets"]]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the library that makes it needs Python 3.11")
def test_what_make_dashboard_writes_is_what_is_there():
    done = subprocess.run([sys.executable, CHECKOUT / "tools/dashboard", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_links_to_the_dashboard_and_its_panels_last():
    assert DASHBOARD["uid"] == "pingkiller-fleet"
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(panel["description"] for panel in PANELS)


def test_data_source_job_and_host_are_chosen_above_all_panels():
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    assert all(each["datasource"] == SOURCE for each in (*PANELS, *QUERIES))
    for target in QUERIES:
        assert target["expr"].count("pingkiller_") + target["expr"].count("node_textfile") >= 1
        assert target["expr"].count('{job=~"$job",instance=~"$instance"') == target["expr"].count("{")


def test_panels_lie_side_by_side_and_none_on_another():
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells
        taken |= cells


def test_prometheus_understands_every_query(tmp_path):
    expressions = [target["expr"].replace("$__rate_interval", "1m") for target in QUERIES]
    rules = [{"record": f"test:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "test", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
