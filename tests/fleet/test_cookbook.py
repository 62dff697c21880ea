# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow docs/cookbook.md on real hosts: write its files and run its commands, in order."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "cookbook"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEED = [f"198.51.100.{number}" for number in range(1, 102)]
VERSION = re.search(r"^version: (.+)$", (CHECKOUT / "galaxy.yml").read_text(), re.MULTILINE)[1]
NEXT_VERSION = "0.2.0"

# Programs that log every login, whatever it is for.
SESSIONS = {"sshd", "sshd-session", "sudo", "su", "systemd-logind"}


def fleet(*arguments):
    command = [CHECKOUT / "tools/fleet", "--name", NAME, *arguments]
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def on(host, command):
    """Run a shell command on a host; return its output."""
    return fleet("exec", host, "sh", "-c", command).stdout


def answers(source, host):
    return fleet("ping", source, host, "-W", "5").returncode == 0


def is_silent(source, host):
    done = fleet("ping", source, host, "-c", "3", "-i", "0.01", "-W", "0.3")
    return done.returncode == 1 and " 0 received" in done.stdout


@contextlib.contextmanager
def silence(source, host):
    """Ping a host without pause in the background, and check that it never answers."""
    command = [CHECKOUT / "tools/fleet", "--name", NAME, "ping", source, host, "-c", "1000000", "-i", "0.002", "-q"]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=10)
    sent, answered = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())
    assert sent > 100
    assert answered == 0


@dataclass
class Cook:
    """A reader who follows the page from its top, in a directory, with the blocks that are still to do."""

    directory: Path
    environment: dict
    blocks: list

    def follow(self, name):
        """Do everything on the page up to the block of this name; return what that returned."""
        while True:
            kind, named, text = self.blocks.pop(0)
            said = self.do(text) if kind == "console" else self.write(text)
            if named == name:
                return said

    def write(self, text):
        """Write a file, which has its name in its first line."""
        path = self.directory / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def do(self, text):
        """Run commands, check what each prints, and return their output."""
        return [self.run(*part.partition("\n")[::2]) for part in text.removeprefix("$ ").split("\n$ ")]

    def run(self, command, printed=""):
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.directory,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        print(f"$ {command}\n{done.stdout}")
        assert (done.returncode != 0) == ("failed=1" in printed), done.stdout
        assert re.search(pattern_of(printed), done.stdout, re.MULTILINE), printed
        return done.stdout


def pattern_of(printed):
    """Return a pattern for output on the page: [...] alone stands for any lines, within a line for any text."""
    lines = printed.strip().splitlines()
    parts = ("(?s:.*)" if line == "[...]" else re.escape(line).replace(r"\[\.\.\.\]", ".*") for line in lines)
    return r"\s*".join(parts)


@pytest.fixture(scope="module")
def cook(tmp_path_factory):
    """Two hosts, and an empty directory on the controller with the checkout installed as the collection."""
    directory = tmp_path_factory.mktemp("controller")
    fleet("down")
    booted = fleet("up", "--hosts", "alpha,bravo")
    assert booted.returncode == 0, booted.stderr
    state = CHECKOUT / ".fleet" / NAME
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": f"{directory}/collections:{CHECKOUT}/.collections",
        "ANSIBLE_DIFF_ALWAYS": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        "ANSIBLE_SSH_ARGS": f"-F {state}/ssh/config -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": f"/run/pingkiller-fleet/{NAME}/cp",
    }
    yield Cook(directory, environment, BLOCK.findall((CHECKOUT / "docs/cookbook.md").read_text()))
    fleet("down")


def changes(said, host="alpha"):
    """Return what a run changed on a host, or would change: lines of diffs, each diff followed by what changed."""
    found, differences = [], []
    for line in said.partition("PLAY RECAP")[0].splitlines():
        if end := re.match(r"changed: \[(\w+)\]|(\w+) \| CHANGED", line):
            found += [*differences, line] if host in end.groups() else []
            differences = []
        elif re.match(r"[+-](?![+-]{2} )", line):
            differences.append(line)
    return found


class Journal:
    """New lines in a host's journal."""

    def __init__(self, host):
        self.host = host
        self.cursor = on(host, "journalctl -n 0 --show-cursor").rpartition("cursor: ")[2].strip()

    def lines(self):
        entries = on(self.host, f"journalctl --sync; journalctl -o json --after-cursor '{self.cursor}'").splitlines()
        found = map(json.loads, entries)
        return [str(each.get("MESSAGE")) for each in found if each.get("SYSLOG_IDENTIFIER") not in SESSIONS]

    def must_be_light(self):
        """Check that the run is logged, without long texts."""
        said = "\n".join(self.lines())
        assert "Invoked with" in said
        assert "#include" not in said
        assert FEED[-1] not in said
        assert len(said) < 1024, said


def test_first_deployment_filters_and_leaves_less_than_a_kilobyte_in_the_journal(cook):
    journal = Journal("alpha")
    cook.follow("first-deployment")
    journal.must_be_light()
    assert is_silent("203.0.113.66", "alpha")
    assert is_silent("2001:db8:bad::1", "bravo")
    assert answers("203.0.113.5", "alpha")


