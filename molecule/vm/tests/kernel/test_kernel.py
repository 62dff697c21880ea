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


def on_machine(ssh_config, host, command):
    return subprocess.run(["ssh", "-F", ssh_config, host, command], text=True, capture_output=True, timeout=1500)


@pytest.fixture(scope="module")
def with_sources(everywhere, ssh_config):
    """The library, the C and the tests are on the machines."""

    def copy(host):
        unpack = f"mkdir -p {PACKAGE} && tar -x -z -C {PACKAGE}"
        with subprocess.Popen(["tar", "-c", "-z", *TAKEN], cwd=CHECKOUT, stdout=subprocess.PIPE) as tar:
            subprocess.run(["ssh", "-F", ssh_config, host, unpack], stdin=tar.stdout, check=True, timeout=300)

    everywhere(copy)


@pytest.fixture(scope="module")
def run_tests(with_sources, everywhere, ssh_config):
    """Run a file of tests on all machines at once; what it said, by machine."""

    def run(file, *options, suite="kernel"):
        command = f"cd {PACKAGE} && PYTHONPATH={HOME}:tests/{suite} PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -q -c /dev/null"
        command += (
            f" -p no:cacheprovider --import-mode=importlib --rootdir=. {' '.join(options)} tests/{suite}/{file}.py"
        )
        done = everywhere(lambda host: on_machine(ssh_config, host, command))
        for host, each in done.items():
            print(f"--- {host}\n{each.stdout[-4000:]}{each.stderr[-2000:]}")
        return done

    return run


def of_the_day(every):
    """The options that take some of the tests only, others each day."""
    return f"--every={every}", f"--begin={date.today().toordinal() % every}"


def test_decision_table_holds_on_every_kernel(run_tests):
    """All rows of some of the sets of options. The stride shares no factor with the number of hooks."""
    passed(run_tests("test_table", *of_the_day(7)))


def test_pings_are_filtered_on_tc_as_well_on_every_kernel(run_tests):
    passed(run_tests("test_tc", "-k", "'way_in or way_out'"))


def test_nothing_gets_around_on_any_kernel(run_tests):
    passed(run_tests("test_judge", "--groups=600"))  # of the rarest sort, too, some are to be answered


@pytest.mark.parametrize("file", ["test_calls", "test_processes", "test_looking"])
def test_tracers_count_the_same_on_every_kernel(run_tests, file):
    """Each compiles, which takes longest here."""
    passed(run_tests(file, *of_the_day(3), suite="trace"))


def passed(runs):
    for host, done in runs.items():
        assert done.returncode == 0, host
        assert re.search(r"\d+ passed", done.stdout), host


def test_program_loads_with_every_feature_on_every_kernel(with_sources, everywhere, ssh_config):
    """Each value of each feature at least once, the heaviest of all together first. The tables stay in tests/output."""
    output = CHECKOUT / "tests/output"
    output.mkdir(parents=True, exist_ok=True)
    command = f"cd {PACKAGE} && PYTHONPATH={HOME}:tests/kernel python3 tests/kernel/matrix.py --together 1"
    for host, done in everywhere(lambda host: on_machine(ssh_config, host, command)).items():
        (output / f"verifier-{host}.md").write_text(done.stdout)
        assert done.returncode == 0, (host, done.stderr)
