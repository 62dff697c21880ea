# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that ``pingkiller stream`` reads: what each of them wishes."""

from __future__ import annotations

import json
import math
from typing import Any

from .. import durations
from ..entries import addresses, comments, list_lines
from ..entries.claims import Claim
from ..errors import PingKillerError, quoted
from ..lists.batch import Wish

_MARK = "\ufeff"  #: the byte order mark, with which a list file may begin
_SCOPES = ("ip", "range")  #: of decisions; others are countries and autonomous systems


def of_line(text: str, usual: Claim) -> Wish | None:
    """Return what a line of the format ``lines`` wishes, None for a remark. ``usual`` is the claim of lines without options.

    Raises PingKillerError.
    """
    words = list_lines.words_of(text.removeprefix(_MARK))
    action = words.pop(0) if words and words[0] in ("add", "del") else ""
    if not words:
        if not action:
            return None
        raise PingKillerError(f"{action!r} is followed by no address: write it like {action} 192.0.2.1")
    try:
        keys, claim = list_lines.parse_words(words, usual)
    except ValueError as error:
        raise PingKillerError(f"{quoted(words[0])} {error}") from None
    if action == "del" and len(words) > 1:
        raise PingKillerError(
            f"del {words[0]} is followed by more: nothing may follow, since it removes the whole entry"
        )
    return Wish(keys, None if action == "del" else claim)


def of_decision(text: str, usual: Claim) -> Wish | None:
    """Return what a decision of CrowdSec wishes, None if that is nothing. ``usual`` is the claim without its duration.

    It is what crowdsec-custom-bouncer writes: the model Decision of CrowdSec's local API as JSON, and the action. Raises
    PingKillerError.
    """
    decision = _decision(text)
    action, value = decision.get("action"), str(decision.get("value"))
    if action not in ("add", "del"):
        raise PingKillerError(f"action={quoted(str(action))} is not add or del: leave this line to the bouncer")
    for name, known in (("scope", _SCOPES), ("type", ("ban",))):
        if str(decision.get(name)).lower() not in known:
            raise PingKillerError(
                f"{quoted(value)} has {name}={quoted(str(decision.get(name)))}, and only {' and '.join(known)} can be blocked here"
            )
    if decision.get("simulated"):
        return None
    try:
        keys = addresses.parse_entry(value, mask=True)
    except ValueError as error:
        raise PingKillerError(f"{quoted(value)} {error}") from None
    if action == "del":
        return Wish(keys, None)
    claim = usual._replace(comment=comments.made_of(str(decision.get("scenario") or "")) or usual.comment)
    if "duration" not in decision:
        return Wish(keys, claim)
    seconds = _seconds(str(decision["duration"]))
    # One that is over before it arrives asks for nothing.
    return Wish(keys, claim._replace(until=durations.until(seconds))) if seconds > 0 else None


def _seconds(duration: str) -> int:
    """Return a duration in whole seconds, as far as an entry can last."""
    try:
        return min(math.ceil(durations.parse_go(duration)), durations.LONGEST)
    except ValueError as error:
        raise PingKillerError(f"duration={quoted(duration)} {error}") from None


def _decision(text: str) -> dict[str, Any]:
    try:
        decision = json.loads(text)
    except (ValueError, RecursionError):
        decision = None
    if not isinstance(decision, dict):
        raise PingKillerError(f"{quoted(text)} is not a decision of CrowdSec: give one JSON object on each line")
    return decision
