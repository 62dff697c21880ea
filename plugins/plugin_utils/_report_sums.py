# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says of a whole fleet: sums, reasons, lists, and what needs attention, of the hosts' records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import (
    DROP_REASONS,
    PASS_REASONS,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import number
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_words import hosts
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import (
    FAILED,
    LACKING,
    STATES,
    UNFILTERED,
    UNREACHABLE,
    HostStatus,
)

NEARLY_FULL = 0.9  #: of a list's capacity
_MOST_GROUPS = 12  #: sentences of one kind
_MOST_NAMES = 20  #: hosts or addresses behind a sentence
_FULLEST = 5

#: What a reason means, for somebody who does not know the options of a filter.
MEANINGS = {
    "blocklist": "its source or destination is on the blocklist",
    "ratelimit": "its source sends more than it may, or is still blocked for it",
    "policy_drop": "no list names it, and the policy is to drop",
    "too_many_tags": "it has more VLAN tags than anybody reads",
    "not_icmp": "it is not ICMP, so it is none of the filter's business",
    "malformed": "it is cut off so early that nobody could answer it",
    "protected": "path MTU discovery or IPv6 neighbours need it",
    "allowlist": "its source or destination is on the allowlist",
    "type": "its ICMP type is not among the filtered ones",
    "policy_pass": "no list names it, and the policy is to pass",
    "unclassified": "it could not be read to its ICMP header",
}


class Totals(NamedTuple):
    """Sums over all hosts, in packets, and numbers of hosts."""

    hosts: int
    answered: int
    lacking: int
    states: dict[str, int]  #: hosts by state, worst first; only states that occur
    seconds: float  #: the longest time that a host was measured for; 0 if none was
    recent: int  #: dropped in this time
    dropped: int
    would_drop: int
    sources: int  #: distinct ones that some host has among its busiest
    entries: int  #: of all blocklists


class Reason(NamedTuple):
    """Packets of one reason on all hosts. Those by family are None where no host tells them apart."""

    name: str
    meaning: str
    packets: int
    recent: int
    ipv4: int | None
    ipv6: int | None
    other: int | None  #: neither, such as ARP


class Group(NamedTuple):
    """A sentence, and the hosts that it is true of: ``names`` has the first, ``more`` is the number of the others."""

    kind: str  #: a state, or "note"
    sentence: str
    hosts: int
    names: tuple[str, ...]
    more: int


class Owner(NamedTuple):
    """The entries of an owner in one list, on all hosts."""

    list: str
    name: str
    entries: int
    hosts: int


class Fullest(NamedTuple):
    """One of the fullest lists of the fleet."""

    host: str
    list: str
    count: int
    capacity: int

    @property
    def share(self) -> float:
        """Which part of the capacity is in use, between 0 and 1."""
        return min(1.0, self.count / self.capacity) if self.capacity else 0.0


def totals(statuses: list[HostStatus]) -> Totals:
    """Add up what the hosts say."""
    states = Counter(each.state for each in statuses)
    return Totals(
        hosts=len(statuses),
        answered=sum(each.answered for each in statuses),
        lacking=sum(each.lacks for each in statuses),
        states={state: states[state] for state in STATES if states[state]},
        seconds=max((each.recent.seconds for each in statuses), default=0.0),
        recent=sum(each.recent.dropped for each in statuses),
        dropped=sum(each.counts.dropped for each in statuses),
        would_drop=sum(each.counts.would_drop for each in statuses),
        sources=len({source.ip for each in statuses for source in each.sources}),
        entries=sum(each.lists["blocklist"].count for each in statuses if "blocklist" in each.lists),
    )


def headline(of: Totals) -> str:
    """Return a sentence about the hosts that lack something, without a dot."""
    if not of.hosts:
        return "No host was looked at"
    if of.lacking:
        lack = "lacks" if of.lacking == 1 else "lack"
        return f"{number(of.lacking)} of {hosts(of.hosts)} {lack} what the inventory wants"
    return (
        "The only host is as the inventory wants"
        if of.hosts == 1
        else f"All {hosts(of.hosts)} are as the inventory wants"
    )


