# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by `make manual`: do not edit it here.
_pingkiller() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=pingkiller words="" each
    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$command $each" in
            "pingkiller status" | "pingkiller stats" | "pingkiller top" | "pingkiller list" | "pingkiller explain" | "pingkiller block" | "pingkiller unblock" | "pingkiller flush" | "pingkiller stream" | "pingkiller validate" | "pingkiller events" | "pingkiller metrics" | "pingkiller health" | "pingkiller check" | "pingkiller apply" | "pingkiller trace" | "pingkiller trace syscalls" | "pingkiller trace syscall" | "pingkiller trace processes") command+=" $each" ;;
        esac
    done
    COMPREPLY=()
    case "$command $before" in
        *" --config") compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
        *" --lock-timeout" | *" --interval" | *" --count" | *" --top" | *" --timing" | *" --limit" | *" --ttl" | *" --owner" | *" --comment" | *" --duration" | *" --aggregate" | *" --by" | *" --min-us" | *" --pid" | *" --comm" | *" --unit" | *" --cgroup" | *" --max-overhead" | *" --name" | *" --small-bytes" | *" --slow-ms") :; return ;;
        *" --sort") mapfile -t COMPREPLY < <(compgen -W 'rate total address' -- "$word"); return ;;
        *" --list") mapfile -t COMPREPLY < <(compgen -W 'blocklist allowlist' -- "$word"); return ;;
        *" --direction") mapfile -t COMPREPLY < <(compgen -W 'src dst both' -- "$word"); return ;;
        "pingkiller stream --format") mapfile -t COMPREPLY < <(compgen -W 'lines crowdsec' -- "$word"); return ;;
        "pingkiller validate --format") mapfile -t COMPREPLY < <(compgen -W 'plain first_column' -- "$word"); return ;;
        *" --on-invalid") mapfile -t COMPREPLY < <(compgen -W 'fail skip' -- "$word"); return ;;
        *" --host-bits") mapfile -t COMPREPLY < <(compgen -W 'refuse mask' -- "$word"); return ;;
        *" --interface") mapfile -t COMPREPLY < <(cd /sys/class/net && compgen -G "$word*"); return ;;
        *" --reason") mapfile -t COMPREPLY < <(compgen -W 'not_icmp malformed protected allowlist type policy_pass unclassified blocklist ratelimit policy_drop too_many_tags' -- "$word"); return ;;
        *" --output") compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --user") mapfile -t COMPREPLY < <(compgen -u -- "$word"); return ;;
    esac
    case $command in
        "pingkiller") words='status stats top list explain block unblock flush stream validate events metrics health check apply trace --help --version' ;;
        "pingkiller status") words='--help --json --config' ;;
        "pingkiller stats") words='--help --json --config' ;;
        "pingkiller top") words='--help --json --config --lock-timeout --interval --count --top --sort --sources --timing --events' ;;
        "pingkiller list") words='blocklist allowlist --help --json --config --limit' ;;
        "pingkiller explain") words='--help --json --config' ;;
        "pingkiller block") words='--help --json --check --list --config --lock-timeout --ttl --owner --direction --comment --no-persist' ;;
        "pingkiller unblock") words='--help --json --check --list --config --lock-timeout --owner --any-owner --direction' ;;
        "pingkiller flush") words='--help --json --check --list --config --lock-timeout --owner' ;;
        "pingkiller stream") words='--help --json --owner --format --ttl --direction --comment --no-persist --quiet --list --config --lock-timeout' ;;
        "pingkiller validate") words='--help --json --config --list --format --on-invalid --host-bits' ;;
        "pingkiller events") words='--help --json --config --follow --duration --limit --interface --reason --aggregate' ;;
        "pingkiller metrics") words='--help --json --config --output' ;;
        "pingkiller health") words='--help --json --config' ;;
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
