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
      - Directory on a BPF file system that holds the pinned maps.
      - Keep the default unless C(/sys/fs/bpf) is the wrong place for the maps on your hosts. All modules and the role must use the same directory.
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
      - The directory on the managed host that holds what is restored at boot. All modules and the role must use the same directory.
      - The path is absolute and has only letters, digits, dots, dashes and underscores. Its last part begins with C(pingkiller). A missing directory
        is created. An existing directory is refused if it does not belong to root with mode C(0700), or if users other than root could replace it.
    type: path
    default: /etc/pingkiller
"""

    LOCK = r"""
options:
  lock_timeout:
    description:
      - How many seconds to wait for another PingKiller run on the same host to end, V(0) to V(86400). If many runs wait for each other, the time
        counts anew with each run that gets its turn.
      - After this timeout, the module fails. The message names the process that holds the lock, what it runs and since when.
    type: float
    default: 30
"""

    LIST = r"""
options:
  ip:
    description:
      - IPv4 and IPv6 addresses and networks, as a list or as one string with commas.
      - C(192.0.2.1-192.0.2.9) is a range. The module adds the networks that cover the range, at most 62 for IPv4 and 254 for IPv6.
      - C(::ffff:192.0.2.1) is C(192.0.2.1), and C(192.0.2.1/32) is the exact address C(192.0.2.1).
      - Give either this option, or O(src) or O(content).
    type: list
    elements: str
  src:
    description:
      - Path of a list file on the managed host.
      - Each line has one entry, C(ENTRY [direction=src|dst|both] [ttl=DURATION] [comment="TEXT"]). An entry is written as in O(ip). What follows
        C(#) or C(;) is ignored, as are blank lines and a byte order mark.
      - If several lines name one address, in any spelling, they are merged. A line that never expires wins over a line with O(ttl), a longer O(ttl) wins
        over a shorter one, and the directions add up. If such lines differ, a warning says so.
      - A file is refused if it is compressed, in UTF-16, JSON, HTML, or the output of C(ipset save) or C(nft list set). The message has the command that
        converts the file to a list.
      - A symbolic link in the path is followed only if it belongs to root, or to the owner of its target. Only regular files of at most 1 GiB
        are accepted.
    type: path
  content:
    description:
      - The text of a list file, for lists that are not on the managed host.
      - Together with O(src), the text that the file will have. Check mode uses it before the file is written.
    type: str
  format:
    description:
      - V(plain) is the format that O(src) describes.
      - V(first_column) is a table that has the entries in its first column. White space, a comma or C(|) ends a column. All other columns
        are ignored.
    type: str
    choices: [plain, first_column]
    default: plain
  on_invalid:
    description:
      - What to do with lines of O(src) and O(content), or items of O(ip), that are not valid entries.
      - With V(fail) the whole list is refused. The message names up to ten of the invalid lines or items.
      - With V(skip) they are left out. A warning names up to ten of them, and RV(skipped_count) says how many there are. The list is refused if no
        valid entry is left.
    type: str
    choices: [fail, skip]
    default: fail
  host_bits:
    description:
      - What to do with a network that has bits set after its prefix, as in C(10.0.0.1/8).
      - With V(refuse) it is not a valid entry, because either the address or the prefix is a mistake. With V(mask) it is C(10.0.0.0/8).
    type: str
    choices: [refuse, mask]
    default: refuse
  state:
    description:
      - Whether the entries are on the list.
    type: str
    choices: [present, absent]
    default: present
  exclusive:
    description:
      - Remove every other entry that O(owner) has on this list. Entries of other owners stay.
      - Only with O(state=present). With an empty O(src) or O(content), all entries of the owner are removed, and a warning says so.
    type: bool
    default: false
  owner:
    description:
      - Who wants the entries. The role uses C(inventory).
      - An entry can have several owners. It stays until the last of them has removed it.
      - With O(state=absent), only the claim of this owner is removed. A warning names the other owners that keep an entry on the list.
    type: str
    default: adhoc
  any_owner:
    description:
      - Remove the entries from the list whoever owns them. O(owner) is then ignored.
      - An entry of the inventory or of a list file comes back with the next deployment or sync, so remove it there as well. A warning
        names the owners.
      - Only with O(state=absent).
    type: bool
    default: false
  from_owner:
    description:
      - The owner that hands the entries over to O(owner). An example is C(adhoc), when you add an address to the inventory that was blocked by hand.
      - The same change gives the named entries to O(owner) and takes them from this owner. So they stay on the list all the time and keep their
        counters. From then on they have the O(direction) and O(ttl) of O(owner). Other entries of this owner stay with it.
      - If this owner does not have an entry, the entry is put on the list as usual. So a second run of the same task changes nothing.
      - Only with O(state=present).
    type: str
  direction:
    description:
      - Whether an entry matches the source of a packet, its destination, or both. If omitted, an entry matches the source.
      - With O(state=absent), the direction to remove. If the entry has another direction left, it stays with that direction, and a warning says so. If
        omitted, the whole entry is removed.
      - Only filters with O(pingkiller.fleet.xdp_filter#module:hook=tc_egress) see the packets that leave a host. A warning says if there is no such
        filter.
      - A line of O(src) or O(content) can set another direction for its entry.
    type: str
    choices: [src, dst, both]
  ttl:
    description:
      - How long the entries last, in seconds or like C(90s), C(10m), C(1h), C(2d), C(1w). If omitted, the entries last until they are removed.
      - The filter itself stops matching an entry at that time, to the second. No daemon is needed. Time during which the host is suspended counts.
      - Running the same task again renews the time, and therefore reports a change. A warning says if an entry ends sooner than before.
      - A line of O(src) or O(content) can set another time for its entry.
    type: str
  comment:
    description:
      - Why the entries are on the list, for those who look at it. It has no effect on packets. The facts, C(pingkiller list) and the diff show it.
      - One line of up to 255 bytes in UTF-8, without double quotes. Line ends and other white space become single spaces.
      - If omitted, entries keep the comments that they have. An empty comment removes them. With O(exclusive), a list file in O(src) or O(content)
        says all comments, so that an entry whose line has none loses its comment.
      - A line of O(src) or O(content) can set another comment for its entry.
      - An entry loses its comment when it expires or is removed. Each owner of an entry has a comment of its own. A host has room for 65536 comments.
      - With O(state=absent) this option is ignored.
    type: str
  foreseen:
    description:
      - For check mode, the predictions of earlier tasks. The prediction of this task, with its warnings, is then for the host as the earlier tasks will
        have left it. Without check mode this option is ignored, because those tasks have already changed the host.
      - The role uses this option.
    type: dict
    suboptions:
      filters:
        description:
          - The filters that will have been attached, as in RV(pingkiller.fleet.xdp_filter#module:filters). Anything else is refused.
        type: dict
      removed:
        description:
          - The filters that will have been removed, as in RV(pingkiller.fleet.xdp_filter#module:removed).
        type: list
        elements: str
        default: []
      max_entries:
        description:
          - The capacity that the lists will have.
        type: int
      allowlist:
        description:
          - All entries that O(owner) will have on the allowlist.
        type: dict
        suboptions:
          src:
            description:
              - Path of a list file on the managed host, as in O(src).
            type: path
          content:
            description:
              - The text of a list file, as in O(content).
            type: str
  deployed:
    description:
      - Note in O(config_dir) that a deployment ends with this task, for the metric C(pingkiller_last_deploy_timestamp_seconds). The note is no
        change, and check mode does not write it.
      - The role uses this option.
    type: bool
    default: false
  persist:
    description:
      - Whether the entries come back when the host boots, for the rest of their O(ttl). Their counters start again at zero.
      - V(true) saves the entries in O(config_dir), and the boot service of the role restores them from there. V(false) keeps the entries until
        the next boot only. With O(state=absent) the saved entries are removed, whatever the value of this option is.
      - If omitted, entries come back on hosts that restore a filter. An address that was blocked during an attack should still be blocked
        after a reboot during the attack.
      - For O(src), the module saves a copy of the entries that it read, and a boot restores this copy. The file is not read at boot. It may
        be missing by then, or it may be a file that was refused.
      - Entries that were saved by a version that kept no copy may still have none. The file is then read at boot as before. The first run saves a
        copy and reports that as a change.
    type: bool
"""
