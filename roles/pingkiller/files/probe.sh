#!/bin/sh
# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shellcheck shell=sh disable=SC2154,SC2086,SC2046  # what is set in front of this text; python may be a command with arguments
# Prints what the role has to know about a host, as pingkiller_NAME=VALUE lines. Needs $python (empty: the first that is
# found of $candidates) and $directory. It is plain sh, so that a host without a Python is told so in a sentence, and it
# looks at everything at once, because a round trip to the host costs more than all of it.

# Root runs Pythons here, and shall find nobody else's files, wherever it was put when it logged in.
cd / || exit

say() { printf '%s\n' "pingkiller_$1=$2"; }

say system "$(uname -s)"
say kernel "$(uname -r)"
say uid "$(id -u)"
say interfaces "$(cd /sys/class/net && for each in */; do printf '%s ' "${each%/}"; done)"
# Alternative names, which the modules take as well, each behind the interface's own and a colon.
say alternative_names "$(ip link 2>/dev/null | while read -r first second _; do
    case "$first" in
        # The name ends at a colon, or before that at the @ in front of the one that it is stacked on or paired with.
        [0-9]*:) own=${second%:} && { [ -e "/sys/class/net/$own" ] || own=${own%@*}; } ;;
        altname) printf '%s:%s ' "$own" "$second" ;;
    esac
done)"

# ID comes first, then what the distribution is derived from: "ubuntu debian", "rocky rhel centos fedora".
say distribution "$(. /etc/os-release 2>/dev/null && echo "$ID $ID_LIKE")"

# The version of the Python that Ansible uses, that of the system's own, and whether one of them has BCC, and which. The bcc
# that PyPI has is something else, with no libbcc in it.
look='
import importlib.util, os, sys
spec = importlib.util.find_spec("bcc")
bcc = bool(spec and spec.origin and os.path.exists(os.path.join(os.path.dirname(spec.origin), "libbcc.py")))
print("%d.%d" % sys.version_info[:2], bcc)
'
ask() { "$@" -I -c "$look" </dev/null 2>/dev/null; }
if [ -n "$python" ]; then
    found=$(ask $python)
else
    for candidate in $candidates; do
        found=$(ask "$candidate") && break
    done
fi
system=$(ask /usr/bin/python3)
case "$found" in *True) owner=$found ;; *) owner=$system ;; esac
say python "${found% *}"
say system_python "${system% *}"
say bcc "${owner#* }"
say bcc_python "${owner% *}"

say init "$([ -d /run/systemd/system ] && echo systemd)"
say udev "$([ -d /etc/udev/rules.d ] && echo True)"

# Of the places where files go, those that root cannot write to, because they are mounted read-only or missing.
say unwritable "$(for place in /usr/local/sbin /etc/systemd/system; do [ -w $place ] || printf '%s ' $place; done)"
place=$directory
while [ ! -e "$place" ]; do place=$(dirname "$place"); done
[ -w "$place" ] || say unwritable_config "$place"

# The first file system on the way to it that is mounted only once the network is up, now or by /etc/fstab; what holds / is there
# before anything. These are what systemd takes for file systems of the network, and 9p, unless it is a virtual machine's own host's.
way="$directory/ $(realpath -m "$directory" 2>/dev/null)/"
say network_mount "$({
    findmnt -rn -o FSTYPE,TARGET,OPTIONS
    findmnt --fstab -rn -o FSTYPE,TARGET,OPTIONS
} 2>/dev/null | while read -r kind where options; do
    case " $way" in *" ${where%/}/"*) ;; *) continue ;; esac
    case "$where,${kind#fuse.},$options," in
        /,*) ;;
        *,_netdev,* | *,nfs,* | *,nfs4,* | *,cifs,* | *,smb3,* | *,smbfs,* | *,ceph,* | *,glusterfs,* | *,sshfs,* | *,afs,* | *,lustre,* | \
            *,gfs,* | *,gfs2,* | *,ocfs2,* | *,pvfs2,* | *,ncp,* | *,ncpfs,* | *,davfs,*) echo "$kind on $where" && break ;;
        *,9p,*trans=virtio*) ;;
        *,9p,*) echo "$kind on $where" && break ;;
    esac
done)"

# Root would follow it, and change whatever it leads to.
[ -L "$directory" ] && say link "$directory"

# Owner, mode and content of what the last deploy wrote.
mark() { say "$1" "$(stat -c '%u:%g %a' "$2") $(sha256sum <"$2")"; }
{
    say directory "$(stat -c '%u:%g %a' "$directory")"
    mark allowlist "$directory/allowlist"
    mark blocklist "$directory/blocklist"
    mark command /usr/local/sbin/pingkiller
    mark service /etc/systemd/system/pingkiller.service
    mark instance /etc/systemd/system/pingkiller@.service
    mark rules /etc/udev/rules.d/99-pingkiller.rules
    say enabled "$(readlink /etc/systemd/system/sysinit.target.wants/pingkiller.service)"
} 2>/dev/null
