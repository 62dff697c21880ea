# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine for one test: mounts, /run and network interfaces that no other process sees and that end with the test.

Pins, the lock and the default route are therefore real and at their real places, and the test cannot name the
interfaces of the machine that it runs on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import socket
import struct
import subprocess
import time

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses, claims
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, netlink, schema, syscall
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import facts
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import entry_list
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

BPFFS = "/sys/fs/bpf"
CONFIG = "/etc/pingkiller"
LOCK_FILE = "/run/pingkiller.lock"
NOBODY = 65534

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_XDP, _XDP_ATTACH_TYPE = 6, 37
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_VERDICTS = {1: "drop", 2: "pass"}

BPF_CALL = syscall.NUMBER
MOUNT_CALL = {"x86_64": 165}.get(platform.machine(), 40)

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str):
    if result:
        raise OSError(ctypes.get_errno(), what)


def mount(kind: str, target: str, flags: int = 0, source: str = "none", options: str | None = None):
    if options is None:
        options = "mode=0700" if kind == "bpf" else ""  # as systemd mounts it
    arguments = source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    _checked(_libc.mount(*arguments), f"mount {target}")


def umount(target: str):
    """Unmount a directory and everything mounted below it, even while they are in use."""
    while os.path.ismount(target):
        _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def put_before(directory: str, another: str):
    """Mount another directory over a directory."""
    mount("none", directory, _MS_BIND, another)


def own_mounts():
    """Hide all later mounts of this process from other processes."""
    _checked(_libc.unshare(_CLONE_NEWNS), "unshare")
    mount("none", "/", _MS_REC | _MS_PRIVATE)


def ip(*arguments: str):
    subprocess.run(["ip", *arguments], check=True, timeout=60)


@contextlib.contextmanager
def own_machine():
    """Put this process on a machine of its own with two interfaces, pk0 and pk1, that take native XDP programs.

    On exit the process returns to its old namespaces; the kernel removes the rest.
    """
    home, directory = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("mnt", "net")], os.getcwd()
    elsewhere = _threads()  # these stay in the old namespaces
    _checked(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET), "unshare")
    try:
        mount("none", "/", _MS_REC | _MS_PRIVATE)
        mount("tmpfs", "/run")
        umount(BPFFS)  # hides the pins of the machine that runs the tests
        mount("bpf", BPFFS)
        _own_configuration()
        ip("link", "add", "pk0", "type", "veth", "peer", "name", "pk1")
        yield
    finally:
        _wait_for_the_end_of_others_than(elsewhere)
        for namespace in home:
            _checked(_libc.setns(namespace, 0), "setns")
            os.close(namespace)
        os.chdir(directory)


def _own_configuration():
    """Let this process write to /etc as it likes: what it writes ends with its mounts. Begin without CONFIG."""
    mount("tmpfs", "/mnt")
    for name in ("upper", "work"):
        os.mkdir(f"/mnt/{name}", 0o755)
    mount("overlay", "/etc", options="lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work")
    umount("/mnt")  # the overlay goes on with it
    shutil.rmtree(CONFIG, ignore_errors=True)


def _threads() -> set[str]:
    return set(os.listdir("/proc/self/task"))


def _wait_for_the_end_of_others_than(threads: set[str]):
    """Wait until new threads have ended in the kernel, too: setns fails until then, a moment after Python's join()."""
    deadline = time.monotonic() + 10
    while _threads() - threads and time.monotonic() < deadline:
        time.sleep(0.001)


@contextlib.contextmanager
def nothing_to_lock():
    """Make every attempt to create the lock file fail."""
    mount("none", "/run", _MS_REMOUNT | _MS_RDONLY)
    try:
        yield
    finally:
        mount("none", "/run", _MS_REMOUNT)


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def as_nobody(*command: str):
    """Run a command as an ordinary user of this machine."""
    them = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return subprocess.run([*them, *command], cwd="/", capture_output=True, text=True, timeout=60)


