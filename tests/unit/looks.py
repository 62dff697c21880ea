# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that the role's probe prints about a host, by name."""

#: The facts of a host on which PingKiller can be deployed and is not deployed yet.
FIT = {
    "system": "Linux",
    "kernel": "6.1.0-18-amd64",
    "uid": "0",
    "interfaces": "",
    "alternative_names": "",
    "distribution": "debian ",
    "python": "3.11",
    "system_python": "3.11",
    "bcc": "True",
    "bcc_python": "3.11",
    "init": "systemd",
    "udev": "",
    "unwritable": "",
    "network_mount": "",
    "directory": "",
    "allowlist": " ",
    "blocklist": " ",
    "command": " ",
    "service": " ",
    "instance": " ",
    "rules": " ",
    "enabled": "",
    "metrics_service": " ",
    "metrics_timer": " ",
    "metrics_enabled": "",
    "metrics_file": "",
    "metrics_directory": "",
}
