#!/bin/sh
# shellcheck shell=sh disable=SC2154  # directory and python are set in front of this text
# Prints what the role has to know about a host, as pingkiller_NAME=VALUE lines. Needs $python (may be empty) and
# $directory. It is plain sh, so that a host without a Python is told so in a sentence, and it looks at everything at
# once, because a round trip to the host costs more than all of it.

say() { echo "pingkiller_$1=$2"; }

say system "$(uname -s)"
say kernel "$(uname -r)"
say uid "$(id -u)"
say interfaces "$(cd /sys/class/net && echo *)"

# ID comes first, then what the distribution is derived from: "ubuntu debian", "rocky rhel centos fedora".
say distribution "$(. /etc/os-release 2>/dev/null && echo "$ID $ID_LIKE")"

# The version of the Python that Ansible uses, which is the given one or the first of those it looks for; and whether
# that one or the system's own has BCC. The bcc that PyPI has is something else, with no libbcc in it.
look='
import importlib.util, os, sys
spec = importlib.util.find_spec("bcc")
bcc = bool(spec and spec.origin and os.path.exists(os.path.join(os.path.dirname(spec.origin), "libbcc.py")))
print("%d.%d" % sys.version_info[:2], bcc)
'
for candidate in ${python:-python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 /usr/bin/python3 python3}; do
    found=$($candidate -c "$look") && break
done 2>/dev/null
say python "${found% *}"
case "$found" in *True) ;; *) found=$(/usr/bin/python3 -c "$look" 2>/dev/null) ;; esac
say bcc "${found#* }"

say init "$([ -d /run/systemd/system ] && echo systemd)"
say udev "$([ -d /etc/udev/rules.d ] && echo True)"

# Owner, mode and content of what the last deploy wrote.
mark() { say "$1" "$(stat -c '%u:%g %a' "$2") $(sha256sum <"$2")"; }
{
    say hidden "$(cat "$directory/hidden")"
    say directory "$(stat -c '%u:%g %a' "$directory")"
    mark allowlist "$directory/allowlist"
    mark blocklist "$directory/blocklist"
    mark command /usr/local/sbin/pingkiller
    mark service /etc/systemd/system/pingkiller.service
    mark instance /etc/systemd/system/pingkiller@.service
    mark rules /etc/udev/rules.d/99-pingkiller.rules
    say enabled "$(readlink /etc/systemd/system/sysinit.target.wants/pingkiller.service)"
} 2>/dev/null
