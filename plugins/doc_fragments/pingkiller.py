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
    type: path
    default: /etc/pingkiller
"""

    LOCK = r"""
options:
  lock_timeout:
    description:
      - How many seconds to wait for another PingKiller run on the same host to end.
      - When the time is over the module fails and names the process that holds the lock.
    type: float
    default: 30
"""

    LIST = r"""
options:
  ip:
    description:
      - Addresses and networks, IPv4 and IPv6, as a list or as one string with commas.
      - C(::ffff:192.0.2.1) is C(192.0.2.1), and C(192.0.2.1/32) is the exact address C(192.0.2.1).
      - A network with bits set behind its prefix is refused, since either the address or the prefix is not what was meant.
      - Either this or O(src) or O(content) is given.
    type: list
    elements: str
  src:
    description:
      - Path of a list file on the managed host.
      - One entry a line, C(ADDRESS[/PREFIX] [direction=src|dst|both] [ttl=DURATION]), with comments behind C(#). Blank lines are passed over.
      - A file with bad lines is refused whole; up to ten of them are named.
    type: path
  content:
    description:
      - The text of such a file, for lists that are not on the managed host.
      - With O(src) as well, what that file will hold, for check mode before it is written.
    type: str
  state:
    description:
      - Whether the entries are to be on the list or not.
    type: str
    choices: [present, absent]
    default: present
  exclusive:
    description:
      - Remove every other entry that O(owner) has on this list. Entries of other owners stay.
      - Only with O(state=present). With an empty O(src) or O(content) everything that the owner has goes.
    type: bool
    default: false
  owner:
    description:
      - Who wants the entries. The role uses C(inventory).
      - An entry that several owners want stays until the last of them has let it go.
      - With O(state=absent) only this owner's wish is taken back; a warning says who else keeps an entry on the list.
    type: str
    default: adhoc
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
      - Whether an entry matches the source of a packet, its destination, or both.
      - A line of O(src) or O(content) may say otherwise for its entry.
    type: str
    choices: [src, dst, both]
    default: src
  ttl:
    description:
      - How long the entries hold, as seconds or like C(90s), C(10m), C(1h), C(2d). Without it they hold until they are removed.
      - The packet path itself stops matching at that time, to the second; no daemon is needed. Time during which the host is suspended counts.
      - The same command again renews the time, and reports a change since it did.
      - A line of O(src) or O(content) may say otherwise for its entry.
    type: str
  persist:
    description:
      - Whether the entries are to come back when the host boots, with what is then left of their O(ttl). Their counters start anew.
      - V(true) notes them in O(config_dir), from where the boot service of the role restores them. V(false) keeps them until
        the next boot only. With O(state=absent) they are taken out of there, whatever this option says.
      - If omitted, entries come back on hosts that restore a filter, since an address that was blocked during an attack should
        not get through because the host was rebooted in it.
      - Of O(src) the path is noted, so the file has to be there at boot; what it holds then is on the list then.
    type: bool
"""
