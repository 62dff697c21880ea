# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel as judge: a question that it answers without the filter gets no answer with the filter, in every wrapping.

Questions are made at random (groups.py) and by hand (wrappings.py). A failure shows the seed. Repeat the run with
--seed, and ask more questions with --groups.
"""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from groups import (
    ICMP_QUESTIONS,
    MOST_HEADERS,
    MOST_TAGS,
    OTHER_QUESTIONS,
    TCP_PORT,
    UDP_PORT,
    Frame,
    Group,
    make_groups,
    packed,
)
from model import EVERY_TYPE, Entry, Options, Source
from network import FAMILIES, Root
from packets import SOURCE, SOURCE6, chain, ip6, ping, ping6, scapy_expression
from scapy.all import TCP, UDP, Raw
from scapy.all import fragment as ipv4_fragments
from wire import MARKS, WAYS, End, behind
from wrappings import FRAGMENTS, HEADERS, INSIDE_ONE_ANOTHER, NINE_HEADERS, TAGS, asks, in_fragments, tagged, with_tags

pytestmark = pytest.mark.kernel

LIMIT, FAR = 5, 2**63  # packets per second; a time in the far future
DEFAULT = Options(ratelimit_pps=LIMIT, ratelimit_ipv6_prefix=128)
# A limit so high that only sources set as blocked exceed it.
UNPROTECTED = Options(icmp_types=EVERY_TYPE, protect=False, ratelimit_pps=10_000_000, ratelimit_ipv6_prefix=128)
DROP_PING = Options(policy="drop")
STRICTEST = Options(policy="drop", icmp_types=EVERY_TYPE, protect=False)

EVERYBODY = (Entry("0.0.0.0/0", "both"), Entry("::/0", "both"))
BOTH_SOURCES = (Entry(SOURCE), Entry(SOURCE6))
HEARD = tuple(Entry(address) for address in MARKS)


class Setting(NamedTuple):
    """The reason why a question must not be answered."""

    options: Options
    blocked: bool = False
    limited: bool = False

    def may_be_answered(self, group: Group) -> bool:
        if self.blocked:
            # Protection passes what the RFCs accept. The kernel answers no other solicitations and queries.
            return self.options.protect and group.family == "ipv6" and is_protected(group)
        return self.options.icmp_types != EVERY_TYPE and group.what != "echo"


SETTINGS = {
    "blocked": Setting(DEFAULT, blocked=True),
    "blocked, nothing protected": Setting(UNPROTECTED, blocked=True),
    "over the limit": Setting(DEFAULT, limited=True),
    "over the limit of all types": Setting(UNPROTECTED, limited=True),
    "policy drop": Setting(DROP_PING),
    "policy drop of all types, nothing protected": Setting(STRICTEST),
}


QUESTIONS = {"icmp": ICMP_QUESTIONS, "others": OTHER_QUESTIONS}
HAS_PROBE = Path("/proc/sys/net/ipv4/icmp_echo_enable_probe").exists()  # Linux 5.13
#: Shapes that must be among the questions, because the filter and the kernel may treat them differently.
SHAPES = {
    "more than 2 tags": lambda group: group.tags > 2,
    "more tags than are read": lambda group: group.tags > MOST_TAGS,
    "more than 8 headers": lambda group: group.headers > 8,
    "more headers than are read": lambda group: group.headers > MOST_HEADERS,
    "headers missing in the first fragment": lambda group: group.incomplete,
    "headers that seem to go on behind its end": lambda group: group.decoy,
}


def sorts(questions: dict) -> dict:
    """Return the kinds and shapes that must be among these questions, and be answered often enough."""
    asked = [sort for sort in questions if HAS_PROBE or sort[0] != "extended echo"]
    kinds = {", ".join(sort): lambda group, sort=sort: (group.what, group.family) == sort for sort in asked}
    return {**kinds, **SHAPES}


class Judged(NamedTuple):
    """The questions, and the answers of the kernel without a filter."""

    seed: int
    groups: list
    answered: list
    heard: Counter

    def failure(self, title: str, groups: list) -> str:
        """Describe the groups that failed: the numbers of all, and the frames of the first three."""
        lines = [f"{title}: {len(groups)} of {len(self.answered)} groups, made with --seed {self.seed}:"]
        lines.append(", ".join(str(group.number) for group in groups))
        for group in groups[:3]:
            shape = (f"{name} {value}" for name, value in zip(Group._fields[7:], group[7:]) if value)
            lines.append(f"{group.number}: {group.what}, {group.family}; {', '.join(shape)}")
            lines += [f"  {scapy_expression(frame.data)}" for frame in group.frames]
        return "\n".join(lines)


def is_protected(group):
    return group.what in ("neighbour", "listener") or (group.what == "router" and group.hop_limit == 255)


def was_answered(group, heard):
    return (group.answered_to, group.what) in heard


def has_new_error(group, heard, judged):
    """Whether the host sends this group's source an error that it did not send without the filter.

    Errors about single fragments, which cannot be recognised as ICMP, come with and without the filter.
    """
    error = (group.source, "error")
    return error in heard and error not in judged.heard


def judge(end, config, questions):
    seed = config.getoption("--seed")
    groups = make_groups(seed, config.getoption("--groups"), questions)
    heard = end.ask(groups)
    # A host also reports its multicast groups without a question, but not twice.
    again = end.ask([group for group in groups if group.what == "listener" and was_answered(group, heard)])
    answered = [group for group in groups if was_answered(group, again if group.what == "listener" else heard)]
    return Judged(seed, groups, answered, heard)


@pytest.fixture(scope="module")
def end(_bpf_file_system):
    with End() as made:
        yield made


@pytest.fixture(scope="module")
def icmp(end, pytestconfig):
    return judge(end, pytestconfig, ICMP_QUESTIONS)


@pytest.fixture(scope="module")
def others(end, pytestconfig):
    return judge(end, pytestconfig, OTHER_QUESTIONS)


def loaded(host, options, way, blocklist=()):
    """Return the filter with these options and lists, and no sources in the rate limit."""
    filter_ = host.filter(options._replace(hook="tc_ingress" if way == "tc_ingress" else "xdp"))
    host.set_lists(blocklist, HEARD)
    if options.ratelimit_pps:
        filter_.set_sources({})
    return filter_


# Questions at random


@pytest.mark.parametrize("questions", QUESTIONS)
def test_the_kernel_answers_enough_questions_of_every_sort_to_judge_by(request, questions):
    judged = request.getfixturevalue(questions)
    shares = {}
    for name, is_of in sorts(QUESTIONS[questions]).items():
        shares[name] = tuple(sum(map(is_of, groups)) for groups in (judged.groups, judged.answered))
    assert len(judged.answered) * 3 >= len(judged.groups)
    # Linux before 6.18 answers one in five of the few questions with more headers than the filter reads.
    assert all(answered * 20 >= asked for asked, answered in shares.values()), shares
    assert all(asked * 50 >= len(judged.groups) for asked, _answered in shares.values()), shares


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_answered_without_the_filter_is_not_answered_with_it(end, host, icmp, name, way):
    setting = SETTINGS[name]
    filter_ = loaded(host, setting.options, way, EVERYBODY if setting.blocked else ())
    if setting.limited:
        filter_.set_sources({display(group.source): Source(0, 0, FAR) for group in icmp.answered})
    asked = [group for group in icmp.answered if not setting.may_be_answered(group)]
    with end.behind(filter_, way):
        through = got_through(end, icmp, asked)
        # A host also reports its multicast groups up to a second after a change of its interface, but not twice.
        if all(group.what == "listener" for group in through):
            through = got_through(end, icmp, got_through(end, icmp, through))
    assert not through, icmp.failure(f"answered although {name}, on {way}", through)


def got_through(end, icmp, asked):
    """Return the groups that are answered."""
    heard = end.ask(asked)
    return [group for group in asked if was_answered(group, heard) or has_new_error(group, heard, icmp)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["over the limit", "policy drop"])
def test_who_asks_something_else_than_echo_is_answered_as_before(end, host, icmp, name, way):
    filter_ = loaded(host, SETTINGS[name].options, way)
    asked = [group for group in icmp.answered if group.what != "echo" and not group.unclassified]
    if SETTINGS[name].limited:
        filter_.set_sources({display(group.source): Source(0, 0, FAR) for group in asked})
    with end.behind(filter_, way):
        heard = end.ask(asked)
    lost = [group for group in asked if not was_answered(group, heard)]
    assert not lost, icmp.failure(f"not answered under {name}, on {way}", lost)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_icmp_arrives_behind_the_strictest_filter_and_is_counted_as_that(end, host, others, way):
    filter_ = loaded(host, STRICTEST, way, EVERYBODY)
    # The documented exceptions: frames that cannot be classified, and later fragments with next header ICMPv6.
    asked = [group for group in others.answered if not group.unclassified and not group.claims_icmp]
    with end.behind(filter_, way):
        heard, counted = asked_and_counted(end, filter_, asked)
        lost = [group for group in asked if not was_answered(group, heard)]
        assert not lost, others.failure(f"lost on {way}", lost)
        # In generic mode, early kernels also show the filter the multicast packets of the host itself.
        if set(counted) != {"not_icmp"} or counted["not_icmp"] < sum(len(group.frames) for group in asked):
            wrong = [group for group in asked if set(asked_and_counted(end, filter_, [group])[1]) != {"not_icmp"}]
            raise AssertionError(others.failure(f"counted as {counted} on {way}", wrong))


def asked_and_counted(end, filter_, groups):
    """Return the answers to these groups, and the number of their frames by reason."""
    heard = []
    counted = filter_.moved(lambda: heard.append(end.ask(groups)))
    counted.pop("allowlist")  # the gateway, whose question comes last
    return heard[0], counted


def display(address):
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


# Questions by hand


def answers(end, *groups):
    """Return the number of answers of the right kind to these groups."""
    heard = end.ask(groups)
    return sum(heard[address, what] for address, what in {(group.answered_to, group.what) for group in groups})


def assert_no_answer_to_a_blocked_source(end, host, way, questions):
    filter_ = loaded(host, DEFAULT, way, BOTH_SOURCES)
    assert [name for name, group in questions.items() if not answers(end, group)] == [], "not even without a filter"
    with end.behind(filter_, way):
        assert [name for name, group in questions.items() if answers(end, group)] == []


@pytest.mark.parametrize("way", WAYS)
def test_a_blocked_source_behind_nine_or_more_extension_headers_gets_no_answer(end, host, way):
    assert_no_answer_to_a_blocked_source(end, host, way, HEADERS)


@pytest.mark.parametrize("way", WAYS)
def test_a_blocked_source_whose_first_fragment_lacks_headers_gets_no_answer(end, host, way):
    assert_no_answer_to_a_blocked_source(end, host, way, FRAGMENTS)


@pytest.mark.parametrize("way", WAYS)
def test_a_blocked_source_behind_three_or_more_vlan_tags_gets_no_answer(end, host, way):
    assert_no_answer_to_a_blocked_source(end, host, way, TAGS)


@pytest.mark.parametrize("way", WAYS)
def test_a_blocked_source_behind_all_of_them_inside_one_another_gets_no_answer(end, host, way):
    assert_no_answer_to_a_blocked_source(end, host, way, INSIDE_ONE_ANOTHER)


@pytest.mark.parametrize("way", WAYS)
def test_of_a_hundred_wrapped_pings_as_many_are_answered_as_the_limit_allows(end, host, way):
    filter_ = loaded(host, DEFAULT, way)
    few_tags = {name: group for name, group in TAGS.items() if name[0] <= MOST_TAGS}
    wrapped = {**HEADERS, **FRAGMENTS, **few_tags, "nine headers behind three tags": with_tags(NINE_HEADERS, 3)}
    answered = {}
    with end.behind(filter_, way):
        for name, group in wrapped.items():
            filter_.set_sources({})
            answered[name] = answers(end, *[group] * 100)
    assert answered == dict.fromkeys(wrapped, LIMIT)


@pytest.mark.parametrize("way", WAYS)
def test_big_pings_of_the_host_and_of_those_it_may_answer_are_whole_under_policy_drop(host, cable, way):
    filter_ = loaded(host, DROP_PING, way)
    host.set_lists(allowlist=tuple(Entry(address) for address in cable.listed.values()))
    big = ("-s", "4000")
    with behind(filter_, cable.interface, way):
        for family in FAMILIES:
            assert Root.ping(cable.unlisted[family], cable.filtered[family], True, *big)
            assert cable.inside.ping(cable.filtered[family], cable.listed[family], True, *big)
            assert not cable.inside.ping(cable.filtered[family], cable.unlisted[family], False, *big)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_big_ping_arrives_where_all_types_are_dropped_or_its_source_is_blocked(end, host, way):
    ipv4 = (Frame(bytes(each)) for each in ipv4_fragments(ping() / Raw(bytes(4000)), 1480))
    ipv6 = bytes(ping6() / Raw(bytes(4000)))[54:]
    big = [asks("echo", "ipv4", *ipv4), in_fragments("echo", [], 58, ipv6, [1448, 2896])]
    for options, blocklist, reason in ((STRICTEST, (), "policy_drop"), (DEFAULT, BOTH_SOURCES, "blocklist")):
        filter_ = loaded(host, options, way, blocklist)
        with end.behind(filter_, way):
            counted = asked_and_counted(end, filter_, big)[1]
            counted.pop("not_icmp", None)  # multicast packets of the host itself, see above
            assert counted == {reason: 6}


@pytest.mark.parametrize("way", WAYS)
def test_a_later_fragment_that_says_icmpv6_of_itself_is_taken_for_that_whatever_it_belongs_to(end, host, way):
    """Test a documented exception. Real senders give all fragments of a datagram the same next header."""
    datagram = bytes(ip6() / UDP(sport=1024, dport=UDP_PORT) / Raw(bytes(64)))[54:]
    odd, usual = (in_fragments("udp", [], 17, datagram, [24], numbers=[17, number]) for number in (58, 17))
    with end.behind(loaded(host, DROP_PING, way), way):
        assert (answers(end, odd), answers(end, usual)) == (1, 1)
    filter_ = loaded(host, STRICTEST, way)
    with end.behind(filter_, way):
        assert (answers(end, odd), answers(end, usual)) == (0, 1)
        counted = asked_and_counted(end, filter_, [odd])[1]
        assert (set(counted), counted["policy_drop"]) == ({"not_icmp", "policy_drop"}, 1)


@pytest.mark.parametrize("way", WAYS)
def test_tcp_behind_nine_extension_headers_is_not_icmp(end, host, way):
    segment = bytes(ip6() / TCP(sport=1024, dport=TCP_PORT, flags="S"))[54:]
    question = asks("tcp", "ipv6", Frame(bytes(chain([60] * 9, 6, segment))))
    filter_ = loaded(host, STRICTEST, way)
    with end.behind(filter_, way):
        heard, counted = asked_and_counted(end, filter_, [question])
    assert (heard[packed(SOURCE6), "tcp"], set(counted)) == (1, {"not_icmp"})


@pytest.mark.parametrize("way", WAYS)
def test_the_bytes_of_a_tag_are_counted_on_every_hook(end, host, way):
    filter_ = loaded(host, DEFAULT, way, BOTH_SOURCES)
    frame = tagged(bytes(ping()), 1)
    cell = ("reason", "blocklist", "ipv4")
    before = filter_.reasons()[cell]
    with end.behind(filter_, way):
        assert answers(end, asks("echo", "ipv4", Frame(frame))) == 0
    after = filter_.reasons()[cell]
    assert (after[0] - before[0], after[1] - before[1]) == (1, len(frame))
