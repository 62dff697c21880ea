# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that boot with something else than they had when PingKiller was deployed to them."""

import subprocess

import pytest

BLOCKED, FREE, FREE6 = "203.0.113.66", "203.0.113.5", "2001:db8::5"
BCC = "/usr/lib/python3/dist-packages/bcc"


@pytest.fixture
def without_compiler(everywhere, shell):
    """What a filter cannot be compiled without is gone, as after an upgrade that went wrong."""
    try:
        everywhere(lambda host: shell(host, f"mv {BCC} /root/bcc"))
        yield
    finally:
        everywhere(lambda host: shell(host, f"mv /root/bcc {BCC}; systemctl restart pingkiller.service"))


@pytest.mark.usefixtures("without_compiler")
def test_what_cannot_be_restored_is_loud_and_keeps_neither_the_lists_nor_the_machine_from_coming_up(
    everywhere, run_tool, shell, answered
):
    for host, done in everywhere(lambda host: run_tool("reboot", host)).items():
        assert f"{host} is up, but some of its units failed: pingkiller.service" in done.stderr, done.stderr
        assert "BCC" in shell(host, "journalctl --boot --priority=err --unit=pingkiller.service --output=cat")
        assert BLOCKED in shell(host, "pingkiller list blocklist")
        assert shell(host, "ip link show | grep prog/xdp; ls /sys/fs/bpf/pingkiller/filters || true") == ""
    everybody = (BLOCKED, FREE, FREE6)
    assert set(map(tuple, everywhere(lambda host: answered(host, everybody, ())).values())) == {everybody}


@pytest.fixture
def with_modules_of(tool, cut_and_start, on, shell):
    """A machine that has the modules of another's kernel, too. It ends with its own kernel, also if the test fails."""
    given = []

    def give(host, other):
        release = on(other, "uname", "-r").strip()
        given.append((host, release))
        with subprocess.Popen(
            [*tool, "exec", other, "tar", "-c", "-C", "/lib/modules", release], stdout=subprocess.PIPE
        ) as modules:
            unpack = [*tool, "exec", host, "sh", "-c", "tar -x -C /lib/modules && sync"]
            subprocess.run(unpack, stdin=modules.stdout, check=True, timeout=300)

    yield give
    for host, release in given:
        if on(host, "uname", "-r").strip() == release:
            cut_and_start(host)
        shell(host, f"rm -r /lib/modules/{release}")


def test_filter_is_back_with_another_kernel_and_with_the_former_one_again(
    hosts, with_modules_of, cut_and_start, on, deploy, facts_of, state_of, answered
):
    host, newer = "debian12", "debian13"
    if not {host, newer} <= set(hosts):
        pytest.skip(f"the kernel of {newer} is to boot {host}, and both take part on another day")
    before, builds = state_of(host), [build_of(facts_of(host))]
    with_modules_of(host, newer)
    for kernel in (newer, host):
        cut_and_start(host, kernel)
        assert on(host, "uname", "-r") == on(kernel, "uname", "-r")
        assert state_of(host) == before
        builds.append(build_of(facts_of(host)))
        assert answered(host) == [FREE, FREE6]
    assert deploy("--limit", host).changed == {host: 0}
    assert builds[0] == builds[2] != builds[1]


def build_of(facts):
    return facts["filters"]["eth1"]["build_id"]
