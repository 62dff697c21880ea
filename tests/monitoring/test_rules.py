# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts for Prometheus, one after another, in promtool's own time: when they fire, when they do not, when they end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

RULES = Path(__file__).resolve().parents[2] / "extensions/prometheus/pingkiller.rules.yml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
HOST = 'job="node",instance="alpha:9100"'
FILTER = f'{HOST},interface="eth0",hook="xdp"'
EGRESS = FILTER.replace("xdp", "tc_egress")
OTHER = FILTER.replace("eth0", "eth1")
FILE = "/var/lib/prometheus/node-exporter/pingkiller.prom"


class Case(NamedTuple):
    """Series as promtool writes them, with a value every minute, and when the alert fires and does not."""

    series: dict[str, str]
    fires: list[str]
    silent: list[str]


def missing(attached: str) -> dict[str, str]:
    return {f"pingkiller_filter_wanted{{{FILTER}}}": "1x60", f"pingkiller_filter_attached{{{FILTER}}}": attached}


CASES = {
    "PingKillerFilterMissing": [
        Case(missing("1x5 0x5 1x5"), fires=["9m"], silent=["5m", "7m", "13m"]),  # from 6m to 11m
        Case(missing("1x5 0x0 1x5"), fires=[], silent=["6m", "8m"]),  # a change of the mode
        Case(
            {f"pingkiller_filter_wanted{{{FILTER}}}": "0x30", f"pingkiller_filter_attached{{{FILTER}}}": "1x30"},
            [],
            ["20m"],
        ),
    ],
    "PingKillerDrift": [
        Case({f"pingkiller_drift_items{{{HOST}}}": "0x5 2x30 0x5"}, fires=["22m"], silent=["4m", "20m", "38m"]),
        Case({f"pingkiller_drift_items{{{HOST}}}": "1x40", **missing("0x40")}, fires=[], silent=["30m"]),
        Case(  # of another host
            {'pingkiller_drift_items{job="node",instance="bravo:9100"}': "1x40", **missing("0x40")},
            fires=["30m"],
            silent=["10m"],
        ),
        Case(  # of a host of the same name at another site
            {
                f'pingkiller_drift_items{{{HOST},site="a"}}': "1x40",
                f'pingkiller_filter_wanted{{{FILTER},site="b"}}': "1x40",
                f'pingkiller_filter_attached{{{FILTER},site="b"}}': "0x40",
            },
            fires=["30m"],
            silent=["10m"],
        ),
    ],
    "PingKillerFlood": [
        Case(
            {
                f'pingkiller_packets_total{{{FILTER},verdict="pass",reason="policy_pass",family="ipv4"}}': "0+0x9 0+18000x9 180000x9",
                f'pingkiller_packets_total{{{FILTER},verdict="drop",reason="blocklist",family="ipv4"}}': "0+0x9 0+18000x9 180000x9",
            },
            fires=["14m", "18m"],
            silent=["9m", "23m"],
        ),
        Case(
            {f'pingkiller_packets_total{{{FILTER},verdict="pass",reason="not_icmp",family="ipv4"}}': "0+9000000x30"},
            fires=[],
            silent=["20m"],
        ),
        Case(
            {f'pingkiller_packets_total{{{FILTER},verdict="pass",reason="policy_pass",family="ipv4"}}': "0+6000x30"},
            fires=[],
            silent=["20m"],
        ),
        Case(  # what a host answers is no second flood
            {
                f'pingkiller_packets_total{{{FILTER},verdict="pass",reason="policy_pass",family="ipv4"}}': "0+18000x30",
                f'pingkiller_packets_total{{{EGRESS},verdict="pass",reason="type",family="ipv4"}}': "0+18000x30",
            },
            fires=[],
            silent=["20m"],
        ),
        Case(  # two interfaces, monitor mode, and a filter that was set up anew on the way
            {
                f'pingkiller_packets_total{{{FILTER},verdict="would_drop",reason="blocklist",family="ipv4"}}': "0+18000x9 0+18000x20",
                f'pingkiller_packets_total{{{OTHER},verdict="would_drop",reason="blocklist",family="ipv4"}}': "0+18000x30",
            },
            fires=["8m", "20m"],
            silent=[],
        ),
    ],
    "PingKillerListNearlyFull": [
        Case(
            {
                f'pingkiller_list_entries{{{HOST},list="blocklist"}}': "80x5 91x20 80x5",
                f'pingkiller_list_capacity_entries{{{HOST},list="blocklist"}}': "100x40",
            },
            fires=["17m", "25m"],
            silent=["4m", "15m", "28m"],
        ),
        Case(  # a host without lists
            {
                f'pingkiller_list_entries{{{HOST},list="blocklist"}}': "0x40",
                f'pingkiller_list_capacity_entries{{{HOST},list="blocklist"}}': "0x40",
            },
            fires=[],
            silent=["30m"],
        ),
    ],
    "PingKillerMetricsStale": [
        Case(
            {f'node_textfile_mtime_seconds{{{HOST},file="{FILE}"}}': "0+60x5 300x13 1140+60x10"},
            fires=["17m"],
            silent=["5m", "15m", "21m"],
        ),
        Case({f'node_textfile_mtime_seconds{{{HOST},file="/x/other.prom"}}': "0x40"}, fires=[], silent=["30m"]),
    ],
    "PingKillerMetricsAbsent": [
        Case(
            {f'pingkiller_build_info{{{HOST},version="0.1.0"}}': "1x9 stale _x29 1x20", f"up{{{HOST}}}": "1x60"},
            fires=["25m", "38m"],
            silent=["9m", "15m", "42m"],
        ),
        Case(  # the host is down
            {f'pingkiller_build_info{{{HOST},version="0.1.0"}}': "1x9 stale", f"up{{{HOST}}}": "1x9 0x40"},
            fires=[],
            silent=["30m"],
        ),
        Case({f"up{{{HOST}}}": "1x60"}, fires=[], silent=["30m"]),
        Case(  # an upgrade
            {
                f'pingkiller_build_info{{{HOST},version="0.1.0"}}': "1x9 stale",
                f'pingkiller_build_info{{{HOST},version="0.2.0"}}': "_x10 1x40",
                f"up{{{HOST}}}": "1x60",
            },
            fires=[],
            silent=["30m"],
        ),
    ],
    "PingKillerEventsLost": [
        Case(
            {f'pingkiller_events_total{{{FILTER},outcome="lost"}}': "0x5 7x30"},
            fires=["7m", "14m"],
            silent=["5m", "17m"],
        ),
        Case({f'pingkiller_events_total{{{FILTER},outcome="suppressed"}}': "0+9x30"}, fires=[], silent=["20m"]),
    ],
}


