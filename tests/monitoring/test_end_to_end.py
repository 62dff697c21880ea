# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the role to an alert: real hosts with node_exporter, and Prometheus and Alertmanager on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NAME, HOSTS = "watched", ("alpha", "bravo")
FILE = "/var/lib/prometheus/node-exporter/pingkiller.prom"
LISTED = "203.0.113.66"  # on the blocklist of the fleet's inventory
#: All that a panel of the dashboard shows. Bravo only monitors.
VARIABLES = {
    "pingkiller_metrics": True,
    "pingkiller_metrics_interval": "5s",
    "pingkiller_ratelimit_pps": 1000000,
    "pingkiller_events": "dropped",
    "pingkiller_timing_sample": 1,
}
MONITORING = {"fleet": {"hosts": {"bravo": {"pingkiller_monitor": True}}}}
DEPLOY = "deploy-pingkiller.yml"
PATIENCE = 40  #: seconds
FLOOD = """
import socket, sys, time
echo_request = bytes([8, 0, 0xF7, 0xFF, 0, 0, 0, 0])
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
sender.bind((sys.argv[1], 0))
for _burst in range(600):
    for _packet in range(200):
        sender.sendto(echo_request, (sys.argv[2], 0))
    time.sleep(0.1)
"""


def fleet(*arguments: str) -> subprocess.CompletedProcess:
    command = [CHECKOUT / "tools/fleet", "--name", NAME, *arguments]
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def on(host: str, command: str) -> str:
    done = fleet("exec", host, "sh", "-c", command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(condition):
    """Wait until a condition returns something true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)  # the interval between two looks
    return found


def command_line(directory: Path, playbook: str, *arguments: str, **variables: object) -> list[object]:
    (directory / "monitoring.json").write_text(json.dumps(MONITORING))
    return [
        *(sys.executable, "-m", "ansible", "playbook", CHECKOUT / playbook, *arguments),
        *("-i", CHECKOUT / f".fleet/{NAME}/inventory.yml", "-i", directory / "monitoring.json"),
        *("--extra-vars", json.dumps({**VARIABLES, **variables})),
    ]


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }


def play(directory: Path, playbook: str, *arguments: str, **variables: object) -> dict[str, int]:
    """Run a playbook of the checkout, and return how much each host says was changed."""
    done = subprocess.run(
        command_line(directory, playbook, *arguments, **variables),
        env=environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {host: int(number) for host, number in re.findall(r"^(\w+) +: .*changed=(\d+)", done.stdout, re.MULTILINE)}


def killed_at(directory: Path, task: str, *arguments: str, **variables: object) -> None:
    """Deploy, and kill that where a task begins."""
    with subprocess.Popen(
        command_line(directory, DEPLOY, *arguments, **variables),
        env=environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert any(line.startswith("TASK") and task in line for line in process.stdout)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(*command: object):
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def answer(address: str, path: str, **parameters: str):
    """Return what an API says, or None as long as it does not."""
    url = f"http://{address}{path}?{urllib.parse.urlencode(parameters)}"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as said:
        return json.load(said)
    return None


class Watch(NamedTuple):
    """What watches the hosts."""

    directory: Path
    prometheus: str
    alertmanager: str

    def query(self, expression: str) -> list[dict]:
        said = answer(self.prometheus, "/api/v1/query", query=expression)
        return said["data"]["result"] if said else []

    def alerts(self) -> dict[tuple[str, str], dict]:
        """Return the alerts that Alertmanager has and that have not ended, by name and host."""
        found = answer(self.alertmanager, "/api/v2/alerts") or []
        return {(each["labels"]["alertname"], each["labels"]["instance"].partition(":")[0]): each for each in found}


def hurried(rules: str) -> str:
    """Return the rules with shorter durations. The thresholds stay."""
    return re.sub(r"\bfor: \w+", "for: 1s", rules).replace("[2m]", "[15s]")


def configuration(alertmanager: str, addresses: dict[str, str]) -> dict:
    targets = [{"targets": [f"{address}:9100"], "labels": {"instance": host}} for host, address in addresses.items()]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [{"job_name": "node", "static_configs": targets}],
    }


@contextlib.contextmanager
def watching(directory: Path):
    prometheus, alertmanager = free_address(), free_address()
    addresses = dict(re.findall(r"^(\w+) +(198\S+)", fleet("status").stdout, re.MULTILINE))
    rules = (CHECKOUT / "extensions/prometheus/pingkiller.rules.yml").read_text()
    (directory / "rules.yml").write_text(hurried(rules))
    (directory / "prometheus.yml").write_text(json.dumps(configuration(alertmanager, addresses)))
    (directory / "alertmanager.yml").write_text('{"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}')
    with (
        running(
            "prometheus-alertmanager",
            f"--config.file={directory}/alertmanager.yml",
            f"--storage.path={directory}/alertmanager",
            f"--web.listen-address={alertmanager}",
            "--cluster.listen-address=",
        ),
        running(
            "prometheus",
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/prometheus",
            f"--web.listen-address={prometheus}",
        ),
    ):
        yield Watch(directory, prometheus, alertmanager)


@pytest.fixture(scope="module")
def watch():
    """Hosts to which the role has deployed metrics, with Debian's own unit of node_exporter, and what watches them."""
    with tempfile.TemporaryDirectory(prefix="pk-watched-") as name:
        try:
            booted = fleet("up", "--hosts", ",".join(HOSTS))
            assert booted.returncode == 0, booted.stderr
            for host in HOSTS:
                on(host, "systemctl start prometheus-node-exporter")
            play(Path(name), DEPLOY)
            with watching(Path(name)) as watch:
                until(lambda: len(watch.query("pingkiller_build_info")) == len(HOSTS))
                yield watch
        finally:
            fleet("down")


@contextlib.contextmanager
def flood(host: str):
    """Send pings from a listed address, 2,000 a second and for at most a minute. ping itself sends fewer on a busy machine."""
    (target,) = re.findall(rf"^{host} +(198\S+)", fleet("status").stdout, re.MULTILINE)
    command = [
        CHECKOUT / "tools/fleet",
        "--name",
        NAME,
        "exec",
        "guest",
        "/usr/bin/python3",
        "-c",
        FLOOD,
        LISTED,
        target,
    ]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_flood_and_a_filter_that_is_taken_off_are_alerts_until_they_end(watch):
    assert watch.alerts() == {}
    missing, flooded = ("PingKillerFilterMissing", "bravo"), ("PingKillerFlood", "alpha")
    on("bravo", "ip link set host0 xdp off")
    with flood("alpha"):
        until(lambda: watch.alerts().keys() >= {missing, flooded})
    raised = watch.alerts()
    assert raised.keys() == {missing, flooded}
    assert raised[missing]["annotations"]["summary"] == "bravo does not filter on host0"
    assert re.fullmatch(r"alpha gets [\d.]+k? ICMP packets a second", raised[flooded]["annotations"]["summary"])
    assert not re.search("<no value>|error|{{", json.dumps([each["annotations"] for each in raised.values()]))
    on("bravo", "pingkiller apply")
    until(lambda: watch.alerts() == {})


def test_every_query_of_the_dashboard_returns_data(watch):
    fleet("ping", LISTED, "bravo")  # which only monitors
    assert fleet("ping", "198.51.100.10", "alpha").returncode == 0
    dashboard = json.loads((CHECKOUT / "extensions/grafana/pingkiller.json").read_text())
    queries = {
        (panel["title"], target["refId"]): target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    assert len(queries) > 20

    def empty():
        return [
            what
            for what, expression in queries.items()
            if all(each["value"][1] == "NaN" for each in watch.query(chosen(expression)))
        ]

    until(lambda: not empty())


def chosen(expression: str) -> str:
    """Return a query as Grafana sends it where all jobs and hosts are chosen."""
    return expression.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*")


def test_what_a_host_writes_has_nothing_that_prometheus_does_not_like(watch):
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=on("alpha", f"cat {FILE}"), text=True, capture_output=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_deployment_that_changes_nothing_is_a_deployment_all_the_same(watch):
    last = "pingkiller_last_deploy_timestamp_seconds"
    before = {each["metric"]["instance"]: float(each["value"][1]) for each in watch.query(last)}
    assert before.keys() == set(HOSTS)
    assert play(watch.directory, DEPLOY) == dict.fromkeys(HOSTS, 0)
    for host in HOSTS:
        until(lambda: watch.query(f'{last}{{instance="{host}"}} > {before[host]}'))  # noqa: B023 (called at once)


def test_a_change_that_was_interrupted_is_finished_by_the_next_deployment(watch):
    moved = {"pingkiller_metrics_dir": str(Path(FILE).parent.parent), "pingkiller_metrics_interval": "20s"}
    task = "Enable the boot service"  # the units are written, and systemd still has the previous ones
    killed_at(watch.directory, task, "--limit", "alpha", **moved)
    play(watch.directory, DEPLOY, "--limit", "alpha", **moved)
    assert on("alpha", f"find {moved['pingkiller_metrics_dir']} -name pingkiller.prom").split() == [
        f"{moved['pingkiller_metrics_dir']}/pingkiller.prom"
    ]
    assert "OnUnitActiveUSec=20s" in on("alpha", "systemctl show -p TimersMonotonic pingkiller-metrics.timer")
    assert "yes" not in on(
        "alpha", "systemctl show -p NeedDaemonReload pingkiller-metrics.timer pingkiller-metrics.service"
    )
    assert play(watch.directory, DEPLOY, "--limit", "alpha", **moved) == {"alpha": 0}
    assert play(watch.directory, DEPLOY, "--limit", "alpha")["alpha"]  # back again
    until(lambda: len(watch.query("pingkiller_build_info")) == len(HOSTS))


def test_neither_metrics_that_are_no_longer_wanted_nor_a_removal_leave_anything_behind(watch):
    assert play(watch.directory, DEPLOY, "--limit", "alpha", pingkiller_metrics=False)["alpha"]
    assert play(watch.directory, "remove-pingkiller.yml", "--limit", "bravo")["bravo"]
    for host in HOSTS:
        left = "-name '*pingkiller*prom*' -o -name '*metrics*' -o -name timers.target.wants"
        assert on(host, f"find {Path(FILE).parent} /etc/systemd/system {left}") == ""
        assert on(host, "systemctl list-units --all --plain --no-legend 'pingkiller-metrics*'") == ""
    until(lambda: not watch.query("pingkiller_build_info"))
