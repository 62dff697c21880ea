# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/fleet, which tests and the demo need. Needs root, boots containers."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "test"


def fleet(*arguments, name=NAME):
    return subprocess.run(
        [CHECKOUT / "tools/fleet", "--name", name, *arguments],
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )


def traces(name=NAME):
    """Return everything on this machine that has the fleet's name."""
    tag = f"pk-{name}"
    found = [path for path in (f"/run/pingkiller-fleet/{name}", CHECKOUT / ".fleet" / name) if os.path.exists(path)]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if tag in line]
    found += [link for link in os.listdir("/sys/class/net") if link == tag]
    found += [line for line in run("ip", "netns").splitlines() if line.startswith(tag)]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{tag}-*")]
    found += [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/{tag}-*")]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"={tag}-".encode() in path.read_bytes() + path.with_name("environ").read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def run(*command):
    return subprocess.run(command, text=True, check=True, capture_output=True).stdout


@pytest.fixture
def clean():
    """Remove fleets of this name before and after the test."""
    fleet("down")
    yield
    fleet("down")


@pytest.fixture(scope="module")
def host():
    """A function that runs a shell command on the only host of a fleet."""
    booted = fleet("up", "--hosts", "alpha")
    assert booted.returncode == 0, booted.stderr
    yield lambda command: fleet("exec", "alpha", "sh", "-c", command).stdout.strip()
    fleet("down")


def test_host_has_a_key_and_an_id_of_its_own(host):
    assert host("cat /etc/machine-id") != Path("/etc/machine-id").read_text().strip()
    assert host("ls /etc/ssh/*_key") == "/etc/ssh/ssh_host_ed25519_key"
    assert host("hostname") == "alpha"


def test_host_sees_nothing_of_the_machines_users(host):
    assert host("ls -A /home /srv /mnt | grep -v :") == ""
    assert host("ls -A /root | grep -v -x -e .ssh -e .cache -e .ansible") == ""
    assert host(f"test -e {CHECKOUT} && echo visible") == ""
    assert host("cut -d: -f2 /etc/shadow | sort -u") == "*"


def test_host_has_a_bpf_file_system_of_its_own(host):
    assert host("findmnt -n -o FSTYPE /sys/fs/bpf") == "bpf"
    assert host("ls /sys/fs/bpf | grep -v debug") == ""


def test_host_cannot_change_settings_of_the_machine(host):
    before = Path("/proc/sys/kernel/pid_max").read_text()
    assert "Read-only" in host("(echo 12345 > /proc/sys/kernel/pid_max) 2>&1")
    assert Path("/proc/sys/kernel/pid_max").read_text() == before
    assert "not permitted" in host("date -s 2000-01-01 2>&1")


def test_host_has_default_routes_of_both_families(host):
    assert host("ip route show default").startswith("default via 198.18.")
    assert host("ip -6 route show default").startswith("default via fd70:6b:")


@pytest.mark.parametrize("source", ["192.0.2.1", "198.51.100.255", "203.0.113.0", "2001:db8:ffff::1"])
@pytest.mark.usefixtures("host")
def test_guest_pings_from_any_documentation_address(source):
    assert fleet("ping", source, "alpha", "-W", "5").returncode == 0


@pytest.mark.usefixtures("host")
def test_ping_from_what_is_no_address_is_refused_by_name():
    done = fleet("ping", "300.1.1.1", "alpha")
    assert done.returncode == 1
    assert done.stderr.startswith("fleet: '300.1.1.1' is no address")


@pytest.mark.usefixtures("host")
def test_up_of_a_fleet_that_is_up_leaves_it_running():
    before = fleet("exec", "alpha", "cat", "/proc/sys/kernel/random/boot_id").stdout
    assert fleet("up", "--hosts", "alpha").returncode == 0
    assert fleet("exec", "alpha", "cat", "/proc/sys/kernel/random/boot_id").stdout == before


def test_host_that_reboots_keeps_its_disk_and_loses_its_memory(host):
    host("echo kept > /root/kept; mkdir /sys/fs/bpf/lost; sync")
    before = host("cat /proc/sys/kernel/random/boot_id")
    fleet("exec", "alpha", "reboot")
    deadline = time.monotonic() + 60
    while host("cat /proc/sys/kernel/random/boot_id") in ("", before):
        assert time.monotonic() < deadline
    assert host("systemctl is-system-running --wait") == "running"
    assert host("cat /root/kept; ls /sys/fs/bpf | grep lost") == "kept"


def as_nobody(*command):
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]


