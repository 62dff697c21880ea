# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queueing discipline of tc that filters need: whose it is, and when it goes."""

from __future__ import annotations

from ..kernel import bpf, netlink, schema, tc
from ..store import filter_meta, hooks
from ..store.pins import Pins
from .plan import Step


def note_clsact(pins: Pins, step: Step, meta: bpf.Map) -> bool:
    """Return whether the queueing discipline of tc is ours to remove. It is noted first, so that a killed run cannot forget it.

    All filters of an interface that need it note it, and the last one to go removes it.
    """
    known = filter_meta.decode(meta)
    noted = known.made_clsact
    if step.options.hook == schema.XDP and not step.switches:
        return noted
    together = (name for name in pins.filters() if hooks.split_name(name)[0] == step.link.name)
    ours = any(_made_clsact(pins, name) for name in together) or not tc.has_clsact(step.link.index)
    if ours != noted:
        filter_meta.store(meta, known._replace(made_clsact=ours))
    return ours


def _made_clsact(pins: Pins, name: str) -> bool:
    return filter_meta.read(pins, name).made_clsact


def remove_clsact(pins: Pins, name: str) -> None:
    """Remove the queueing discipline that was made for a filter that is not attached."""
    link = netlink.link(hooks.split_name(name)[0])
    if link and _made_clsact(pins, name):
        tc.remove_clsact(link.index)