def without_call(number: int, answer: int = errno.ENOSYS):
    """Return a function that makes the kernel answer a system call of the calling process with an error."""

    def take_away():
        code = struct.pack("=HBBI", 0x20, 0, 0, 0)  # load the number of the call
        code += struct.pack("=HBBI", 0x15, 0, 1, number)  # another call: skip the next instruction
        code += struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | answer) + struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(buffer)))
        _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
        _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0), "seccomp")

    return take_away


def look() -> dict:
    """Return everything that the modules could leave or change on the machine, for comparison."""
    found = {"run": sorted(os.listdir("/run")), "bpffs is mounted": os.path.ismount(BPFFS)}
    for directory, directories, files in os.walk(BPFFS):
        for name in [*directories, *files]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            found[path] = status.st_ino, oct(status.st_mode)
    for link in netlink.links():
        found[link.name] = link.programs
    told = facts.collect(DEFAULT_BASE)
    for each in told["filters"].values():
        each["program"] and each["program"].pop("loaded_at")  # computed from two clocks, so it may be a second off
    for each in told["lists"].values():
        for entry in (*each["entries"], *each["top"]):
            del entry["expires_in"], entry["last_seen"]  # these change with time
    return {**found, "lists": held(), "told": told}


def modes() -> dict:
    """Return kind and mode of each of our directories and pins."""
    walked = list(os.walk(DEFAULT_BASE))
    paths = [DEFAULT_BASE, *(os.path.join(top, name) for top, inner, files in walked for name in inner + files)]
    return {path: (os.path.isdir(path), os.stat(path).st_mode & 0o7777) for path in paths}


def held(base: str = DEFAULT_BASE) -> dict:
    """Return the lines that describe each owner's claims, by list."""
    found = {}
    for name in schema.LISTS:
        with entry_list.opened_list(Pins(base), name) as entries:
            slots = entries.slots() if entries else ()
            lines = [
                line for slot in slots for line in claims.describe(entries.records.key(slot), entries.claims(slot))
            ]
            found[name] = sorted(lines)
    return found


def indexed(name: str) -> set:
    """Return the entries of a list that its indexes name: those that the filter finds."""
    pins = Pins(DEFAULT_BASE)
    found = set()
    for kind in schema.KINDS:
        index = pins.open_map(pins.list_pin(name, kind))
        with index:
            found |= {addresses.display(key) for key, _slot in index.items()}
    return found


def program(interface: str) -> int:
    """Return the id of the XDP program on an interface, or 0 without one."""
    return next(iter(netlink.link(interface).programs.values()), 0)


def ping(interface: str, source: str, number: int = 1) -> str:
    """Return the verdict of an interface's filter on echo requests from an IPv4 address: pass or drop."""
    with bpf.Program.from_id(program(interface)) as attached:
        return _VERDICTS[attached.test_run(echo_request(source), number).verdict]


def echo_request(source: str) -> bytes:
    ethernet = bytes(12) + b"\x08\x00"
    ipv4 = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 1, 0, socket.inet_aton(source), bytes(4))
    return ethernet + ipv4 + b"\x08" + bytes(7)


PING_BYTES = 14 + 20 + 8


_links: list[int] = []  # file descriptors


def drop_links():
    """Release the programs that links of this process hold."""
    while _links:
        os.close(_links.pop())


def put_foreign_program(interface: str, mode: str = "native", link: bool = False) -> bpf.ProgramInfo:
    """Attach a foreign program that passes everything; with ``link``, by a link that this process holds."""
    code = struct.pack("=BBhi", 0xB7, 0, 0, 2) + struct.pack("=BBhi", 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit
    with bpf.Program.load("somebody_else", _XDP, code) as foreign:
        ifindex = netlink.link(interface).ifindex
        if link:
            attributes = syscall.Attributes(
                syscall.LINK,
                prog_fd=foreign.fd,
                target_ifindex=ifindex,
                attach_type=_XDP_ATTACH_TYPE,
                flags=netlink.MODE_FLAGS[mode],
            )
            _links.append(attributes.call(syscall.LINK_CREATE))
        else:
            netlink.attach_xdp(ifindex, foreign.fd, mode)
        return foreign.info
