# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller metrics``: what Prometheus reads of a host."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from machine import BPFFS, CONFIG, ip, mount, ping, put_foreign_program, umount
from running import changed

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import metric_file
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command.metric_file import Metric, Sample

FINE, ERROR = 0, 1
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")


def parsed(text: str) -> dict[tuple[str, frozenset], float]:
    """Return the samples, and hold that the text keeps the rules of the format that readers rely on."""
    samples: dict = {}
    name = kind = None
    seen = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in seen  # all lines of a metric are together
            seen.add(name)
            assert line.endswith(".")
        elif line.startswith("# TYPE "):
            assert line.split()[2] == name
            kind = line.split()[3]
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert found[1] in [name + suffix for suffix in suffixes]
            assert (found[1], labels) not in samples
            samples[found[1], labels] = float(found[3])
            assert kind != "counter" or name.endswith("_total")
            assert kind == "counter" or not name.endswith("_total")
    return samples


def value(samples, name: str, **labels) -> float:
    """Return the sum of the samples of this name that have these labels."""
    return sum(each for (of, has), each in samples.items() if of == name and has >= set(labels.items()))


@pytest.fixture
def measured(command):
    def call(*arguments: str):
        done = command("metrics", *arguments)
        assert (done.returncode, done.stderr) == (FINE, "")
        if shutil.which("promtool"):
            checked = subprocess.run(
                ["promtool", "check", "metrics"], input=done.stdout, text=True, capture_output=True
            )
            assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
        return parsed(done.stdout)

    return call


def test_a_host_without_filters_has_valid_metrics(measured):
    samples = measured()
    assert value(samples, "pingkiller_build_info") == 1
    assert value(samples, "pingkiller_list_entries", list="blocklist") == 0
    assert value(samples, "pingkiller_drift_items") == 0
    assert not [name for name, _labels in samples if name.startswith("pingkiller_filter")]


def test_packets_are_counted_by_what_became_of_them_and_why(measured):
    changed("xdp_filter", interface=["pk0", "pk1"], policy="drop", ratelimit_pps=0)
    changed("xdp_filter", interface="pk1", monitor=True)
    changed("xdp_blocklist", ip=["192.0.2.0/24", "192.0.2.1"])
    ping("pk0", "192.0.2.1", 3)
    ping("pk0", "198.51.100.1", 2)
    ping("pk1", "192.0.2.1", 5)
    samples, total = measured(), "pingkiller_packets_total"
    assert value(samples, total, interface="pk0", hook="xdp", verdict="drop", reason="blocklist", family="ipv4") == 3
    assert value(samples, "pingkiller_bytes_total", interface="pk0", verdict="drop", reason="blocklist") == 3 * 42
    assert value(samples, total, interface="pk0") == value(samples, total, interface="pk0", verdict="drop") == 5
    assert value(samples, total, interface="pk1") == value(samples, total, interface="pk1", verdict="would_drop") == 5
    assert value(samples, "pingkiller_list_entries", list="blocklist") == 2
    assert value(samples, "pingkiller_list_capacity_entries", list="allowlist") == 65536
    info = {"mode": "native", "policy": "drop"}
    assert value(samples, "pingkiller_filter_info", interface="pk0", monitor="false", **info) == 1
    assert value(samples, "pingkiller_filter_info", interface="pk1", monitor="true", **info) == 1
    assert not any("192.0.2" in text for _name, labels in samples for _label, text in labels)


def test_rate_limited_sources_and_events_are_counted(measured):
    changed("xdp_filter", interface="pk0", ratelimit_pps=1, events="dropped")
    ping("pk0", "192.0.2.1", 9)
    ping("pk0", "192.0.2.2")
    samples = measured()
    assert value(samples, "pingkiller_ratelimit_sources", interface="pk0") == 2
    assert value(samples, "pingkiller_ratelimit_blocked_sources", interface="pk0") == 1
    assert {dict(labels)["outcome"] for name, labels in samples if name == "pingkiller_events_total"} == {
        "sent",
        "suppressed",
        "lost",
    }


def test_processing_times_are_a_cumulative_histogram_in_seconds(measured):
    changed("xdp_filter", interface="pk0", policy="drop", timing_sample=1)
    ping("pk0", "192.0.2.1", 50)
    samples, name = measured(), "pingkiller_processing_seconds"
    labels = {"interface": "pk0", "hook": "xdp", "verdict": "drop"}
    assert value(samples, f"{name}_count", **labels) == 50
    assert 0 < value(samples, f"{name}_sum", **labels) < 1
    steps = sorted(
        (float(dict(has)["le"]), each)
        for (of, has), each in samples.items()
        if of == f"{name}_bucket" and has >= set(labels.items())
    )
    assert [each for _le, each in steps] == sorted(each for _le, each in steps)
    assert steps[-1] == (float("inf"), 50)
    assert steps[0][0] == 63e-9
    assert value(samples, f"{name}_count", verdict="pass") == 0


