# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for virtual machines, which replace or extend those for containers."""

import concurrent.futures
import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RUN = Path("/var/lib/pingkiller-vm/molecule")
PATIENCE = 600  # seconds that any command on an emulated machine may take
BLOCKED, BLOCKED6, FREE, FREE6 = "203.0.113.66", "2001:db8:bad::66", "203.0.113.5", "2001:db8::5"

# What a machine writes by itself all the time, and what Ansible and these tests write after login.
NOT_OURS = ("/root", "/tmp", "/var/cache", "/var/lib/private", "/var/lib/systemd", "/var/log", "/var/tmp")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Add the last console lines of the machines to a failure's report, since the machines are gone soon after."""
    report = yield
    if report.failed:
        for path in sorted(RUN.glob("*.console")):
            lines = path.read_text(errors="replace").splitlines()
            report.sections.append((f"Console of {path.stem}", "\n".join(lines[-40:])))
    return report


@pytest.fixture(scope="session")
def tool():
    return [str(CHECKOUT / "tools/vm"), "--name", "molecule"]


@pytest.fixture(scope="session")
def run_tool(tool):
    def run(*arguments):
        return subprocess.run(
            [*tool, *arguments], text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE
        )

    return run


@pytest.fixture(scope="session")
def cut_and_start(run_tool):
    """Cut a machine's power and boot it again from the same disk, with its own kernel or that of another machine."""

    def run(host, kernel=None):
        run_tool("cut", host)
        started = run_tool("start", host, "--kernel", kernel or host)
        assert started.returncode == 0, started.stderr

    return run


@pytest.fixture(scope="session")
def hosts():
    """Names of the machines."""
    return tuple(json.loads((RUN / "ports.json").read_text()))


@pytest.fixture(scope="session")
def everywhere(hosts):
    """Call a function for all machines in parallel; return the results by machine."""

    def run(function):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return dict(zip(hosts, pool.map(function, hosts)))

    return run


@pytest.fixture(scope="session")
def ansible(ansible):
    """Run an Ansible command with a timeout that is long enough for these machines."""
    return lambda *command: ansible(*command, timeout=PATIENCE)


@pytest.fixture(scope="session")
def ssh_config():
    return str(RUN / "ssh/config")


@pytest.fixture(scope="session")
def answered(ping):
    """Return which of some sources a machine answers.

    The wait for an expected answer is long: after a boot, an address answers nothing until duplicate address detection
    has ended, which is slow on these machines.
    """

    def run(host, expected=(FREE, FREE6), refused=(BLOCKED, BLOCKED6)):
        return [source for source in expected if ping(source, host, "-w", "30")] + [
            source for source in refused if ping(source, host, "-c", "3", "-i", "0.2", patience=1)
        ]

    return run


@pytest.fixture(scope="session")
def disk(on):
    """Return all files on a machine's disk: path -> kind, mode, owner, size or target, and time of the last change."""

    def read(host):
        listed = on(host, "find", "/", "-xdev", "-printf", r"%p\t%y%m %u:%g %l\t%s %T@\n").splitlines()
        found = {}
        for path, kind, content in (line.split("\t") for line in listed):
            if not path.startswith(NOT_OURS):
                found[path] = (kind, "" if kind.startswith("d") else content)
        return found

    return read


@pytest.fixture(scope="session")
def remembered():
    """The file that keeps the state of the disks before the first deployment for later stages."""
    return RUN / "before.json"


@pytest.fixture
def stream(run_tool, on, hosts):
    """Ping a machine without pause in the background.

    Calling the result ends that; returns the number of pings sent, the numbers of those before the last answer that
    got none, and the number of answers.
    """
    numbers = itertools.count()
    begun = []

    def start(source, host):
        neighbour = hosts[(hosts.index(host) + 1) % len(hosts)]
        unit, output = f"pings-{next(numbers)}", f"/run/pings-{source}-{host}"
        target = on(host, "hostname", "-I").split()
        target = next(each for each in target if each.startswith("fd70:" if ":" in source else "198.18."))
        pinging = ["ip", "netns", "exec", "world", "ping", "-n", "-i", "0.1", "-I", source, target]
        begun.append((neighbour, unit))
        unit_options = ["--collect", f"--unit={unit}", f"--property=StandardOutput=file:{output}"]
        done = run_tool("exec", neighbour, "systemd-run", *unit_options, "--property=KillSignal=SIGINT", *pinging)
        assert done.returncode == 0, done.stderr

        def end():
            run_tool("exec", neighbour, "systemctl", "stop", unit)
            said = on(neighbour, "cat", output)
            sent = int(re.search(r"(\d+) packets transmitted", said)[1])
            answers = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)}
            return sent, sorted(set(range(1, max(answers, default=0) + 1)) - answers), len(answers)

        return end

    yield start
    for neighbour, unit in begun:
        run_tool("exec", neighbour, "systemctl", "stop", unit)


@pytest.fixture(scope="session")
def facts_of(ansible):
    """Return what xdp_facts reports for a machine."""

    def read(host):
        done = ansible("ansible", host, "-m", "xdp_facts")
        assert done.returncode == 0
        return json.loads(done.said.partition("=> ")[2])["ansible_facts"]["pingkiller"]

    return read


@pytest.fixture(scope="session")
def shell(run_tool):
    """Run a script on a machine; return its output."""

    def run(host, script):
        done = run_tool("exec", host, "sh", "-c", script)
        assert done.returncode == 0, (host, script, done.stdout, done.stderr)
        return done.stdout

    return run
