# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many wishes of one owner, in their order, as one change of a list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from ..entries.claims import Claim
from ..entries.requested import RequestedEntries, grouped
from ..kernel import schema
from .change import change_together
from .request import ListRequest

_WHOLLY = Claim(schema.DIRECTIONS["both"])


class Wish(NamedTuple):
    """What an owner wishes of some entries."""

    keys: list[bytes]
    claim: Claim | None  #: None: to have them no more


class Done(NamedTuple):
    """What became of wishes."""

    changed: list[bool]  #: of each wish, whether any of its entries changed
    warnings: list[str]


def change_batch(base: str, wishes: Sequence[Wish], request: ListRequest, *, lock_timeout: float = 30.0) -> Done:
    """Fulfil wishes in one change, as if one after another: of several for one entry the last counts.

    ``request`` says the rest: the list, the owner, and what is kept. Raises PingKillerError as ``change_list``.
    """
    claims: dict[bytes, Claim] = {}
    gone: dict[bytes, None] = {}
    for keys, claim in wishes:
        for key in keys:
            if claim is None:
                claims.pop(key, None)
                gone[key] = None
            else:
                claims[key] = claim
                gone.pop(key, None)
    requests = []
    if claims:
        requests.append(request._replace(entries=RequestedEntries.of(list(grouped(claims).items()))))
    if gone:
        requests.append(request._replace(entries=RequestedEntries(list(gone), _WHOLLY), absent=True, persist=None))
    outcomes = change_together(base, requests, lock_timeout=lock_timeout) if requests else []
    changed: set[bytes] = set()
    for plan in (outcome.plan for outcome in outcomes):
        changed.update(chain.from_iterable(each.keys for each in (*plan.added, *plan.updated, *plan.removed)))
    warnings = dict.fromkeys(chain.from_iterable(outcome.warnings for outcome in outcomes))
    return Done([not changed.isdisjoint(wish.keys) for wish in wishes], list(warnings))
