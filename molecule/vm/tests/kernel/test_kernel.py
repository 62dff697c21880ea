"""The kernel's tests, run on the machines: with the kernel, the Python, BCC and pytest that their release has."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
HOME = "/tmp/pingkiller"
PACKAGE = f"{HOME}/ansible_collections/pingkiller/fleet"


@pytest.fixture(scope="module")
def with_sources(everywhere, ssh_config):
    """The library, the C and the tests are on the machines."""

    def copy(host):
        unpack = f"mkdir -p {PACKAGE} && tar -x -z -C {PACKAGE}"
        with subprocess.Popen(["tar", "-c", "-z", *TAKEN], cwd=CHECKOUT, stdout=subprocess.PIPE) as tar:
            subprocess.run(["ssh", "-F", ssh_config, host, unpack], stdin=tar.stdout, check=True, timeout=300)

    everywhere(copy)


TAKEN = ("--exclude=__pycache__", "--exclude=.hypothesis", "bpf", "plugins", "tests/kernel")


@pytest.fixture(scope="module")
def run_tests(with_sources, everywhere, ssh_config):
    """Run a file of tests on all machines at once; what it said, by machine."""

    def run(file, *options):
        command = f"cd {PACKAGE} && PYTHONPATH={HOME}:tests/kernel PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -q -c /dev/null"
        command += (
            f" -p no:cacheprovider --import-mode=importlib --rootdir=. {' '.join(options)} tests/kernel/{file}.py"
        )
        done = everywhere(
            lambda host: subprocess.run(
                ["ssh", "-F", ssh_config, host, command], text=True, capture_output=True, timeout=1500
            )
        )
        for host, each in done.items():
            print(f"--- {host}\n{each.stdout[-4000:]}{each.stderr[-2000:]}")
        return done

    return run


@pytest.mark.parametrize("file", ["test_table", "test_matrix", "test_tc", "test_counts", "test_traffic"])
def test_tests_pass_on_every_kernel(run_tests, file):
    for host, done in run_tests(file).items():
        assert done.returncode == 0, host
        assert re.search(r"\d+ passed", done.stdout), host
