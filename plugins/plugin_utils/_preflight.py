# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether the role can work on a host: on the controller, from the facts of files/probe.sh.

A look is the dict that ``_look.look`` returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import quoted

_OWN_DIRECTORY = re.compile(r"(/(?!\.\.?/)[A-Za-z0-9._-]+)+/pingkiller[A-Za-z0-9._-]*")
_UNITS = ("service", "instance", "enabled", "metrics_service", "metrics_timer", "metrics_enabled")
_RESTORER = "what restores filters at boot"


class Wish(NamedTuple):
    """The values of the role's variables that matter for the checks, apart from filters and lists."""

    config_dir: str
    removal: bool = False
    persist: bool = True
    manage_packages: bool = True
    package: str = ""  #: the package with BCC; empty if its name is not known
    #: Return whether all files that restore filters at boot are as they should be. This takes a while.
    persisted: Callable[[], bool] = lambda: False


def blindness(fault: str, probe: dict, host: str) -> str:
    """Return the message about a look with a fault, given the result of the task that probed the host."""
    told = f"{probe.get('stdout', '')}{probe.get('stderr', '')}".strip()
    return (
        f"The look at {host} told {fault}. What came back, with status {probe.get('rc', 'unknown')}, is {quoted(told, 300)}: see to "
        f'it that a command like "ansible {host} -b -m ansible.builtin.raw -a uname" answers, and run again.'
    )


def host_faults(look: dict[str, str], wish: Wish, host: str) -> Iterator[str]:
    """Yield a sentence for each unmet requirement of a look without a fault.

    The first one should be fixed first; the others may depend on it.
    """
    yield from _system_faults(look, host)
    yield from _directory_faults(look, wish.config_dir, host)
    if wish.removal:
        yield from _faults_to_remove(look, wish, host)
        return
    yield from _version_faults(look, wish, host)
    yield from _bcc_faults(look, wish, host)
    yield from _writing_faults(look, wish, host)


def _older(version: str, than: tuple[int, int]) -> bool:
    """Return whether a version in a look is older. A missing version counts as older."""
    return tuple(map(int, re.findall(r"\d+", version)[:2])) < than


def _system_faults(look: dict[str, str], host: str) -> Iterator[str]:
    if look["system"] != "Linux":
        yield f"{host} runs {look['system']}, but XDP exists on Linux only: leave the host out of the play."
    if look["uid"] != "0":
        yield (
            f"The user on {host} is not root (user id {look['uid']}), but only root may load BPF programs: run the play with "
            f"become: true."
        )
    if _older(look["python"], (3, 9)):
        found = f"Python {look['python']}" if look["python"] else "No Python 3"
        yield (
            f"{found} was found on {host}, but the modules need 3.9 or newer: install one, and name it in "
            f"ansible_python_interpreter if Ansible does not find it by itself."
        )


def _directory_faults(look: dict[str, str], directory: str, host: str) -> Iterator[str]:
    if not _OWN_DIRECTORY.fullmatch(directory):
        yield (
            f"pingkiller_config_dir is {directory}, but it is removed with the role and named in its units, so it has to be a "
            f"directory of its own: an absolute path of letters, digits, dots, dashes and underscores whose last part begins with "
            f"pingkiller, as in /etc/pingkiller, with no part that is empty, . or .. and no / at the end."
        )
    if "link" in look:
        yield (
            f"{directory} on {host} is a symbolic link, which this role never makes and does not follow: find out who made it, "
            f"and remove it."
        )
    if look["directory"] and not re.fullmatch("0:[0-9]+ [0-7]?700", look["directory"]):
        yield (
            f"{directory} on {host} has owner and mode {look['directory']}, but what this role makes has 0:0 700: give it back to "
            f"root (chown 0:0, chmod 700) if it is this role's, or name another one in pingkiller_config_dir."
        )


def _version_faults(look: dict[str, str], wish: Wish, host: str) -> Iterator[str]:
    if _older(look["kernel"], (5, 10)):
        yield (
            f"{host} runs Linux {look['kernel']}, but the filter needs 5.10 or newer: upgrade the kernel, or leave the host out of "
            f"the play."
        )
    if look["bcc_python"] and _older(look["bcc_python"], (3, 9)):
        yield (
            f"BCC on {host} belongs to the system's Python, /usr/bin/python3, which is {look['bcc_python']}, but the modules need "
            f"3.9 or newer: upgrade the distribution, or leave the host out of the play."
        )
    comes_with_bcc = look["system_python"] == "" and look["bcc"] != "True"
    if wish.persist and _older(look["system_python"], (3, 9)) and not comes_with_bcc:
        yield (
            f"The command that restores filters at boot runs with the system's Python, /usr/bin/python3, which on {host} is "
            f"{look['system_python'] or 'missing'}, but it needs 3.9 or newer: set pingkiller_persist: false, or upgrade the "
            f"distribution."
        )


def _bcc_faults(look: dict[str, str], wish: Wish, host: str) -> Iterator[str]:
    if look["bcc"] == "True":
        return
    if not wish.manage_packages:
        yield (
            f"BCC is missing on {host} and pingkiller_manage_packages is false: install {wish.package or 'BCC for Python'}, or set "
            f"pingkiller_manage_packages: true."
        )
    if not wish.package:
        yield (
            f"BCC is missing on {host}, and what its package is called is not known for the distribution "
            f"{look['distribution'] or '(no /etc/os-release)'}: set pingkiller_package, or install BCC for Python yourself."
        )


def _writing_faults(look: dict[str, str], wish: Wish, host: str) -> Iterator[str]:
    if wish.persist and look["init"] != "systemd":
        yield (
            f"{host} was not booted with systemd, which is {_RESTORER}: set pingkiller_persist: false, and attach them at boot "
            f"yourself."
        )
    if wish.persist and look["unwritable"] and not wish.persisted():
        yield (
            f"{look['unwritable']} on {host} cannot be written to, but {_RESTORER} goes there: make it writable, or set "
            f"pingkiller_persist: false."
        )
    if "unwritable_config" in look:
        yield (
            f"pingkiller_config_dir is {wish.config_dir}, but on {host} {look['unwritable_config']} cannot be written to: name a "
            f"directory that can."
        )
    if wish.persist and look["network_mount"]:
        yield (
            f"pingkiller_config_dir is {wish.config_dir}, and on {host} that is on a file system that is mounted once the network "
            f"is up ({look['network_mount']}), but filters come back before that: name a directory on a local one, as "
            f"/etc/pingkiller, or set pingkiller_persist: false."
        )


def _faults_to_remove(look: dict[str, str], wish: Wish, host: str) -> Iterator[str]:
    """Yield a sentence for each place from which files cannot be removed.

    Otherwise the removal would fail after the filters are gone, and leave the files that restore them.
    """
    units = "".join(look[name] for name in _UNITS).strip()
    command = look["command"].strip()
    there = {"/usr/local/sbin": command, "/usr/local/lib": command, "/etc/systemd/system": units}
    if any(directory in look["unwritable"] and files for directory, files in there.items()):
        yield (
            f"{look['unwritable']} on {host} cannot be written to, but {_RESTORER} is to be removed from there: make it writable."
        )
    if "unwritable_config" in look and look["directory"]:
        yield f"{wish.config_dir} on {host} is to be removed, but cannot be written to: make it writable."
