# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all scenarios: pings from the guest, playbooks as users run them, the contents of a host's disk."""

import hashlib
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
FLEET = "molecule"
HOSTS = ("alpha", "bravo", "charlie")

# What a host writes by itself all the time, and what Ansible leaves in the home of its login user.
NOT_OURS = ("root/.ansible", "var/log", "var/tmp", "var/lib/systemd", "var/lib/private", "var/cache", "tmp", "run")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Write the report of every stage of a scenario to a file of its own, which tools/test counts."""
    scenario, _tests, stage, *_ = Path(config.args[0]).resolve().relative_to(CHECKOUT / "molecule").parts
    config.option.xmlpath = str(CHECKOUT / f"tests/output/molecule-{scenario}-{stage}.xml")


@pytest.fixture(scope="session")
def tool():
    """The command that manages the hosts."""
    return [str(CHECKOUT / "tools/fleet"), "--name", FLEET]


@pytest.fixture(scope="session")
def run_tool(tool):
    """Run that command with arguments."""

    def run(*arguments, timeout=60):
        return subprocess.run(
            [*tool, *arguments], text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout
        )

    return run


@pytest.fixture(scope="session")
def guest(run_tool):
    """Run a command in the guest's network."""
    return lambda *command: run_tool("exec", "guest", *command)


@pytest.fixture(scope="session")
def on(run_tool):
    """Run a command on a host and return what it printed."""
    return lambda host, *command: run_tool("exec", host, *command).stdout


@pytest.fixture(scope="session")
def subcommands():
    """A script that runs each subcommand of ``pingkiller`` once. It prints their number, and before that what went wrong."""
    return (CHECKOUT / "molecule/subcommands.sh").read_text()


@pytest.fixture(scope="session")
def ping(run_tool):
    """Ping a host once from an address; return whether it answers. A ping that cannot be sent fails the test."""

    def send(source, host, *options, patience=1):
        done = run_tool("ping", source, host, "-W", str(patience), *options)
        assert done.returncode in (0, 1), (source, host, done.stdout, done.stderr)
        return done.returncode == 0

    return send


@pytest.fixture(scope="session")
def reboot(on):
    """Reboot a host, wait until it has booted and accepts commands, and return its state as systemd names it."""

    def boot(host):
        begun = ("systemctl", "show", "--property=UserspaceTimestampMonotonic,UserspaceTimestamp")
        before = on(host, *begun)
        on(host, "systemctl", "reboot")
        deadline = time.monotonic() + 90
        while on(host, *begun) in ("", before):
            assert time.monotonic() < deadline, f"{host} did not come back"
            time.sleep(0.1)  # interval between two checks
        return on(host, "systemctl", "is-system-running", "--wait").strip()

    return boot


@pytest.fixture
def stream(tool):
    """Ping a host without pause in the background. Calling the result stops that; returns pings sent and answered."""
    running = []

    def start(source, host):
        command = [*tool, "ping", source, host, "-c", "1000000", "-i", "0.002", "-q"]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, start_new_session=True)
        running.append(process)

        def end():
            os.killpg(process.pid, signal.SIGINT)
            said, _ = process.communicate(timeout=10)
            return tuple(map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups()))

        return end

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Run:
    """The output of ansible-playbook, and what it says about the run."""

    returncode: int
    said: str

    @property
    def recap(self):
        """Host -> numbers of tasks that were ok, changed, failed and so on."""
        rows = re.findall(r"^(\S+)\s*: (ok=.*)$", self.said.partition("PLAY RECAP")[2], re.MULTILINE)
        return {host: {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", row)} for host, row in rows}

    @property
    def tasks(self):
        """Output of each task: name -> lines."""
        found = {}
        for part in self.said.partition("PLAY RECAP")[0].split("\nTASK [")[1:]:
            name, _, said = part.partition("\n")
            found.setdefault(name.rpartition("]")[0], []).extend(said.splitlines())
        return found

    @property
    def changes(self):
        """Changes: task, host, and the item if the task has any."""
        return {
            (task, *match.groups())
            for task, lines in self.tasks.items()
            for line in lines
            if (match := re.match(r"changed: \[(\w+)\](?: => \(item=(.*)\))?", line))
        }

    @property
    def warnings(self):
        """Warnings: task and line. A warning of several hosts is printed only once."""
        return {(task, line) for task, lines in self.tasks.items() for line in lines if line.startswith("[WARNING]: ")}

    @property
    def differences(self):
        """Lines that --diff shows as added or removed: task -> lines, sorted because hosts come in any order."""
        found = {
            task: sorted(line for line in lines if re.match(r"[+-](?![+-]{2} )", line))
            for task, lines in self.tasks.items()
        }
        return {task: lines for task, lines in found.items() if lines}

    @property
    def changed(self):
        """Host -> number of tasks that changed something."""
        return {host: counts["changed"] for host, counts in self.recap.items()}


@pytest.fixture(scope="session")
def ansible(pytestconfig):
    """Run an Ansible command as users of the checkout do, with the scenario's inventory."""

    def run(*command, timeout=300):
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        environment["ANSIBLE_CONFIG"] = str(CHECKOUT / "ansible.cfg")
        environment["ANSIBLE_INVENTORY"] = pytestconfig.getoption("ansible_inventory")
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        print(done.stdout)
        return Run(done.returncode, done.stdout)

    return run


@pytest.fixture(scope="session")
def playbook(ansible):
    """Run a playbook."""
    return lambda name, *arguments: ansible("ansible-playbook", name, *arguments)


@pytest.fixture(scope="session")
def by_hand(ansible):
    """Add an address to the blocklist of hosts with an ad hoc command, or remove it."""

    def run(state, ip, hosts="all"):
        return ansible("ansible", hosts, "-m", "xdp_blocklist", "-a", f"ip={ip} state={state}")

    return run


@pytest.fixture(scope="session")
def deploy(playbook):
    """Deploy, with variables that replace those of the inventory or add to them."""

    def run(*arguments, **variables):
        return playbook("deploy-pingkiller.yml", "--extra-vars", json.dumps(variables), *arguments)

    return run


@pytest.fixture(scope="session")
def ssh_config():
    return str(CHECKOUT / f".fleet/{FLEET}/ssh/config")


@pytest.fixture(scope="session")
def disk():
    """Return all changes on a host's disk since the host was made: path -> kind, mode and content."""

    def read(host):
        upper = Path(f"/run/pingkiller-fleet/{FLEET}/{host}/upper")
        return {
            str(path.relative_to(upper)): describe(path)
            for path in sorted(upper.rglob("*"))
            if not str(path.relative_to(upper)).startswith(NOT_OURS) and not is_copy(path, upper)
        }

    return read


def is_copy(path, upper):
    """Return whether a directory exists only because the overlay copied it when a file was put into it."""
    original = Path("/") / path.relative_to(upper)
    return path.is_dir() and original.is_dir() and path.lstat().st_mode == original.lstat().st_mode


def describe(path):
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "link", os.readlink(path)
    content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
    return oct(status.st_mode), content


@pytest.fixture(scope="module")
def module(host):
    """Run a module on a host as an ad hoc command does; return its result."""

    def run(name, check=False, **options):
        arguments = shlex.join(f"{key}={value}" for key, value in options.items())
        return host.ansible(f"pingkiller.fleet.{name}", arguments or None, check=check)

    return run


@pytest.fixture(scope="module")
def facts(module):
    """Return what xdp_facts reports for a host."""
    return lambda **options: module("xdp_facts", **options)["ansible_facts"]["pingkiller"]


@pytest.fixture
def name(host):
    """The name of a host in the inventory."""
    return host.check_output("hostname")