def test_a_wanted_filter_that_was_taken_off_is_not_attached_and_a_drift(measured):
    changed("xdp_filter", interface="pk0", persist=True)
    assert value(measured(), "pingkiller_drift_items") == 0
    ip("link", "set", "pk0", "xdp", "off")
    samples = measured()
    assert value(samples, "pingkiller_filter_wanted", interface="pk0") == 1
    assert value(samples, "pingkiller_filter_attached", interface="pk0") == 0
    assert value(samples, "pingkiller_drift_items") == 1


def test_a_wanted_filter_without_any_maps_is_wanted_and_not_attached(measured):
    changed("xdp_filter", interface="pk0", persist=True)
    changed("xdp_blocklist", ip="192.0.2.1", persist=True)
    umount(BPFFS)
    mount("bpf", BPFFS)  # as after a boot
    ip("link", "set", "pk0", "xdp", "off")
    samples = measured()
    assert value(samples, "pingkiller_filter_wanted", interface="pk0", hook="xdp") == 1
    assert value(samples, "pingkiller_filter_attached", interface="pk0", hook="xdp") == 0
    assert value(samples, "pingkiller_drift_items") == 2  # the filter, and the blocklist


def test_a_filter_with_other_options_than_wanted_is_a_drift(measured):
    changed("xdp_filter", interface="pk0", persist=True)
    note = Path(CONFIG, "filters", "pk0.json")
    options = json.loads(note.read_text())
    options["xdp"]["monitor"] = True
    note.write_text(json.dumps(options))
    assert value(measured(), "pingkiller_drift_items") == 1


def test_a_foreign_program_is_no_filter(measured):
    put_foreign_program("pk0")
    assert not [name for name, _labels in measured() if name.startswith("pingkiller_filter")]


@pytest.mark.parametrize("name", ["filters/pk0.json", "owners.json"])
def test_a_broken_file_of_the_wanted_state_is_a_drift_and_a_warning(command, name):
    changed("xdp_filter", interface="pk0", persist=True, owner="inventory")
    with open(f"{CONFIG}/{name}", "w") as note:
        note.write("{")
    done = command("metrics")
    assert done.returncode == FINE
    assert done.stderr.startswith(f"pingkiller: warning: {CONFIG}/{name} is not JSON")
    assert value(parsed(done.stdout), "pingkiller_drift_items") == 1
    status = command("status")
    assert status.returncode == ERROR
    assert "filter pk0: native" in status.stdout
    assert status.stderr.startswith(f"pingkiller: {CONFIG}/{name} is not JSON")


def test_json_has_the_same_values(filtered, command, measured):
    samples = {
        (each["name"], frozenset(each["labels"].items())): each["value"]
        for metric in json.loads(command("metrics", "--json").stdout)["metrics"]
        for each in metric["samples"]
    }
    assert samples == measured()


def test_labels_are_escaped():
    metric = Metric("m", metric_file.GAUGE, "Help.", [Sample({"interface": 'a"b\\c\nd\udcff'}, 1)])
    assert metric_file.lines(metric)[-1] == r'm{interface="a\"b\\c\\nd\\udcff"} 1'


# The file


def test_a_file_is_replaced_at_once_and_everybody_may_read_it(filtered, command, tmp_path):
    path = tmp_path / "pingkiller.prom"
    path.write_text("old")
    before = path.stat().st_ino
    done = command("metrics", "--output", str(path), preexec_fn=lambda: os.umask(0o077))
    assert (done.returncode, done.stdout, done.stderr) == (FINE, "", "")
    assert value(parsed(path.read_text()), "pingkiller_filter_attached") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.stat().st_ino != before
    assert os.listdir(tmp_path) == ["pingkiller.prom"]


def test_on_a_full_disk_the_old_file_stays(filtered, command, tmp_path):
    mount("tmpfs", str(tmp_path), options="size=4k")
    try:
        path = tmp_path / "pingkiller.prom"
        path.write_text("old")
        done = command("metrics", "--output", str(path))
        assert done.returncode == ERROR
        assert done.stderr.startswith(f"pingkiller: --output='{path}' cannot be written (No space left on device)")
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["pingkiller.prom"]
    finally:
        umount(str(tmp_path))


@pytest.mark.parametrize("odd", ["directory", "link", "pipe", "missing directory", "device"])
def test_what_is_no_file_to_be_replaced_is_left_alone(command, tmp_path, odd):
    path = tmp_path / "odd"
    if odd == "directory":
        path.mkdir()
    elif odd == "link":
        path.symlink_to("/etc/passwd")
    elif odd == "pipe":
        os.mkfifo(path)
    elif odd == "missing directory":
        path = path / "file"
    else:
        path = "/dev/null"
    done = command("metrics", "--output", str(path))
    assert (done.returncode, done.stdout) == (ERROR, "")
    assert done.stderr.startswith(f"pingkiller: --output='{path}' cannot be written (")
    assert done.stderr.count("\n") == 1
