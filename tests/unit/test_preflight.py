# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the preflight checks: which facts of a host are refused, and what the message proposes."""

from __future__ import annotations

import pytest
from looks import FIT

from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _preflight
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._preflight import Wish

WISH = Wish("/etc/pingkiller", package="python3-bpfcc")
REMOVAL = WISH._replace(removal=True)
UNRESTORED = WISH._replace(persist=False)


def faults(look: dict, wish: Wish = WISH) -> list[str]:
    return list(_preflight.host_faults({**FIT, **look}, wish, "alpha"))


@pytest.mark.parametrize(
    ("look", "wish"),
    [
        ({}, WISH),
        ({}, REMOVAL),
        ({"kernel": "5.10.0", "python": "3.9", "system_python": "3.9", "bcc_python": "3.9"}, WISH),
        ({"kernel": "7", "python": "4.0"}, WISH),
        ({"kernel": "4.18.0", "bcc": "False", "distribution": ""}, REMOVAL._replace(package="")),
        ({"init": ""}, UNRESTORED),
        ({"directory": "0:5 2700"}, WISH),
        ({}, WISH._replace(config_dir="/srv/.a/..b/pingkiller.d")),
        ({"network_mount": "nfs4 on /srv"}, UNRESTORED),
        ({"network_mount": "nfs4 on /srv"}, REMOVAL),
        ({"unwritable": "/usr/local/sbin /etc/systemd/system", "unwritable_config": "/etc"}, REMOVAL),
        ({"unwritable": "/etc/systemd/system", "command": "0:0 755 f0  -"}, REMOVAL),
        ({"unwritable": "/usr/local/sbin"}, UNRESTORED),
        ({"unwritable": "/usr/local/sbin"}, WISH._replace(persisted=lambda: True)),
        ({"system_python": "3.8"}, UNRESTORED),
        ({"system_python": "", "bcc": "", "bcc_python": ""}, WISH),
        ({"bcc": "True", "distribution": "plan9"}, WISH._replace(package="", manage_packages=False)),
    ],
)
def test_fit_host_is_not_refused(look, wish):
    assert faults(look, wish) == []


@pytest.mark.parametrize(
    ("look", "wish", "fault", "way_out"),
    [
        ({"system": "Darwin", "kernel": "23.1.0"}, WISH, "alpha runs Darwin", "leave the host out of the play"),
        ({"uid": "1000"}, WISH, "not root (user id 1000)", "become: true"),
        ({"python": ""}, WISH, "No Python 3 was found on alpha", "ansible_python_interpreter"),
        ({"python": "3.8"}, REMOVAL, "Python 3.8 was found on alpha", "3.9 or newer"),
        ({"kernel": "5.4.0-150-generic"}, WISH, "alpha runs Linux 5.4.0-150-generic", "5.10 or newer"),
        ({"kernel": "5"}, WISH, "alpha runs Linux 5", "5.10 or newer"),
        ({"bcc_python": "3.8"}, WISH, "/usr/bin/python3, which is 3.8", "upgrade the distribution"),
        ({"system_python": "3.8"}, WISH, "on alpha is 3.8", "set pingkiller_persist: false"),
        ({"system_python": ""}, WISH, "on alpha is missing", "set pingkiller_persist: false"),
        (
            {"bcc": "False"},
            WISH._replace(manage_packages=False),
            "BCC is missing on alpha and",
            "install python3-bpfcc, or set pingkiller_manage_packages",
        ),
        (
            {"bcc": "False", "distribution": "plan9"},
            WISH._replace(package=""),
            "distribution plan9",
            "set pingkiller_package",
        ),
        ({"bcc": "False", "distribution": ""}, WISH._replace(package=""), "(no /etc/os-release)", "or install BCC"),
        ({"init": ""}, WISH, "alpha was not booted with systemd", "set pingkiller_persist: false"),
        ({"link": "True"}, REMOVAL, "/etc/pingkiller on alpha is a symbolic link", "remove it"),
        ({"directory": "0:0 755"}, WISH, "has owner and mode 0:0 755", "name another one in pingkiller_config_dir"),
        ({"directory": "1000:1000 700"}, REMOVAL, "has owner and mode 1000:1000 700", "name another one"),
        ({"directory": "0:0 700\n"}, WISH, "has owner and mode", "name another one"),
        (
            {"unwritable": "/usr/local/sbin"},
            WISH,
            "/usr/local/sbin on alpha cannot be written to",
            "set pingkiller_persist: false",
        ),
        (
            {"unwritable_config": "/etc"},
            UNRESTORED,
            "pingkiller_config_dir is /etc/pingkiller, but on alpha /etc cannot",
            "name a directory that can",
        ),
        (
            {"network_mount": "nfs4 on /etc"},
            WISH,
            "mounted once the network is up (nfs4 on /etc)",
            "name a directory on a local one, as /etc/pingkiller, or set pingkiller_persist: false",
        ),
        (
            {"unwritable": "/usr/local/sbin", "command": "0:0 755 f0  -"},
            REMOVAL,
            "/usr/local/sbin on alpha cannot be",
            "make it writable",
        ),
        (
            {"unwritable": "/etc/systemd/system", "enabled": "/etc/systemd/system/pingkiller.service"},
            REMOVAL,
            "/etc/systemd/system on alpha cannot be",
            "make it writable",
        ),
        (
            {"unwritable_config": "/etc/pingkiller", "directory": "0:0 700"},
            REMOVAL,
            "/etc/pingkiller on alpha is to be removed, but cannot be written to",
            "make it writable",
        ),
    ],
)
def test_unfit_host_is_told_the_reason_and_the_way_out(look, wish, fault, way_out):
    told = faults(look, wish)[0]
    assert fault in told
    assert way_out in told
    assert told.endswith(".")


@pytest.mark.parametrize(
    "directory",
    [
        "/etc",
        "/srv/my files/pingkiller",
        "$HOME/pingkiller",
        "/srv/100%n/pingkiller",
        "/srv/pingkiller\\",
        "/srv/pingkiller\n",
        "/etc/../x/pingkiller",
        "/etc/./pingkiller",
        "/etc//pingkiller",
        "/etc/pingkiller/",
        "/etc/pingkiller/..",
        "pingkiller",
        "",
    ],
)
@pytest.mark.parametrize("wish", [WISH, REMOVAL])
def test_directory_that_cannot_be_removed_or_named_in_units_is_refused(directory, wish):
    (told,) = faults({}, wish._replace(config_dir=directory))
    assert told.startswith(f"pingkiller_config_dir is {directory}, but it is removed with the role")


def test_what_takes_a_while_is_not_looked_for_where_nothing_depends_on_it():
    def unasked():
        raise AssertionError("it was asked")

    for look, wish in (({}, WISH), ({"unwritable": "/usr/local/sbin"}, REMOVAL)):
        assert faults(look, wish._replace(persisted=unasked)) == []


def test_look_that_told_nothing_is_shown_with_the_way_to_try_it():
    told = _preflight.blindness("nothing", {"rc": 127, "stdout": "\x1b[31mfish: Unknown command\r\n"}, "alpha")
    assert told.startswith("The look at alpha told nothing. What came back, with status 127, is ")
    assert "fish: Unknown command" in told
    assert 'ansible alpha -b -m ansible.builtin.raw -a uname"' in told
    assert told.isprintable()
    assert 'with status unknown, is "": see to it' in _preflight.blindness("nothing", {}, "alpha")
