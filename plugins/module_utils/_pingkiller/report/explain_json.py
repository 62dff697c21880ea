# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put an explanation into the form of JSON."""

from __future__ import annotations

from typing import Any

from .. import durations
from ..entries import addresses
from ..entries.claims import Claim, direction
from ..kernel import schema
from . import explain_text
from .at_boot import Kept
from .explain import Explanation, Judged, Verdict
from .listed import Listed
from .validity import moment, validity


def as_dict(found: Explanation) -> dict[str, Any]:
    """Return an explanation as ``pingkiller explain --json`` writes it."""
    boot = found.at_boot
    return {
        "ip": addresses.display(found.key),
        "verdict": found.verdict,
        "reason": explain_text.sentence(found),
        "filters": {each.name: _of_filter(each) for each in found.filters},
        "entries": [_of_entry(each) for each in found.covers],
        "inside": {
            each.list_name: {"count": each.number, "entries": list(map(_of_entry, each.shown))} for each in found.inside
        },
        "at_boot": {
            "restores": boot.restores,
            "entries": list(map(_of_kept, boot.kept)),
            "lost": [
                {"list": each.list_name, "ip": addresses.display(each.key), "owner": each.owner}
                for each in boot.passing
            ],
            "faults": boot.faults,
        },
        "notes": list(found.notes),
    }


def _of_kept(kept: Kept) -> dict[str, Any]:
    return {
        "list": kept.list_name,
        "ip": addresses.display(kept.key),
        "owner": kept.owner,
        "direction": kept.direction,
        "expires_in": kept.seconds_left,
        "src": kept.source,
        "present": kept.present,
    }


def _of_filter(judged: Judged) -> dict[str, Any]:
    return {
        "hook": judged.hook,
        "mode": judged.mode,
        "from": _of_verdict(judged.source),
        "to": _of_verdict(judged.destination),
        "blocked_for": judged.blocked_for,
        "options": judged.options.as_dict() if judged.options else None,
    }


def _of_verdict(verdict: Verdict) -> dict[str, Any]:
    entry = verdict.entry
    decides = {"list": entry.list_name, "ip": addresses.display(entry.key)} if entry else None
    return {"verdict": verdict.verdict, "reason": verdict.reason, "entry": decides}


def _of_entry(entry: Listed) -> dict[str, Any]:
    valid = validity(entry.untils)
    return {
        "list": entry.list_name,
        "ip": addresses.display(entry.key),
        "direction": valid.direction,
        "since": None if entry.since is None else durations.iso(durations.from_boot(entry.since)),
        "expires_in": valid.seconds_left,
        "packets": entry.counts.packets,
        "bytes": entry.counts.bytes,
        "last_seen": moment(entry.counts.last_seen),
        "owners": {owner: _of_claim(claim) for owner, claim in sorted(entry.claims.items())},
    }


def _of_claim(claim: Claim) -> dict[str, Any]:
    left = None if claim.until == schema.FOREVER else durations.left(claim.until)
    return {"direction": direction(claim.sides), "expires_in": left, "comment": claim.comment}
