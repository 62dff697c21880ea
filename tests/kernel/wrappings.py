# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions made by hand, from SOURCE or SOURCE6. They are wrapped in the same ways as the random questions."""

from __future__ import annotations

from groups import MOST_HEADERS, MOST_TAGS, Frame, Group, packed
from packets import ICMP6_ECHO, SOURCE, SOURCE6, chain, extension, fragment, ip6, ping, ping6


def asks(what, family, *frames):
    """Return a group of these frames."""
    source = packed(SOURCE if family == "ipv4" else SOURCE6)
    return Group(0, what, family, source, source, 64, frames, 0, 0, False, False, False)


def echo(*frames):
    return asks("echo", "ipv6", *(Frame(bytes(frame)) for frame in frames))


def tagged(frame, tags):
    """Return the frame with this number of VID 0 tags added, of both kinds and all priorities."""
    added = ((b"\x81\x00", b"\x88\xa8")[number % 2] + bytes([number % 16 << 4, 0]) for number in range(tags))
    return frame[:12] + b"".join(added) + frame[12:]


def in_fragments(what, kinds, protocol, payload, cuts, numbers=None, behind_first=b""):
    """Return extension headers and what follows, cut at `cuts`. `numbers` are the next headers of the fragments."""
    whole = bytes(chain(kinds, protocol, payload))
    first_kind, content = whole[20], whole[14 + 40 :]
    frames = []
    for start, end in zip([0, *cuts], [*cuts, len(content)]):
        number = numbers[len(frames)] if numbers else first_kind
        header = fragment(number, start // 8, end < len(content))[:4] + bytes(4)
        data = bytes(ip6(nh=44, plen=8 + end - start)) + header + content[start:end]
        frames.append(Frame(data + (b"" if start else behind_first), 14 + 40 + 4))
    return asks(what, "ipv6", *frames)


def without_length(packet):
    """Return an IPv6 packet with payload length 0. With hop-by-hop options first, it ends where the frame ends."""
    frame = bytes(packet)
    return frame[:18] + bytes(2) + frame[20:]


def backwards(group):
    return group._replace(frames=group.frames[::-1])


def with_tags(group, tags):
    frames = (
        Frame(tagged(each.data, tags), each.identification and each.identification + 4 * tags) for each in group.frames
    )
    return group._replace(frames=tuple(frames))


def echo_in_fragments(headers, cuts, **more):
    return in_fragments("echo", [60] * headers, 58, ICMP6_ECHO, cuts, **more)


NINE_HEADERS = echo(chain([60] * 9))
CUT_CHAIN = echo_in_fragments(2, [8])
HEADERS = {
    "nine": NINE_HEADERS,
    "as many as are read": echo(chain([60] * MOST_HEADERS)),
    "one more": echo(chain([60] * (MOST_HEADERS + 1))),
    "as many as there is room for": echo(chain([60] * 175)),
    "routing headers": echo(chain([43] * 12)),
    "of all kinds that are answered": echo(chain([0, 60, 43, 60, 44, 43, 60, 60, 43, 60])),
    "one, and no length": echo(without_length(chain([0]))),
    "nine, and no length": echo(without_length(chain([0, *[60] * 8]))),
}
FRAGMENTS = {
    "cut behind the first header": CUT_CHAIN,
    "the other way round": backwards(CUT_CHAIN),
    "in pieces": echo_in_fragments(4, [8, 16, 24, 32]),
    "many headers in the first": echo_in_fragments(30, [200]),
    "the second says it is TCP": echo_in_fragments(9, [8], numbers=[60, 6]),
    "seems to end behind its end": echo_in_fragments(2, [8], behind_first=extension(60, 59)),
    "seems to be TCP behind its end": echo_in_fragments(2, [8], behind_first=extension(60, 6) + bytes(20)),
}
TAGS = {
    (tags, family): asks("echo", family, Frame(tagged(bytes(frame), tags)))
    for tags in (3, 4, MOST_TAGS, MOST_TAGS + 1, 40, 300)
    for family, frame in (("ipv4", ping()), ("ipv6", ping6()))
}
INSIDE_ONE_ANOTHER = {
    "nine headers behind three tags": with_tags(NINE_HEADERS, 3),
    "a cut chain behind four tags": with_tags(CUT_CHAIN, 4),
    "a cut chain that seems to end, behind twenty tags": with_tags(FRAGMENTS["seems to end behind its end"], 20),
}
