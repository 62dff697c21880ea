# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as users run them: by Ansible's commands, from the checkout, with this machine as the managed host."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from ansible.module_utils import basic
from machine import BPFFS, DEFAULT_BASE, as_nobody, held, look, mount, ping, program, put_before, umount
from running import Command, changed, run, unchanged

FULL = "pingkiller.fleet."
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


@pytest.fixture(scope="module")
def python_without_bcc(tmp_path_factory):
    """A Python interpreter of the user that does not see the distribution's packages."""
    directory = tmp_path_factory.mktemp("python")
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", directory], check=True, timeout=60)
    return str(directory / "bin/python")


@pytest.fixture
def bcc_gone(tmp_path):
    """Hide the BCC package from every Python on the machine."""
    found = importlib.util.find_spec("bcc")
    assert found, "BCC is part of what tools/setup installs"
    empty = tmp_path / "empty"
    empty.mkdir()
    put_before(os.path.dirname(found.origin), str(empty))


@pytest.fixture
def bcc_broken(tmp_path, monkeypatch):
    """Make every new Python find a BCC that ends the process when it is imported."""
    package = tmp_path / "broken/bcc"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('BCC was imported')\n")
    (package / "libbcc.py").touch()
    (package / "version.py").write_text("__version__ = '0.26.0'\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def test_an_interface_that_came_out_blank_is_refused(command, filtered):
    result = command.module("xdp_filter", '{"state": "absent", "interface": null}')
    assert result["msg"].startswith("interface is empty: name interfaces")
    assert program("pk0")


def test_one_command_blocks_addresses_by_the_short_name(command):
    result = command.module("xdp_blocklist", "ip=192.0.2.1,2001:db8::/32 state=present")
    assert result["heading"] == "localhost | CHANGED"
    assert result["added"] == ["192.0.2.1", "2001:db8::/32"]
    assert (
        "no filter is attached on this host, so nothing is dropped yet: attach one with xdp_filter" in result["beside"]
    )
    again = command.module(f"{FULL}xdp_blocklist", "ip=192.0.2.1,2001:db8::/32")
    assert again["heading"] == "localhost | SUCCESS"
    assert held()["blocklist"] == ["192.0.2.1 direction=src owner=adhoc", "2001:db8::/32 direction=src owner=adhoc"]


def test_check_and_diff_show_what_would_come_and_go(command):
    changed("xdp_allowlist", ip="192.0.2.1")
    before = look()
    arguments = ("-m", "xdp_allowlist", "-a", "ip=192.0.2.2 exclusive=true", "--check", "--diff")
    done = command("ansible", "localhost", *arguments)
    assert "-192.0.2.1 direction=src owner=adhoc\n+192.0.2.2 direction=src owner=adhoc\n" in done.stdout
    assert "localhost | CHANGED" in done.stdout
    assert look() == before


def test_a_refusal_is_one_sentence_and_an_exit_status(command):
    done = command("ansible", "localhost", "-m", "xdp_blocklist", "-a", "ip=300.1.1.1")
    assert done.returncode == 2
    assert "localhost | FAILED! => " in done.stdout
    assert "ip='300.1.1.1' is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def play(command, tmp_path, tasks: str, **options):
    """Run a playbook with these tasks; return the output."""
    playbook = tmp_path / "play.yml"
    playbook.write_text("- hosts: localhost\n  gather_facts: false\n  tasks:\n" + tasks)
    done = command("ansible-playbook", str(playbook), **options)
    return done.stdout + done.stderr


def test_a_playbook_deploys_blocks_looks_and_removes(command, tmp_path):
    untouched = look()
    said = play(
        command,
        tmp_path,
        """
    - pingkiller.fleet.xdp_filter: {interface: [pk0, lo], policy: drop}
    - pingkiller.fleet.xdp_blocklist: {ip: [192.0.2.1, 198.51.100.0/24]}
    - pingkiller.fleet.xdp_allowlist: {ip: 192.0.2.9}
    - pingkiller.fleet.xdp_filter: {interface: [pk0, lo], policy: drop}
    - pingkiller.fleet.xdp_facts:
    - ansible.builtin.assert:
        that:
          - ansible_facts.pingkiller.filters.pk0.mode == 'native'
          - ansible_facts.pingkiller.filters.lo.mode == 'generic'
          - ansible_facts.pingkiller.filters.lo.options.policy == 'drop'
          - ansible_facts.pingkiller.lists.blocklist.count == 2
          - ansible_facts.pingkiller.lists.allowlist.entries[0].ip == '192.0.2.9'
    - pingkiller.fleet.xdp_filter: {state: absent, all: true}
""",
    )
    assert "ok=7    changed=4 " in said, said
    assert "lo runs in generic mode, which is slower, because the driver refused native mode" in said
    assert look() == untouched


def test_the_filter_is_set_up_by_the_python_that_has_bcc(command, python_without_bcc):
    result = command.module("xdp_filter", "interface=pk0 policy=drop", python=python_without_bcc)
    assert result["heading"] == "localhost | CHANGED"
    assert ping("pk0", "192.0.2.1") == "drop"
    # Both interpreters see the same state, so neither undoes the other's change.
    again = command.module(f"{FULL}xdp_filter", "interface=pk0 policy=drop", python=SYSTEM_PYTHON)
    assert again["heading"] == "localhost | SUCCESS"
    assert program("pk0") == result["filters"]["pk0"]["program"]["id"]


@pytest.mark.usefixtures("bcc_gone")
def test_without_bcc_on_the_host_the_package_to_install_is_named(command, python_without_bcc):
    said = "this host's Python has no BCC: install the package python3-bpfcc (Debian, Ubuntu) or python3-bcc (Red Hat, SUSE)"
    before = look()
    result = command.module("xdp_filter", "interface=pk0", python=python_without_bcc)
    assert (result["heading"], result["msg"]) == ("localhost | FAILED!", said)
    assert run("xdp_filter", interface="pk0")["msg"] == said
    assert look() == before


@pytest.mark.usefixtures("bcc_gone")
def test_check_mode_works_before_bcc_is_installed():
    result = run("xdp_filter", interface="pk0", check=True)
    assert result["changed"]
    assert result["warnings"] == [
        "this host has no BCC yet, so the run itself needs the package python3-bpfcc or python3-bcc first"
    ]


def test_a_filter_is_removed_without_bcc(filtered, tmp_path):
    (tmp_path / "none").mkdir()
    put_before(os.path.dirname(importlib.util.find_spec("bcc").origin), str(tmp_path / "none"))
    changed("xdp_filter", state="absent")
    assert not program(filtered)


@pytest.mark.usefixtures("bcc_broken")
def test_lists_facts_and_removal_never_import_bcc(command, tmp_path):
    said = play(
        command,
        tmp_path,
        """
    - pingkiller.fleet.xdp_blocklist: {ip: 192.0.2.1}
    - pingkiller.fleet.xdp_allowlist: {ip: 192.0.2.1, state: absent}
    - pingkiller.fleet.xdp_facts:
    - pingkiller.fleet.xdp_filter: {state: absent}
    - pingkiller.fleet.xdp_filter: {interface: pk0}
""",
    )
    assert "ok=4    changed=2    unreachable=0    failed=1 " in said, said
    assert "BCC was imported" in said


def test_lists_and_facts_work_with_a_python_that_has_no_bcc(command, python_without_bcc):
    changed("xdp_blocklist", ip="192.0.2.1")
    told = command.module("xdp_facts", "", python=python_without_bcc)["ansible_facts"]["pingkiller"]
    assert told["lists"]["blocklist"]["count"] == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xdp_filter", {"interface": "pk0"}),
        ("xdp_blocklist", {"content": "192.0.2.1 # of a customer\n" * 1000}),
        ("xdp_allowlist", {"ip": [f"192.0.{third}.{fourth}" for third in range(4) for fourth in range(256)]}),
        ("xdp_facts", {"top": 3}),
    ],
)
def test_the_journal_of_the_host_gets_a_short_line_of_each_run(filtered, tmp_path, name, arguments):
    path = tmp_path / "journal"

    def log_to_file():
        basic.has_journal = False
        basic.syslog.syslog = lambda priority, message: path.open("a").write(f"{message}\n")

    result = run(name, log_to_file, **arguments)
    assert not result.get("failed"), result
    logged = path.read_text()
    assert logged.startswith("Invoked with ")
    assert len(logged) < 300
    assert "#include" not in logged
    assert "customer" not in logged
    assert "lock_timeout" not in logged  # the task leaves it at its default
    assert next(iter(arguments)) in logged or "content" in arguments


