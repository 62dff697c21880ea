# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel tests, run on the machines with the kernel, Python, BCC and pytest of their release."""

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
    """Return the commands that the machine of this number runs, by name.

    They select other tests each day and on each machine: starting pytest and compiling a program are slow here.
    """

    def every(stride):
        return f"--every={stride} --begin={(date.today().toordinal() + number) % stride}"

    # Hooks alternate in the table. The stride shares no factor with their number, so every hook is selected.
    table = f"--of={TABLE} {every(13)}"
    # Enough that some questions of the rarest sort are answered, too.
    groups = "--groups=600"
    return {
        "kernel": f"{PYTEST} {table} {groups} -k 'table or judge or way_in or way_out' {TABLE} {JUDGE} {ON_TC}",
        "trace": f"{PYTEST} {every(3)} {TRACERS}",
        "matrix": "python3 tests/kernel/matrix.py --together 1",
    }


@pytest.fixture(scope="module")
def ran(everywhere, hosts, ssh_config):
    """The finished runs of the day, by machine and name. No machine waits for the others."""

    def copy_and_run(host):
        copy_sources(ssh_config, host)
        chosen = runs_of_the_day(hosts.index(host))
        return {name: on_machine(ssh_config, host, command) for name, command in chosen.items()}

    return everywhere(copy_and_run)


def copy_sources(ssh_config, host):
    """Copy the library, the C sources and the tests to the machine."""
    unpack = f"mkdir -p {PACKAGE} && tar -x -z -C {PACKAGE}"
    with subprocess.Popen(["tar", "-c", "-z", *TAKEN], cwd=CHECKOUT, stdout=subprocess.PIPE) as tar:
        subprocess.run(["ssh", "-F", ssh_config, host, unpack], stdin=tar.stdout, check=True, timeout=300)


def on_machine(ssh_config, host, command):
    command = f"cd {PACKAGE} && PYTHONPATH={HOME}:tests/kernel:tests/trace {command}"
    return subprocess.run(["ssh", "-F", ssh_config, host, command], text=True, capture_output=True, timeout=1500)


def passed(ran, name, test):
    """Check that the run passed on every machine and had a test that matches this pattern."""
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
    """Each value of each feature occurs at least once; the first program has all the heaviest values.

    The tables stay in tests/output.
    """
    output = CHECKOUT / "tests/output"
    output.mkdir(parents=True, exist_ok=True)
    for host, runs in ran.items():
        (output / f"verifier-{host}.md").write_text(runs["matrix"].stdout)
        assert runs["matrix"].returncode == 0, (host, runs["matrix"].stderr)
