# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  base:
    description:
      - Directory below a BPF file system that holds the pinned maps.
      - Leave it alone unless C(/sys/fs/bpf) is not the place for them on your hosts. All modules and the role must agree on it.
    type: str
    default: /sys/fs/bpf/pingkiller
notes:
  - Runs as root on the managed host, which needs Linux 5.10 and Python 3.9 or newer.
author:
  - PingKiller maintainers (@pingkiller)
"""

    CONFIG = r"""
options:
  config_dir:
    description:
      - The directory on the managed host that says what is restored at boot. All modules and the role must agree on it.
      - It is an absolute path of letters, digits, dots, dashes and underscores whose last part begins with C(pingkiller). It is made if it is
        missing. One that is there and is not root's with mode C(0700), or that others than root could replace, is refused.
    type: path
    default: /etc/pingkiller
"""

    LOCK = r"""
options:
  lock_timeout:
    description:
      - How many seconds to wait for another PingKiller run on the same host to end, V(0) to V(86400).
      - When the time is over, the module fails and says which process holds the lock, what it runs and since when.
    type: float
    default: 30
"""

    LIST = r"""
options:
  ip:
    description:
      - Addresses and networks, IPv4 and IPv6, as a list or as one string with commas.
      - C(192.0.2.1-192.0.2.9) is a range, for which the networks that cover it come onto the list, at most 62 for IPv4, 254 for IPv6.
      - C(::ffff:192.0.2.1) is C(192.0.2.1), and C(192.0.2.1/32) is the exact address C(192.0.2.1).
      - Either this or O(src) or O(content) is given.
    type: list
    elements: str
  src:
    description:
      - Path of a list file on the managed host.
      - One entry a line, C(ENTRY [direction=src|dst|both] [ttl=DURATION]), where an entry is what O(ip) takes. Comments begin with C(#) or C(;).
        Blank lines and a byte order mark are passed over.
      - Of several lines for one address, in whatever spelling, one for good wins over a O(ttl) and a longer one over a shorter one, and
        directions add up. Where they differ a warning says so.
      - A file that is compressed, in UTF-16, JSON, HTML, or what C(ipset save) or C(nft list set) prints is refused, with the command that
        makes a list of it.
      - A symbolic link on the way is followed only if it belongs to root, or to the owner of what it leads to. Anything but a regular file
        of at most 1 GiB is refused.
    type: path
  content:
    description:
      - The text of such a file, for lists that are not on the managed host.
      - With O(src) as well, what that file will hold, for check mode before it is written.
    type: str
  format:
    description:
      - V(plain) is what O(src) describes.
      - V(first_column) is a table that has the entries in its first column. Columns end with white space, a comma or C(|), and what is
        in the others is passed over.
    type: str
    choices: [plain, first_column]
    default: plain
  on_invalid:
    description:
      - What to do with lines of O(src) and O(content), or items of O(ip), that are no entries.
      - With V(fail) the list is refused whole, and up to ten of them are named.
      - With V(skip) they are left out. A warning names up to ten of them, and RV(skipped_count) says how many there are. If nothing
        would be left the list is refused.
    type: str
    choices: [fail, skip]
    default: fail
  host_bits:
    description:
      - What to do with a network that has bits set behind its prefix, as in C(10.0.0.1/8).
      - With V(refuse) it is no entry, since either the address or the prefix is not what was meant. With V(mask) it is C(10.0.0.0/8).
    type: str
    choices: [refuse, mask]
    default: refuse
  state:
    description:
      - Whether the entries are to be on the list or not.
    type: str
    choices: [present, absent]
    default: present
  exclusive:
    description:
      - Remove every other entry that O(owner) has on this list. Entries of other owners stay.
      - Only with O(state=present). With an empty O(src) or O(content) everything that the owner has goes, and a warning says so.
    type: bool
    default: false
  owner:
    description:
      - Who wants the entries. The role uses C(inventory).
      - An entry that several owners want stays until the last of them has let it go.
      - With O(state=absent) only this owner's wish is taken back; a warning says who else keeps an entry on the list.
    type: str
    default: adhoc
  any_owner:
    description:
      - Take the entries off the list whoever wants them. O(owner) then does not matter.
      - An entry of the inventory or of a list file comes back with the next deployment or sync, so take it out of there as well. A warning
        names the owners.
      - Only with O(state=absent).
    type: bool
    default: false
  from_owner:
    description:
      - Who hands the entries over to O(owner), for example C(adhoc) when an address that was blocked by hand comes into the inventory.
      - What this owner asked of the named entries is dropped with the same change, so they stay on the list throughout and keep their
        counters. From then on O(direction) and O(ttl) are as O(owner) says. Its other entries stay its own.
      - An entry that this owner does not have is put on the list as ever, so the same command again changes nothing.
      - Only with O(state=present).
    type: str
  direction:
    description:
      - Whether an entry matches the source of a packet, its destination, or both. If omitted, its source.
      - With O(state=absent), which of them is to go; what is left of the entry stays, and a warning says so. If omitted, all of it goes.
      - What leaves a host is seen by filters with O(pingkiller.fleet.xdp_filter#module:hook=tc_egress) only. A warning says if there is none.
      - A line of O(src) or O(content) may say otherwise for its entry.
    type: str
    choices: [src, dst, both]
  ttl:
    description:
      - How long the entries hold, as seconds or like C(90s), C(10m), C(1h), C(2d), C(1w). Without it they hold until they are removed.
      - The packet path itself stops matching at that time, to the second; no daemon is needed. Time during which the host is suspended counts.
      - The same command again renews the time, and reports a change since it did. A warning says if an entry ends sooner than before.
      - A line of O(src) or O(content) may say otherwise for its entry.
    type: str
  foreseen:
    description:
      - For check mode, what tasks that come before this one have predicted, so that its prediction, warnings and all, is for the host as
        they will have left it. Without check mode it is passed over, since the host then is as they left it.
      - The role uses it.
    type: dict
    suboptions:
      filters:
        description:
          - The filters that will have been attached, as RV(pingkiller.fleet.xdp_filter#module:filters) tells them. Anything else is refused.
        type: dict
      removed:
        description:
          - The filters that will have been removed, as RV(pingkiller.fleet.xdp_filter#module:removed) tells them.
        type: list
        elements: str
        default: []
      max_entries:
        description:
          - The capacity that the lists will have.
        type: int
      allowlist:
        description:
          - What O(owner) will have on the allowlist, and nothing besides.
        type: dict
        suboptions:
          src:
            description:
              - Path of a list file on the managed host, as in O(src).
            type: path
          content:
            description:
              - The text of one, as in O(content).
            type: str
  persist:
    description:
      - Whether the entries are to come back when the host boots, with what is then left of their O(ttl). Their counters start anew.
      - V(true) notes them in O(config_dir), from where the boot service of the role restores them. V(false) keeps them until
        the next boot only. With O(state=absent) they are taken out of there, whatever this option says.
      - If omitted, entries come back on hosts that restore a filter, since an address that was blocked during an attack should
        not get through because the host was rebooted in it.
      - Of O(src) a copy is kept of what was taken, and that is what comes back. The file is not read at boot, so it may be gone by then, or be one
        that was refused.
      - If what was noted by a version that kept no copy has none yet, the file is read at boot as before. The first run keeps one, and
        reports that as a change.
    type: bool
"""