def test_the_sources_are_not_sent_back_with_the_result(command):
    done = command("ansible", "localhost", "-vvv", "-m", "xdp_filter", "-a", "interface=pk0", "--check")
    assert '"module_args"' in done.stdout
    assert "#include" not in done.stdout


def test_a_filter_that_runs_as_asked_does_not_import_bcc(filtered):
    def forbid():
        class Refusal:
            def find_spec(self, name, *_rest):
                if name.startswith("bcc."):
                    raise AssertionError(f"{name} is imported")

        sys.meta_path.insert(0, Refusal())
        for name in [name for name in sys.modules if name.partition(".")[0] == "bcc"]:
            del sys.modules[name]  # another test may have imported it

    unchanged("xdp_filter", forbid, interface=filtered)
    with pytest.raises(AssertionError, match="is imported"):
        run("xdp_filter", forbid, interface=filtered, policy="drop")


REMOVAL = """
    - ansible.builtin.include_role: {{name: pingkiller.fleet.pingkiller}}
      vars: {{pingkiller_state: absent, pingkiller_config_dir: {directory}}}
"""
COMMAND, ENABLED = "/usr/local/sbin/pingkiller", "/etc/systemd/system/sysinit.target.wants/pingkiller.service"


@pytest.fixture
def persisted(tmp_path):
    """The configuration directory of a host as the role leaves it; everybody can make directories beside the pins.

    Only those files of the boot service are there that can be removed without a running systemd.
    """
    for top, path in (("/usr/local/sbin", COMMAND), ("/etc/systemd/system", ENABLED)):
        own = tmp_path / os.path.basename(top)
        (own / os.path.relpath(path, top)).parent.mkdir(parents=True)
        (own / os.path.relpath(path, top)).symlink_to("/nowhere/as-installed")
        put_before(top, str(own))
    umount(BPFFS)
    mount("bpf", BPFFS, options="")
    config = tmp_path / "pingkiller"
    kept = {"persist": True, "owner": "inventory", "config_dir": str(config)}
    changed("xdp_filter", interface="pk0", policy="drop", **kept)
    changed("xdp_blocklist", ip="192.0.2.1", **kept)
    return config


def left(config) -> dict:
    """Return the stored state that is left, and the files of the boot service that are left."""
    wanted = {str(path): path.read_bytes() for path in config.rglob("*") if path.is_file()}
    return {**wanted, **{path: os.readlink(path) for path in (COMMAND, ENABLED) if os.path.islink(path)}}


def test_a_removal_by_the_role_that_is_refused_has_removed_nothing(command, tmp_path, persisted):
    untouched, other = left(persisted), f"{DEFAULT_BASE}_old"
    assert {str(persisted / "filters/pk0.json"), COMMAND, ENABLED} < set(untouched)
    assert as_nobody("mkdir", other).returncode == 0
    said = play(command, tmp_path, REMOVAL.format(directory=persisted))
    assert f"{other} is a directory of user" in said, said
    assert "changed=0 " in said, said
    assert left(persisted) == untouched
    assert ping("pk0", "192.0.2.1") == "drop"
    os.rmdir(other)
    said = play(command, tmp_path, REMOVAL.format(directory=persisted))
    assert "failed=0 " in said, said
    assert left(persisted) == {}
    assert not program("pk0")
    assert not persisted.exists()
    again = play(command, tmp_path, REMOVAL.format(directory=persisted))
    assert "changed=0 " in again, again
