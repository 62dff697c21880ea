#!/bin/sh
# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs each subcommand of pingkiller once on a host with the inventory's filters, and leaves the host as it was. Prints what
# did not end with the expected status, with its output, and then how many subcommands there are.

tried=
expect() {
    status=$1 line=$2
    said=$(eval "$line" 2>&1 </dev/null)
    ended=$?
    [ $ended = "$status" ] || printf '%s ended with %s:\n%s\n' "$line" $ended "$said"
    tried="$tried $line"
}

expect 0 'pingkiller status'
expect 0 'pingkiller stats'
expect 0 'pingkiller block 203.0.113.77 198.18.9.0/28 --owner once --ttl 1h --comment "each subcommand once"'
expect 0 'pingkiller block 203.0.113.77 --owner once --ttl 1h --comment "each subcommand once"'
expect 0 'printf "add 203.0.113.78 comment=\"a line\"\nadd 203.0.113\n" | pingkiller stream --owner once | grep -c "^changed$\|^error"'
expect 0 'pingkiller list blocklist | grep "203.0.113.77 .* comment=\"each subcommand once\""'
expect 0 'pingkiller explain 203.0.113.77 203.0.113.78 | grep "dropped on .*blocklist has 203.0.113.78 (owner once)"'
expect 0 'pingkiller check'
expect 0 'pingkiller health | grep "^PINGKILLER OK"'
expect 0 'pingkiller apply'
expect 0 'pingkiller unblock 203.0.113.77 --owner once'
expect 0 'pingkiller flush --owner once'
expect 1 'pingkiller list blocklist | grep once'
expect 0 'pingkiller validate /etc/pingkiller/blocklist'
expect 1 'pingkiller validate /etc/hostname'
expect 0 'pingkiller events 2>&1 | grep "no filter on this host reports events"'
expect 0 'pingkiller metrics | grep "^pingkiller_drift_items 0$"'
expect 0 'pingkiller top --json --count 2 --interval 0.5 | grep -c per_second'
expect 0 'pingkiller trace syscalls --duration 0.2'

names=$(pingkiller --help | sed -n 's/^    \([a-z]*\)  .*/\1/p')
for name in $names; do
    case $tried in
        *"pingkiller $name"*) expect 0 "pingkiller $name --help" ;;
        *) echo "pingkiller $name is not tried here" ;;
    esac
done
echo "$names" | wc -w
