#!/bin/sh
# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shellcheck shell=sh disable=SC2154  # $directory is set in front of this text, or in its environment
# Prints marks of the files that the last deploy wrote on a host, as lines pingkiller_NAME=VALUE. probe.sh follows it in the
# preflight. The module xdp_status_info runs it alone.

# What follows starts Python as root, which must not find files of other users in the directory where the login began.
cd / || exit

say() { printf '%s\n' "pingkiller_$1=$2"; }

# Owner, mode and hash of the files that the last deploy wrote.
mark() { say "$1" "$(stat -c '%u:%g %a' "$2") $(sha256sum <"$2")"; }
# One hash over those of all files of the command, without the bytecode that Python makes of them, and without the note of
# install.py. Nothing if there are none.
installed() {
    cd /usr/local && found=$(find lib/pingkiller sbin/pingkiller share/man/man8/pingkiller.8 share/bash-completion/completions/pingkiller \
        -name __pycache__ -prune -o -path lib/pingkiller/made -prune -o -exec stat -c '%u:%g %a %n' {} + -type f -exec sha256sum {} + |
        LC_ALL=C sort) && [ -n "$found" ] && printf '%s\n' "$found" | sha256sum
}
{
    say directory "$(stat -c '%u:%g %a' "$directory")"
    mark allowlist "$directory/allowlist"
    mark blocklist "$directory/blocklist"
    say command "$(installed)"
    mark service /etc/systemd/system/pingkiller.service
    mark instance /etc/systemd/system/pingkiller@.service
    mark rules /etc/udev/rules.d/99-pingkiller.rules
    say enabled "$(readlink /etc/systemd/system/sysinit.target.wants/pingkiller.service)"
} 2>/dev/null