def judged(cases: list[Case], directory: Path, alerts: str) -> str:
    """Return what promtool says of the cases; nothing if the number of alerts, an expression, is what it should be."""
    groups = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            "promql_expr_test": [expected(alerts, when, fires=when in case.fires) for when in case.fires + case.silent],
        }
        for case in cases
    ]
    path = directory / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": groups}))
    done = subprocess.run(["promtool", "test", "rules", path], text=True, capture_output=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def firing(alert: str, labels: str = "") -> str:
    return f'count(ALERTS{{alertname="{alert}",alertstate="firing",{labels}}})'


def expected(alerts: str, when: str, *, fires: bool) -> dict:
    return {
        "expr": alerts,
        "eval_time": when,
        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
    }


@pytest.mark.parametrize(("alert", "cases"), CASES.items(), ids=list(CASES))
def test_alert_fires_when_it_has_to_and_at_no_other_time(alert, cases, tmp_path):
    assert judged(cases, tmp_path, firing(alert)) == ""


def test_every_alert_is_tried_and_one_of_its_cases_fires_and_ends():
    assert ALERTS.keys() == CASES.keys()
    assert all(cases[0].fires and cases[0].silent for cases in CASES.values())


@pytest.mark.parametrize(("alert", "cases"), CASES.items(), ids=list(CASES))
def test_alert_keeps_the_labels_of_its_target(alert, cases, tmp_path):
    """Also of two clusters, with hosts of the same name: nothing is wrong with the other one."""
    series = {name.replace("{job=", '{site="a",job='): values for name, values in cases[0].series.items()}
    twin = {
        name.replace('"a"', '"b"'): "1x60"
        for name in series
        if name.startswith(("pingkiller_filter", "pingkiller_build"))
    }
    case = cases[0]._replace(series={**series, **twin})
    assert judged([case], tmp_path, firing(alert, 'site="a"')) == ""
    assert judged([case._replace(fires=[], silent=case.fires)], tmp_path, firing(alert, 'site!="a"')) == ""


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert "$labels.instance" in rule["annotations"]["summary"]
    assert "`" in rule["annotations"]["description"] or "pingkiller_" in rule["annotations"]["description"]