def test_feed_is_predicted_taken_and_refused_whole(cook):
    published = cook.directory / "published.txt"
    published.write_text("\n".join(FEED))
    cook.write(f"# group_vars/fleet.yml\nfeed_url: file://{published}\n")  # the page's URL cannot be reached here
    (foretold,) = cook.follow("feed-check")
    assert answers(FEED[0], "alpha")
    journal = Journal("alpha")
    (done,) = cook.follow("feed")
    journal.must_be_light()
    assert changes(foretold) == changes(done) != []
    assert sum(line.startswith("+") for line in changes(foretold)) == 2 * len(FEED)  # in the list, and for the boot
    assert is_silent(FEED[0], "alpha")
    again = cook.run("ansible-playbook feed.yml -vvv")
    assert changes(again) == []
    assert '"module_args"' in again
    assert FEED[-1] not in again
    published.write_text("# moved to another place\n")
    cook.run("ansible-playbook feed.yml", "[...]has no entry in it[...]\n[...]\n[...]failed=1[...]")
    published.write_text("300.1.1.1\n203.0.113.9\n")
    cook.follow("feed-refused")
    assert is_silent(FEED[-1], "bravo")
    assert answers("203.0.113.9", "bravo")


def test_feed_that_hosts_fetch_is_taken_and_leaves_less_than_a_kilobyte_in_the_journal(cook):
    for host in ("alpha", "bravo"):
        on(host, "echo 192.0.2.99 > /var/lib/scanners.txt")
    journal = Journal("alpha")
    cook.follow("hosts-feed")
    journal.must_be_light()
    assert is_silent("192.0.2.99", "bravo")


def test_allowlist_wins_over_a_feed(cook):
    assert is_silent("198.51.100.7", "alpha")
    (done,) = cook.follow("allowlist")
    tasks = [line for line in changes(done) if line.startswith("changed")]
    assert tasks == ["changed: [alpha] => (item=allowlist)", "changed: [alpha]"]  # earlier commands left nothing to do
    assert answers("198.51.100.7", "alpha")
    assert is_silent("198.51.100.20", "alpha")


def test_policy_drop_is_counted_first_then_rolled_out_and_taken_back(cook):
    cook.follow("monitor")
    assert fleet("ping", "203.0.113.5", "alpha", "-c", "3", "-i", "0.01").returncode == 0
    cook.follow("monitored")
    (rollout,) = cook.follow("rollout")
    assert rollout.count("PLAY [") == 2
    assert is_silent("203.0.113.5", "bravo")
    assert answers("192.0.2.10", "bravo")
    cook.follow("back")
    assert answers("203.0.113.5", "bravo")


def test_upgrade_lets_nothing_through(cook, tmp_path):
    build_next_version(tmp_path, cook.directory)
    with silence("203.0.113.66", "bravo"):
        _, foretold, done = cook.follow("upgrade")
    assert changes(foretold) == changes(done) != []
    assert on("bravo", "pingkiller --version") == f"pingkiller {NEXT_VERSION}\n"


# A second interface of a host, and a client behind it that pings from an address of the feed.
OTHER_INTERFACE = f"""
ip netns add beyond && ip link add eth1 type veth peer name eth0 netns beyond &&
ip address add 10.9.9.1/24 dev eth1 && ip link set eth1 up && ip route add {FEED[-1]} dev eth1 &&
ip -n beyond address add {FEED[-1]}/32 dev eth0 && ip -n beyond link set eth0 up && ip -n beyond route add 10.9.9.0/24 dev eth0
"""


def test_filter_moves_to_another_interface(cook):
    def arrives():
        return " 0% packet loss" in on("alpha", "ip netns exec beyond ping -c 1 -W 5 10.9.9.1")

    on("alpha", OTHER_INTERFACE)
    assert arrives()
    foretold, done, _ = cook.follow("move")
    assert changes(foretold) == changes(done) != []
    assert not arrives()
    assert answers("203.0.113.66", "alpha")


def test_second_filter_stops_what_leaves(cook):
    assert " 0% packet loss" in on("bravo", "ping -c 1 -W 5 203.0.113.200")
    cook.follow("both-directions")
    assert "100% packet loss" in on("bravo", "ping -c 1 -W 1 203.0.113.200")
    assert is_silent("203.0.113.200", "bravo")


def test_host_that_is_taken_out_has_nothing_left_and_the_others_have_nothing_to_do(cook):
    journals = [Journal("alpha"), Journal("bravo")]
    (done,) = cook.follow("take-out")
    for journal in journals:
        journal.must_be_light()
    assert changes(done, "alpha") == []
    assert answers("203.0.113.66", "bravo")
    cook.run("ansible-playbook feed.yml --limit bravo")
    assert on("bravo", "ls -d /etc/pingkiller /sys/fs/bpf/pingkiller /usr/local/sbin/pingkiller") == ""
    assert cook.blocks == []


def build_next_version(work, destination):
    """Build the artifact of a future version with a different program."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target, follow_symlinks=False)
    for name in ("galaxy.yml", "plugins/module_utils/_pingkiller/__init__.py"):
        path = work / name
        assert VERSION in path.read_text()
        path.write_text(path.read_text().replace(VERSION, NEXT_VERSION))
    with open(work / "bpf/pingkiller.c", "a") as file:
        file.write("/* another one */\n")
    command = [Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", destination]
    subprocess.run(command, cwd=work, check=True, capture_output=True)
