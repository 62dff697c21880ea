# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by `make manual`: do not edit it here.
_pingkiller() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=pingkiller words="" each
    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$command $each" in
            "pingkiller status" | "pingkiller stats" | "pingkiller list" | "pingkiller check" | "pingkiller apply" | "pingkiller trace" | "pingkiller trace syscalls" | "pingkiller trace syscall" | "pingkiller trace processes") command+=" $each" ;;
        esac
    done
    COMPREPLY=()
    case "$command $before" in
        *" --config") compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
        *" --limit" | *" --lock-timeout" | *" --by" | *" --top" | *" --min-us" | *" --duration" | *" --pid" | *" --comm" | *" --unit" | *" --cgroup" | *" --max-overhead" | *" --name" | *" --small-bytes" | *" --slow-ms") :; return ;;
        *" --interface") mapfile -t COMPREPLY < <(cd /sys/class/net && compgen -G "$word*"); return ;;
        *" --user") mapfile -t COMPREPLY < <(compgen -u -- "$word"); return ;;
    esac
    case $command in
        "pingkiller") words='status stats list check apply trace --help --version' ;;
        "pingkiller status") words='--help --json --config' ;;
        "pingkiller stats") words='--help --json --config' ;;
        "pingkiller list") words='blocklist allowlist --help --json --config --limit' ;;
        "pingkiller check") words='--help --json --config --lock-timeout' ;;
        "pingkiller apply") words='--help --json --config --interface --lock-timeout' ;;
        "pingkiller trace") words='syscalls syscall processes --help' ;;
        "pingkiller trace syscalls") words='--help --json --by --top --latency --min-us --duration --pid --user --comm --unit --cgroup --max-overhead' ;;
        "pingkiller trace syscall") words='--help --json --name --top --min-us --small-bytes --slow-ms --duration --pid --user --comm --unit --cgroup --max-overhead' ;;
        "pingkiller trace processes") words='--help --json --limit --duration --pid --user --comm --unit --cgroup --max-overhead' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _pingkiller pingkiller