def reasons(statuses: list[HostStatus], names: tuple[str, ...]) -> list[Reason]:
    """Add up the packets of reasons, most first. Reasons without packets are left out."""
    counted: Counter[str] = Counter()
    recent: Counter[str] = Counter()
    families: Counter[tuple[str, str]] = Counter()
    for each in statuses:
        counted.update(each.counts.reasons)
        recent.update(each.recent.reasons)
        for name, by_family in (each.details.reasons if each.details else {}).items():
            families.update({(name, family): packets for family, packets in by_family.items()})
            if name not in each.counts.reasons:  # which has only the reasons of what was dropped
                counted[name] += sum(by_family.values())
    told = {name for name, _family in families}
    found = [
        Reason(name, MEANINGS[name], counted[name], recent[name], *_by_family(families, name if name in told else ""))
        for name in names
        if counted[name]
    ]
    return sorted(found, key=lambda each: -each.packets)


def _by_family(families: Counter[tuple[str, str]], name: str) -> tuple[int | None, int | None, int | None]:
    return (families[name, "ipv4"], families[name, "ipv6"], families[name, "other"]) if name else (None, None, None)


def dropped(statuses: list[HostStatus]) -> list[Reason]:
    """Return why packets were dropped."""
    return reasons(statuses, DROP_REASONS)


def passed(statuses: list[HostStatus]) -> list[Reason]:
    """Return why packets passed, as far as the hosts were asked for it."""
    return reasons(statuses, PASS_REASONS)


def attention(statuses: list[HostStatus]) -> tuple[list[Group], dict[str, int]]:
    """Group hosts by the sentences about them, worst first, and count those of each kind for which there was no room."""
    kinds: dict[str, dict[str, list[str]]] = {kind: {} for kind in (*LACKING, "note")}
    for each in statuses:
        for kind, sentence in _sentences(each):
            kinds[kind].setdefault(sentence, []).append(each.host)
    groups, left_out = [], {}
    for kind, sentences in kinds.items():
        found = sorted(sentences.items(), key=lambda item: -len(item[1]))
        groups += [grouped(kind, sentence, hosts) for sentence, hosts in found[:_MOST_GROUPS]]
        if found[_MOST_GROUPS:]:
            left_out[kind] = len({host for _sentence, hosts in found[_MOST_GROUPS:] for host in hosts})
    return groups, left_out


def grouped(kind: str, sentence: str, hosts: list[str]) -> Group:
    """Return a sentence with the first of its hosts."""
    return Group(kind, sentence, len(hosts), tuple(hosts[:_MOST_NAMES]), max(0, len(hosts) - _MOST_NAMES))


def _sentences(each: HostStatus) -> Iterator[tuple[str, str]]:
    if each.state in (UNREACHABLE, FAILED):
        yield each.state, each.message
    for sentence in each.drift:
        yield each.state, sentence
    if each.drift_left_out:
        yield each.state, "a deploy would change more than there is room for here"
    if each.state == UNFILTERED and not each.drift:
        yield each.state, "a filter that the inventory wants is missing"
    for sentence in each.notes:
        yield "note", sentence
    for name, fill in each.lists.items():
        if fill.capacity and fill.count >= NEARLY_FULL * fill.capacity:
            yield "note", f"the {name} is at least {NEARLY_FULL:.0%} full"


def owners(statuses: Iterable[HostStatus]) -> list[Owner]:
    """Add up the entries of each owner in each list, most first."""
    entries: Counter[tuple[str, str]] = Counter()
    hosts: Counter[tuple[str, str]] = Counter()
    for each in statuses:
        for name, by_owner in (each.details.owners if each.details else {}).items():
            for owner, count in by_owner.items():
                entries[name, owner] += count
                hosts[name, owner] += 1
    found = [Owner(name, owner, count, hosts[name, owner]) for (name, owner), count in entries.items()]
    return sorted(found, key=lambda each: (-each.entries, each))


def fullest(statuses: Iterable[HostStatus]) -> list[Fullest]:
    """Return the lists that are fullest. Those that are all but empty are left out."""
    lists = (Fullest(each.host, name, *fill) for each in statuses for name, fill in each.lists.items())
    found = [each for each in lists if each.share >= 0.001]
    return sorted(found, key=lambda each: (-each.share, each.host))[:_FULLEST]
