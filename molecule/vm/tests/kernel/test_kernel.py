# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's tests, run on the machines: with the kernel, the Python, BCC and pytest that their release has."""

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
HOME = "/tmp/pingkiller"
PACKAGE = f"{HOME}/ansible_collections/pingkiller/fleet"
TAKEN = (
    "--exclude=__pycache__",
    "--exclude=.hypothesis",
    "bpf",
    "plugins",
    "tests/conftest.py",
    "tests/kernel",
    "tests/trace",
)
PYTEST = "python3 -m pytest -q -rfEp -c /dev/null -p no:cacheprovider --import-mode=importlib --rootdir=."
TABLE, JUDGE, ON_TC = (f"tests/kernel/test_{name}.py" for name in ("table", "judge", "tc"))
TRACERS = " ".join(f"tests/trace/test_{name}.py" for name in ("calls", "processes", "looking"))


def runs_of_the_day(number):
    """What the machine of this number is to run, by name: others of the many tests each day, and others than its neighbours.
    Each start of pytest takes its time here, and so does each program that is compiled."""

    def every(stride):
        return f"--every={stride} --begin={(date.today().toordinal() + number) % stride}"

    # The hooks follow each other in the table, and the stride shares no factor with their number.
    table = f"--of={TABLE} {every(13)}"
    # Of the rarest sort of questions, too, some are to be answered.
    groups = "--groups=600"
    return {
        "kernel": f"{PYTEST} {table} {groups} -k 'table or judge or way_in or way_out' {TABLE} {JUDGE} {ON_TC}",
        "trace": f"{PYTEST} {every(3)} {TRACERS}",
        "matrix": "python3 tests/kernel/matrix.py --together 1",
    }


@pytest.fixture(scope="module")
def ran(everywhere, hosts, ssh_config):
    """What the runs of the day said, by machine and name. Each machine goes through its own without waiting for the others."""

    def copy_and_run(host):
        copy_sources(ssh_config, host)
        chosen = runs_of_the_day(hosts.index(host))
        return {name: on_machine(ssh_config, host, command) for name, command in chosen.items()}

    return everywhere(copy_and_run)


def copy_sources(ssh_config, host):
    """The library, the C and the tests are to be on the machine."""
    unpack = f"mkdir -p {PACKAGE} && tar -x -z -C {PACKAGE}"
    with subprocess.Popen(["tar", "-c", "-z", *TAKEN], cwd=CHECKOUT, stdout=subprocess.PIPE) as tar:
        subprocess.run(["ssh", "-F", ssh_config, host, unpack], stdin=tar.stdout, check=True, timeout=300)


def on_machine(ssh_config, host, command):
    command = f"cd {PACKAGE} && PYTHONPATH={HOME}:tests/kernel:tests/trace {command}"
    return subprocess.run(["ssh", "-F", ssh_config, host, command], text=True, capture_output=True, timeout=1500)


def passed(ran, name, test):
    """The run passed on every machine, and a test that this matches was part of it."""
    for host, runs in ran.items():
        unlisted = re.sub(r"^PASSED .*\n", "", runs[name].stdout, flags=re.MULTILINE)
        print(f"--- {host}\n{unlisted[-4000:]}{runs[name].stderr[-2000:]}")
    for host, runs in ran.items():
        assert runs[name].returncode == 0, host
        assert re.search(f"^PASSED {test}", runs[name].stdout, re.MULTILINE), host


def test_decision_table_holds_on_every_kernel(ran):
    passed(ran, "kernel", rf"{TABLE}::.*, xdp\]$")


def test_decision_table_holds_on_tc_as_well_on_every_kernel(ran):
    passed(ran, "kernel", rf"{TABLE}::.*, tc_\w+\]$")


def test_pings_are_filtered_on_tc_as_well_on_every_kernel(ran):
    passed(ran, "kernel", ON_TC)


def test_nothing_gets_around_on_any_kernel(ran):
    passed(ran, "kernel", JUDGE)


def test_tracers_count_the_same_on_every_kernel(ran):
    passed(ran, "trace", "tests/trace")


def test_program_loads_with_every_feature_on_every_kernel(ran):
    """Each value of each feature at least once, the heaviest of all together first. The tables stay in tests/output."""
    output = CHECKOUT / "tests/output"
    output.mkdir(parents=True, exist_ok=True)
    for host, runs in ran.items():
        (output / f"verifier-{host}.md").write_text(runs["matrix"].stdout)
        assert runs["matrix"].returncode == 0, (host, runs["matrix"].stderr)
