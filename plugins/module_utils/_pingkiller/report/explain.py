# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explain what the filters of a host do with the pings of an address, and why.

The verdicts are those of the decision table in bpf/verdict.h. Looking takes no lock, and reads no list as a whole for an
address. The other address of each packet is taken to be one that nobody has listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..errors import PingKillerError, quoted
from ..filters.icmp_types import ICMP_TYPES, parse_types
from ..filters.options import FilterOptions
from ..kept.directory import Store
from ..kernel import access, schema
from ..lists.own_addresses import own_addresses
from ..store import filter_meta, hooks
from ..store.entry_list import EntryList
from ..store.pins import Pins
from . import filter_facts
from .at_boot import AtBoot, at_boot
from .listed import Covers, Inside, Listed, covers_of, inside_of, opened_lists
from .verdicts import DROP, PASS, UNKNOWN, WOULD_DROP

_SEVERITY = (PASS, UNKNOWN, WOULD_DROP, DROP)

#: Reasons besides those of ``schema.REASONS``.
NOT_ATTACHED, OTHER_LISTS, NOT_NOTED = ("not_attached", "other_lists", "not_noted")

_SHOWN = 10  #: entries inside of a network
_ECHO_REQUEST = dict(zip((4, 16), ICMP_TYPES["echo-request"]))  #: by the length of an address in bytes


class Verdict(NamedTuple):
    """What a filter does with the echo requests that have an address on one side."""

    verdict: str  #: PASS, DROP, WOULD_DROP (monitor mode counts it, and passes it) or UNKNOWN
    reason: str  #: of ``schema.REASONS``, or NOT_ATTACHED, OTHER_LISTS, NOT_NOTED
    entry: Listed | None = None  #: the entry that decides, if one does


class Judged(NamedTuple):
    """A filter, and what it does with an address."""

    name: str
    hook: str
    mode: str  #: none if it is not attached
    options: FilterOptions | None  #: None if they are not known
    source: Verdict
    destination: Verdict
    blocked_for: (
        int | None
    )  #: seconds for which the rate limit goes on blocking the source; None if it counts no such source

    @property
    def main_side(self) -> int:
        """The side of the address in pings between it and this host, as the filter sees them: on their way in or out."""
        return schema.DESTINATION if self.hook == schema.TC_EGRESS else schema.SOURCE

    @property
    def main(self) -> Verdict:
        """What happens to pings between the address and this host."""
        return self.destination if self.main_side == schema.DESTINATION else self.source


class Explanation(NamedTuple):
    """What happens to an address or network on this host."""

    key: bytes
    filters: list[Judged]
    covers: list[Listed]  #: the entries that cover it: the allowlist's first, the narrowest first
    inside: list[Inside]  #: of a network: the entries that lie in it, by list
    at_boot: AtBoot
    notes: tuple[str, ...] = ()  #: sentences about what concerns more than this address

    @property
    def verdict(self) -> str:
        """The gravest main verdict of a filter; PASS without filters."""
        return max((each.main.verdict for each in self.filters), key=_SEVERITY.index, default=PASS)


def explain(base: str, store: Store, texts: Sequence[str]) -> list[Explanation]:
    """Explain addresses and networks. ``base`` is the directory of the pins.

    Raises PingKillerError, also for a text that is no address and without root.
    """
    keys = [_parsed(text) for text in texts]
    access.require_root()
    pins = Pins(base)
    pins.check_mount()
    pins = pins.in_use()
    names = pins.filters()
    notes = pins.warnings() + [note for name in names for note in filter_facts.notes(pins, name)]
    with opened_lists(pins) as lists:
        found = [_explained(pins, store, lists, key=key) for key in keys]
        notes += [note for each in found[:1] for note in _own_addresses_listed(lists, each.filters)]
    return [each._replace(notes=tuple(notes)) for each in found]


def _explained(pins: Pins, store: Store, lists: list[EntryList], *, key: bytes) -> Explanation:
    covers = covers_of(lists, key)
    return Explanation(
        key=key,
        filters=[_judged(pins, name, key, covers) for name in pins.filters()],
        covers=covers.own,
        inside=[inside_of(entries, key, _SHOWN) for entries in lists if _is_network(key)],
        at_boot=at_boot(store, key, covers.own),
    )