@pytest.fixture(params=["/run", CHECKOUT / "tools/setup", CHECKOUT / ".cache", CHECKOUT])
def held_by_nobody(request):
    """Let an ordinary user hold a lock on a readable file or directory for the duration of the test."""
    with subprocess.Popen(
        as_nobody("flock", request.param, "sh", "-c", "echo held; read _end"),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        if holder.stdout.readline() != b"held\n":
            pytest.skip(f"{request.param} cannot be reached by others on this machine")
        yield
        holder.stdin.close()


@pytest.mark.usefixtures("held_by_nobody")
def test_no_lock_of_an_ordinary_user_holds_the_tools_up():
    assert fleet("down").returncode == 0
    subprocess.run([CHECKOUT / "tools/setup"], check=True, stdin=subprocess.DEVNULL, timeout=120)


def test_what_the_tools_lock_no_ordinary_user_can_open(tmp_path):
    """This includes the lock file that a killed run leaves behind."""
    subprocess.run([CHECKOUT / "tools/setup"], check=True, stdin=subprocess.DEVNULL, timeout=120)
    path = tmp_path / "lock"
    hold = f"import sys; sys.path.insert(0, {str(CHECKOUT / 'tools')!r})\n"
    hold += f"from common import locked\nwith locked({str(path)!r}): print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    for each in (path, CHECKOUT / ".cache/setup.lock"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    subprocess.run([sys.executable, "-c", hold], check=True, input=b"\n", stdout=subprocess.DEVNULL, timeout=60)
    assert not path.exists()


@pytest.mark.usefixtures("clean")
def test_down_leaves_nothing_behind():
    assert fleet("up", "--hosts", "alpha,bravo").returncode == 0
    assert fleet("status").returncode == 0
    assert fleet("down").returncode == 0
    assert traces() == []
    assert fleet("status").returncode == 1


@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.5, 0.8, 1.5])
@pytest.mark.usefixtures("clean")
def test_down_cleans_up_after_an_up_that_was_killed(seconds):
    with up() as process:
        time.sleep(seconds)
        process.kill()
    assert fleet("down").returncode == 0
    assert traces() == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.usefixtures("clean")
def test_up_that_is_interrupted_again_and_again_where_a_host_begins_cleans_up_itself(name):
    console = Path(f"/run/pingkiller-fleet/{NAME}/alpha/console.log")
    with up() as process:
        while not console.exists():
            assert process.poll() is None
        while process.poll() is None:
            process.send_signal(getattr(signal, name))
            time.sleep(0.01)  # time between two signals
    assert process.returncode == 130
    assert traces() == []


def hear_interrupts():
    """Handle signals again: a background job starts with some of them ignored."""
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, signal.SIG_DFL)


def up():
    """Boot a fleet in the background."""
    return subprocess.Popen(
        [CHECKOUT / "tools/fleet", "--name", NAME, "up", "--hosts", "alpha"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=hear_interrupts,
    )


@pytest.mark.usefixtures("clean")
def test_up_starts_anew_where_a_host_has_shut_down():
    assert fleet("up", "--hosts", "alpha,bravo").returncode == 0
    fleet("exec", "bravo", "poweroff")
    deadline = time.monotonic() + 30
    while fleet("status").returncode == 0:
        assert time.monotonic() < deadline
    assert fleet("up", "--hosts", "alpha,bravo").returncode == 0
    assert fleet("ping", "203.0.113.5", "bravo", "-W", "5").returncode == 0


@pytest.mark.usefixtures("clean")
def test_down_finds_a_host_that_outlived_what_started_it():
    assert fleet("up", "--hosts", "alpha").returncode == 0
    starters = [path for path in Path("/proc").glob("[0-9]*/cmdline") if starts_machine(path)]
    assert len(starters) == 2
    for path in starters:
        os.kill(int(path.parent.name), signal.SIGKILL)
    assert fleet("down").returncode == 0
    assert traces() == []


def starts_machine(path):
    try:
        return f"--machine=pk-{NAME}-alpha".encode() in path.read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.mark.usefixtures("clean")
def test_two_fleets_are_up_at_once():
    try:
        assert fleet("up", "--hosts", "alpha").returncode == 0
        assert fleet("up", "--hosts", "alpha", name="test2").returncode == 0
        assert fleet("ping", "203.0.113.5", "alpha", "-W", "5").returncode == 0
        assert fleet("down", name="test2").returncode == 0
        assert traces("test2") == []
        assert fleet("ping", "203.0.113.5", "alpha", "-W", "5").returncode == 0
    finally:
        fleet("down", name="test2")


@pytest.mark.usefixtures("clean")
def test_network_that_the_machine_uses_is_refused_by_name():
    assert fleet("up", "--hosts", "alpha").returncode == 0
    (address,) = json.loads(run("ip", "-j", "-4", "address", "show", "dev", f"pk-{NAME}"))[0]["addr_info"]
    fleet("down")
    network = address["local"].rpartition(".")[0] + ".128/25"
    run("ip", "link", "add", "pktaken", "type", "bridge")
    try:
        run("ip", "link", "set", "pktaken", "up")
        run("ip", "route", "add", network, "dev", "pktaken")
        done = fleet("up", "--hosts", "alpha")
    finally:
        run("ip", "link", "delete", "pktaken")
    assert done.returncode == 1
    assert network in done.stderr
    assert "pktaken" in done.stderr
    assert traces() == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--name", "Test", "up"), "'Test'"),
        (("--name", "a-b", "up"), "'a-b'"),
        (("--name", NAME, "up", "--hosts", "alpha,guest"), "'guest'"),
        (("--name", NAME, "up", "--hosts", "alpha,alpha"), "'alpha'"),
        (("--name", NAME, "up", "--root", "/proc"), "/proc"),
        (("--name", NAME, "up", "--root", "delta=/"), "'delta'"),
        (("--name", NAME, "exec", "alpha", "true"), f"'{NAME}' is down"),
    ],
)
@pytest.mark.usefixtures("clean")
def test_what_cannot_work_is_refused_by_name(arguments, named):
    done = subprocess.run([CHECKOUT / "tools/fleet", *arguments], text=True, capture_output=True)
    assert done.returncode == 1
    assert named in done.stderr
    assert traces() == []
