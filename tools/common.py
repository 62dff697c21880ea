# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions and settings that tools/fleet and tools/vm share."""

import contextlib
import fcntl
import os
import select
import shlex
import subprocess
import time

# Addresses that belong to nobody (RFC 5737, RFC 3849). The side that simulates the rest of the world owns all of them.
WORLD = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")

SSHD_CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
Subsystem sftp internal-sftp
"""

SSH_CONFIG = """\
{hosts}
Host *
    User root
    IdentityFile {state}/ssh/id_ed25519
    IdentitiesOnly yes
    UserKnownHostsFile {state}/ssh/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    ConnectTimeout 10
    LogLevel ERROR
"""

KEYGEN = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "")


class Trouble(Exception):
    """What went wrong, in one sentence that says what to do."""


def sh(*command, check=True):
    """Run a command quietly and return its output. If it fails, its output is in the error."""
    done = subprocess.run(
        [str(part) for part in command],
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise Trouble(f"'{shlex.join(str(part) for part in command)}' failed: {said}")
    return done.stdout.strip()


@contextlib.contextmanager
def locked(path):
    """Hold a lock in a file. The last holder removes the file.

    Only its owner may open it, since everyone who can open a file can lock it.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.lstat(path), os.fstat(lock)):
                break
        os.close(lock)  # the previous holder has removed this file
    try:
        yield
    finally:
        os.unlink(path)
        os.close(lock)


def put(path, content, mode=0o644):
    """Write a file that is never readable with a wrong mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)


def wait_for_end(handles, patience):
    """Wait until all processes have ended, for at most ``patience`` seconds. The handles come from pidfd_open."""
    deadline = time.monotonic() + patience
    for handle in handles:
        select.select([handle], [], [], max(0, deadline - time.monotonic()))
