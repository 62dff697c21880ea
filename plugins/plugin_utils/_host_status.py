# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what one host answered to the module xdp_status_info, without trusting it.

All texts in the records are safe to show and bounded. The functions that make records raise one of NONSENSE if the module
cannot have given this answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import REASONS
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.verdicts import (
    DROP,
    PASS,
    UNKNOWN,
    WOULD_DROP,
)
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable

MISSING = "none"  #: the mode of a filter that is wanted and not there
MODES = ("native", "generic", "tc", MISSING)
POLICIES = (PASS, DROP)
VERDICTS = (PASS, DROP, WOULD_DROP, UNKNOWN)
LISTS = ("blocklist", "allowlist")

_WORD, _SENTENCE, _REASON = 80, 400, 900  #: characters; the module keeps to less
_MOST_ITEMS = 100  #: of anything that an answer lists; the module keeps to less
_MOST = 1 << 64  #: more than a host can count

#: The exceptions that Python may raise for a value of the wrong kind.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

_Made = TypeVar("_Made")


class Filter(NamedTuple):
    """A filter of a host. Counts are packets since it was attached."""

    name: str  #: the interface, or interface/hook
    wanted: bool
    mode: str  #: one of MODES
    policy: str  #: one of POLICIES
    monitor: bool
    passed: int
    dropped: int
    would_drop: int


class Fill(NamedTuple):
    """How full a list is, in entries."""

    count: int
    capacity: int


class Counts(NamedTuple):
    """Packets of all filters of a host, in ``seconds``, or in all if these are 0."""

    seconds: float
    passed: int
    dropped: int
    would_drop: int
    reasons: dict[str, int]  #: packets dropped, by reason


class Source(NamedTuple):
    """A busy entry of a list, or a source that is limited."""

    ip: str  #: an address or network in canonical form
    packets: int
    recent: int
    reason: str
    owners: tuple[str, ...]


class Explained(NamedTuple):
    """What becomes of the pings of an address, and why."""

    ip: str
    verdict: str  #: one of VERDICTS
    reason: str  #: a sentence
    owners: tuple[str, ...]


class Times(NamedTuple):
    """How long frames took, in nanoseconds. Bucket i counts frames of 2**i to 2**(i+1)-1 ns."""

    count: int
    average: int
    p50: int
    p99: int
    buckets: tuple[int, ...]


class Details(NamedTuple):
    """What the module adds with ``details``."""

    reasons: dict[str, dict[str, int]]  #: packets, by reason and family
    processing: dict[str, Times]  #: by verdict; empty if nothing was measured
    owners: dict[str, dict[str, int]]  #: entries, by list and owner
    comments: dict[str, str]  #: by address


class Status(NamedTuple):
    """The answer of a host. The module's documentation describes the fields."""

    version: str  #: empty if nothing is installed
    kernel: str
    wanted: bool
    filters: tuple[Filter, ...]
    filters_left_out: int
    drift: tuple[str, ...]
    drift_left_out: int
    lists: dict[str, Fill]
    counts: Counts
    recent: Counts
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    address: Explained | None
    details: Details | None


def status(given: Mapping[str, Any]) -> Status:
    """Check and return an answer."""
    return Status(
        version=_word(given["version"] or ""),
        kernel=_word(given["kernel"] or ""),
        wanted=_flag(given["wanted"]),
        filters=tuple(_filter(name, each) for name, each in _items(given["filters"])),
        filters_left_out=_count(given["filters_left_out"]),
        drift=_each(_sentence, given["drift"]),
        drift_left_out=_count(given["drift_left_out"]),
        lists={_choice(name, LISTS): _fill(each) for name, each in _items(given["lists"])},
        counts=_counts(given["counts"]),
        recent=_counts(given.get("recent") or _NOTHING_RECENT),
        sources=_each(_source, given["sources"]),
        notes=_each(_sentence, given["notes"]),
        address=_explained(given["address"]) if given.get("address") else None,
        details=_details(given) if "processing" in given else None,
    )


def word(value: object) -> str:
    """Make a name safe to show and short."""
    return printable(str(value), _WORD)


def sentence(value: object, length: int = _SENTENCE) -> str:
    """Make a sentence safe to show. It ends without a dot, so that another one can follow."""
    return printable(" ".join(str(value).split()), length).rstrip(".")


_NOTHING_RECENT = {"passed": 0, "dropped": 0, "would_drop": 0, "reasons": {}}


def _filter(name: str, given: Mapping[str, Any]) -> Filter:
    return Filter(
        name=_word(name),
        wanted=_flag(given["wanted"]),
        mode=_choice(given["mode"], MODES),
        policy=_choice(given["policy"], POLICIES) if given.get("policy") else "",
        monitor=_flag(given.get("monitor") or False),
        passed=_count(given.get("passed") or 0),
        dropped=_count(given.get("dropped") or 0),
        would_drop=_count(given.get("would_drop") or 0),
    )


def _fill(given: Mapping[str, Any]) -> Fill:
    return Fill(_count(given["count"]), _count(given["capacity"]))


def _counts(given: Mapping[str, Any]) -> Counts:
    return Counts(
        seconds=_amount(given.get("seconds", 0)),
        passed=_count(given["passed"]),
        dropped=_count(given["dropped"]),
        would_drop=_count(given["would_drop"]),
        reasons={_choice(name, REASONS): _count(packets) for name, packets in _items(given["reasons"])},
    )


def _source(given: Mapping[str, Any]) -> Source:
    return Source(
        ip=_address(given["ip"]),
        packets=_count(given["packets"]),
        recent=_count(given["recent"]),
        reason=_choice(given["reason"], REASONS),
        owners=_each(_word, given["owners"]),
    )


def _explained(given: Mapping[str, Any]) -> Explained:
    return Explained(
        ip=_address(given["ip"]),
        verdict=_choice(given["verdict"], VERDICTS),
        reason=sentence(_text(given["reason"]), _REASON),
        owners=_each(_word, given["owners"]),
    )


def _details(given: Mapping[str, Any]) -> Details:
    return Details(
        reasons={_choice(name, REASONS): _by_word(each) for name, each in _items(given["reasons"])},
        processing={
            _choice(name, ("passed", "dropped")): _times(each)
            for name, each in _items(given["processing"] or {})
            if each
        },
        owners={_choice(name, LISTS): _by_word(each) for name, each in _items(given["owners"])},
        comments={_address(ip): _sentence(comment) for ip, comment in _items(given["comments"])},
    )


def _times(given: Mapping[str, Any]) -> Times:
    count, average, p50, p99 = (_count(given[name] or 0) for name in ("count", "average", "p50", "p99"))
    return Times(count, average, p50, p99, _each(_count, given["buckets"]))


def _by_word(given: Mapping[str, Any]) -> dict[str, int]:
    return {_word(name): _count(count) for name, count in _items(given)}


# Values


def _items(given: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if len(given) > _MOST_ITEMS:
        raise ValueError
    return given.items()


def _each(make: Callable[[Any], _Made], given: Any) -> tuple[_Made, ...]:
    if not isinstance(given, (list, tuple)) or len(given) > _MOST_ITEMS:
        raise ValueError
    return tuple(map(make, given))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _word(value: object) -> str:
    return word(_text(value))


def _sentence(value: object) -> str:
    return sentence(_text(value))


def _choice(value: object, choices: tuple[str, ...]) -> str:
    return choices[choices.index(_text(value))]


def _address(value: object) -> str:
    return addresses.display(addresses.parse(_text(value)))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError
    return float(value)


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    _amount(value)
    return int(value)
