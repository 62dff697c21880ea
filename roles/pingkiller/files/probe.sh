#!/bin/sh
# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shellcheck shell=sh disable=SC2154,SC2086,SC2046  # variables are set in front of this text; $python may have arguments
# Prints the facts of a host that the role needs besides those of marks.sh, which comes before this text. Needs $python (empty:
# the first of $candidates that exists) and $directory. It is plain sh, so that the role can name a host without Python in a sentence. It
# gathers all facts at once, because one round trip to the host takes longer than the whole probe.

say system "$(uname -s)"
say kernel "$(uname -r)"
say uid "$(id -u)"
say interfaces "$(cd /sys/class/net && for each in */; do printf '%s ' "${each%/}"; done)"
# Alternative names, which the modules accept as well, as NAME:ALTERNATIVE.
say alternative_names "$(ip link 2>/dev/null | while read -r first second _; do
    case "$first" in
        # The name ends at a colon, or at an @ before it, which is followed by the lower or the peer interface.
        [0-9]*:) own=${second%:} && { [ -e "/sys/class/net/$own" ] || own=${own%@*}; } ;;
        altname) printf '%s:%s ' "$own" "$second" ;;
    esac
done)"

# ID first, then the distributions that it is derived from: "ubuntu debian", "rocky rhel centos fedora".
say distribution "$(. /etc/os-release 2>/dev/null && echo "$ID $ID_LIKE")"

# The versions of Ansible's Python and of the system's Python, whether one of them has BCC, and which one. The package bcc of
# PyPI is something else; it has no libbcc.
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

# The directories for the role's files in which root cannot write, because they are missing or mounted read-only.
say unwritable "$(for place in /usr/local/sbin /usr/local/lib /etc/systemd/system; do [ -w $place ] || printf '%s ' $place; done)"
place=$directory
while [ ! -e "$place" ]; do place=$(dirname "$place"); done
[ -w "$place" ] || say unwritable_config "$place"

# The first file system on the path of $directory that is mounted only after the network is up, now or by /etc/fstab. The root
# file system is always mounted before that. The types are those that systemd treats as network file systems, and 9p, except
# with trans=virtio: such a 9p file system comes from the host of a virtual machine.
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

# Root would follow the link, and change its target.
[ -L "$directory" ] && say link "$directory"