def _parsed(text: str) -> bytes:
    try:
        return addresses.parse(text.strip())
    except ValueError as error:
        raise PingKillerError(f"{quoted(text)} {error}") from None


def _is_network(key: bytes) -> bool:
    return len(key) != len(addresses.split(key).address)


def _own_addresses_listed(lists: list[EntryList], filters: list[Judged]) -> Iterator[str]:
    """Yield sentences about entries that decide about the other side of each ping: addresses of this host."""
    for side in sorted({1 - judged.main_side for judged in filters}):
        for address in own_addresses():
            entry = covers_of(lists, address).decisive(side, alone=True)
            if entry is not None:
                what = "source" if side == schema.SOURCE else "destination"
                yield (
                    f"{addresses.display(address)} is an address of this host, and {addresses.display(entry.key)} on the "
                    f"{entry.list_name} matches it as the {what}: pings with it may be judged by that entry instead"
                )


# One filter


def _judged(pins: Pins, name: str, key: bytes, covers: Covers) -> Judged:
    running = filter_meta.running(pins, name)
    noted = running.noted.options if running else {}
    options = FilterOptions.from_dict(noted) if noted else None
    mode = running.mode if running else "none"
    if running is None:
        return _not_judged(name, mode, options, Verdict(PASS, NOT_ATTACHED))
    if options is None or not running.reads_current_lists:
        return _not_judged(name, mode, options, Verdict(UNKNOWN, OTHER_LISTS if options else NOT_NOTED))
    blocked_for = _blocked_for(pins, name, key, options)
    source, destination = (
        _verdict(options, key, side, entry=covers.decisive(side), blocked=bool(blocked_for) and side == schema.SOURCE)
        for side in (schema.SOURCE, schema.DESTINATION)
    )
    hook = hooks.split_name(name)[1]
    return Judged(name, hook, mode, options, source=source, destination=destination, blocked_for=blocked_for)


def _not_judged(name: str, mode: str, options: FilterOptions | None, verdict: Verdict) -> Judged:
    hook = hooks.split_name(name)[1]
    return Judged(name, hook, mode, options, source=verdict, destination=verdict, blocked_for=None)


def _verdict(options: FilterOptions, key: bytes, side: int, *, entry: Listed | None, blocked: bool) -> Verdict:
    """Return the verdict on an echo request that is neither malformed nor a fragment, row by row as ``decide`` does."""
    if entry is not None:
        reason = "allowlist" if entry.list_name == schema.ALLOWLIST else "blocklist"
    elif not _is_filtered(options, key, side):
        reason = "type"
    elif blocked:
        reason = "ratelimit"
    else:
        reason = f"policy_{options.policy}"
    verdict = PASS if reason in schema.PASS_REASONS else WOULD_DROP if options.monitor else DROP
    return Verdict(verdict, reason, entry)


def _is_filtered(options: FilterOptions, key: bytes, side: int) -> bool:
    """Return whether policy and rate limit apply to echo requests. Those that leave with a foreign source are forwarded."""
    if not options.forwarded and side == schema.SOURCE:
        return False
    size = len(addresses.split(key).address)
    types = parse_types(list(options.icmp_types))
    filtered = types.icmp4 if size == 4 else types.icmp6
    return filtered is None or any((_ECHO_REQUEST[size], code) in filtered for code in (None, 0))


def _blocked_for(pins: Pins, name: str, key: bytes, options: FilterOptions) -> int | None:
    """Return for how many seconds the rate limit goes on blocking a source. None without a limit, and for many sources.

    The limit counts IPv6 sources by their prefix: see ``source_key`` in bpf/ratelimit.h. A wider network is many sources.
    """
    address, length = addresses.split(key)
    counted = 32 if len(address) == 4 else options.ratelimit_ipv6_prefix
    if not options.ratelimit_pps or length < counted:
        return None
    found = pins.open_map(pins.filter_pin(name, "sources"))
    if found is None:
        return None
    family = schema.FAMILIES.index("ipv4" if len(address) == 4 else "ipv6")
    source = addresses.split(addresses.network(address, counted)).address
    with found:
        state = found.lookup(schema.SOURCE_KEY.pack(family=family, address=source))
    left = schema.SOURCE_STATE.unpack(state)["blocked_until"] - durations.boot_time() if state else 0
    return durations.rounded_up(max(0, left))
