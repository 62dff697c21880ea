# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out what a deploy would change on this host, as its check mode would.

The modules predict what they would change, with the same code. A deploy that would be refused changes nothing, and that is
what has to be known then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import PingKillerError
from ..filters import predict
from ..filters.request import RemovalRequest
from ..kernel import bcc_package, schema
from ..lists.planning import difference
from ..lists.request import Foreseen, ListRequest
from . import filter_drift, marks
from .wanted import OWNER, Wanted

Result = dict[str, Any]

REFUSED = "a deploy would be refused: "  #: how a sentence begins that hides what else a deploy would change


def drift(base: str, wanted: Wanted) -> list[str]:
    """Return a sentence for each thing that a deploy would change, without a dot at its end; empty for none."""
    if wanted.refusal:
        return [_refused(wanted.refusal)]
    try:
        return list(dict.fromkeys(_deploy(base, wanted) if wanted.present else _removal(base, wanted)))
    except PingKillerError as error:
        return [_refused(str(error))]


def _refused(why: str) -> str:
    return f"{REFUSED}{why.rstrip('.')}"


def _removal(base: str, wanted: Wanted) -> Iterator[str]:
    from ..filters import removal  # few hosts are wanted to have nothing

    yield from filter_drift.of_removal(removal.predict(base, RemovalRequest(None, store=wanted.store)))
    yield from marks.remains(wanted.found, wanted.store.directory)


def _deploy(base: str, wanted: Wanted) -> Iterator[str]:
    """Yield the sentences in the order in which the role would make the changes."""
    if not bcc_package.directory():
        if not wanted.manage_packages:
            raise PingKillerError(
                "BCC is missing and pingkiller_manage_packages is false: install it, or set that to true"
            )
        yield "BCC is missing, a deploy installs it"
    results, refusals = _predicted(base, wanted)
    yield from refusals
    for result in results:
        yield from filter_drift.of_result(result)
    attached = {name: each for result in results for name, each in result["filters"].items()}
    removed = sorted({name for result in results for name in result["owned"]} - attached.keys())
    if not refusals:  # or it is not known which filters are wanted
        yield from (f"filter {name}: the inventory no longer names it" for name in removed)
    anew = marks.changed_lists(wanted.found, wanted.list_hashes)
    yield from (f"{name}: the inventory's list is not the one on the host" for name in anew)
    capacity = results[0]["max_entries"] if results else None
    foreseen = Foreseen(attached, tuple(removed), capacity)
    for name in schema.LISTS:
        if name in wanted.list_hashes and name not in anew:
            yield from _of_list(base, wanted, name, foreseen)
    at_boot = list(marks.boot_drift(wanted.found, wanted.marks, persist=wanted.persist))
    hindrance = marks.hindrance() if at_boot and wanted.persist else ""
    yield from [_refused(hindrance)] if hindrance else at_boot


def _predicted(base: str, wanted: Wanted) -> tuple[list[Result], list[str]]:
    """Return the results for the wanted filters, and sentences about those that a deploy could not attach."""
    results, refusals = [], []
    for request in wanted.requests:
        try:
            results.append(predict.present(base, request))
        except PingKillerError as error:
            refusals.append(_refused(str(error)))
    return results, refusals


def _of_list(base: str, wanted: Wanted, name: str, foreseen: Foreseen) -> Iterator[str]:
    """Compare a list with its file, which is as the inventory wants it."""
    request = ListRequest(
        name=name,
        src=f"{wanted.store.directory}/{name}",
        exclusive=True,
        owner=OWNER,
        persist=wanted.persist,
        store=wanted.store,
        foreseen=foreseen,
    )
    try:
        found = difference(base, request)
    except PingKillerError as error:
        yield _refused(str(error))
        return
    words = ((found.missing, "missing"), (found.too_many, "too many"), (found.otherwise, "not as wanted"))
    counts = [f"{number} {word}" for number, word in words if number]
    if counts:
        yield f"{name}: of the inventory's entries, {', '.join(counts)}"
    elif found.kept:
        yield f"{name}: what a boot restores of it is not what the inventory wants"
