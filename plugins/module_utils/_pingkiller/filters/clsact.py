# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queueing discipline clsact, which tc filters need: who made it, and when it is removed."""

from __future__ import annotations

from ..kernel import bpf, netlink, schema, tc
from ..store import filter_meta, hooks
from ..store.pins import Pins
from .plan import Step


def note_clsact(pins: Pins, step: Step, meta: bpf.Map) -> bool:
    """Return whether PingKiller makes or has made clsact, and so may remove it.

    Notes this before clsact is made, in case the run is killed.

    All filters of an interface that need clsact note it. The last of them to be removed removes clsact.
    """
    known = filter_meta.decode(meta)
    noted = known.made_clsact
    if step.options.hook == schema.XDP and not step.switches:
        return noted
    together = (name for name in pins.filters() if hooks.split_name(name)[0] == step.link.name)
    ours = any(_made_clsact(pins, name) for name in together) or not tc.has_clsact(step.link.ifindex)
    if ours != noted:
        filter_meta.store(meta, known._replace(made_clsact=ours))
    return ours


def _made_clsact(pins: Pins, name: str) -> bool:
    return filter_meta.read(pins, name).made_clsact


def remove_clsact(pins: Pins, name: str) -> None:
    """Remove clsact if it was made for a filter that is not attached."""
    link = netlink.link(hooks.split_name(name)[0])
    if link and _made_clsact(pins, name):
        tc.remove_clsact(link.ifindex)
