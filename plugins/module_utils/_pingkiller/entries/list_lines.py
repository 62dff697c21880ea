# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the lines of a list file that are more than plain addresses, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .. import durations
from ..errors import PingKillerError, quoted
from ..kernel import schema
from . import addresses, comments
from .claims import Claim
from .requested import OtherClaims

MAX_REPORTED = 10  #: how many bad lines a message names
#: By the value of on_invalid, how many bad lines to count. Nobody needs the exact number of more, or the file is no list.
MOST_FAULTS = {"fail": 5000, "skip": 1_000_000}
_MOST_KNOWN = 65536  #: how many different options of lines are remembered
_WORD = re.compile(r'comment="[^"]*"(?=[\s#;]|$)|[^\s#;]+|[#;].*')  #: of a line; a remark is one word


class Reading(NamedTuple):
    """How to read a list."""

    format: str = "plain"  #: or first_column: the words behind an address are not its options
    on_invalid: str = "fail"  #: or skip: leave out what is no entry
    host_bits: str = "refuse"  #: or mask: read 10.0.0.1/8 as 10.0.0.0/8

    @property
    def masks(self) -> bool:
        return self.host_bits == "mask"


class Faults:
    """Texts that are no entries: their number, and the first ones in words."""

    def __init__(self, reading: Reading) -> None:
        self.number = 0
        self._skipped = reading.on_invalid == "skip"
        self._most = MOST_FAULTS[reading.on_invalid]
        self._first: list[str] = []

    def add(self, where: str, text: str, error: ValueError) -> None:
        """Add a text, found at a place, with what is wrong with it. Raises PingKillerError if there are too many."""
        self.number += 1
        if self.number <= MAX_REPORTED:
            self._first.append(f"{where}{quoted(text)} {error}")
        if self.number > self._most:
            many = f"with on_invalid=skip more than {self._most} lines would be left out: " if self._skipped else ""
            raise PingKillerError(f"{many}{self}")

    def __str__(self) -> str:
        # Reading stops at the limit, so then only a lower bound is known.
        than, more = ("more than ", self._most) if self.number > self._most else ("", self.number)
        more -= MAX_REPORTED
        return "; ".join(self._first) + (f"; and {than}{more} more" if more > 0 else "")


class LineReader:
    """Reads lines of any kind, and collects their keys, claims and faults."""

    def __init__(self, name: str, usual: Claim, reading: Reading) -> None:
        self.keys: list[bytes] = []
        self.others = OtherClaims()
        self.faults = Faults(reading)
        self._name = name
        self._usual = usual
        self._reading = reading
        self._known: dict[tuple[str, ...], Claim] = {}  # so that the same ttl on many lines ends at one moment

    def read(self, lines: list[str], before: int) -> None:
        """Read lines, the first of which has ``before`` lines of the file before it."""
        for number, line in enumerate(lines, before + 1):
            words = self._words(line)
            if not words:
                continue
            try:
                keys = _keys(words[0], mask=self._reading.masks)
                if len(words) > 1:
                    self.others.add(len(self.keys), self._claim(tuple(words[1:])), len(keys))
                self.keys += keys
            except ValueError as error:
                self.faults.add(f"{self._name}, line {number}: ", words[0], error)

    def _words(self, line: str) -> list[str]:
        """Split a line without the remark at its end into the entry and its options."""
        if self._reading.format == "first_column":
            first = re.split(r"[\s,|]", _without_remark(line).strip(), maxsplit=1)[0]
            return [first] if first else []
        return words_of(line)

    def _claim(self, options: tuple[str, ...]) -> Claim:
        if options not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[options] = _with_options(self._usual, options, ", unless format=first_column")
        return self._known[options]


def words_of(line: str) -> list[str]:
    """Split a line without the remark at its end into words. A comment with its quotes is one word."""
    text = _without_remark(line)
    if '"' in text:
        return [word for word in _WORD.findall(line) if word[0] not in "#;"]
    return text.split()


def _without_remark(line: str) -> str:
    return line.partition("#")[0].partition(";")[0]


def parse_words(words: Sequence[str], usual: Claim) -> tuple[list[bytes], Claim]:
    """Read an entry and the options behind it. Raises ValueError with a reason that can follow the first word."""
    return _keys(words[0], mask=False), _with_options(usual, words[1:])


def _keys(word: str, *, mask: bool) -> list[bytes]:
    if word.startswith("//"):
        raise ValueError("is not an IPv4 or IPv6 address: begin comments with # or ;")
    return addresses.parse_entry(word, mask=mask)


def _with_options(claim: Claim, options: Iterable[str], way_out: str = "") -> Claim:
    for word in options:
        name, _equals, value = word.partition("=")
        if name == "direction" and value in schema.DIRECTIONS:
            claim = claim._replace(sides=schema.DIRECTIONS[value])
        elif name == "ttl":
            claim = claim._replace(until=_until(word, value))
        elif name == "comment" and len(value) > 1 and value[0] == value[-1] == '"':
            claim = claim._replace(comment=_comment(value[1:-1]))
        else:
            raise ValueError(
                f'is followed by {quoted(word)}: only direction=src|dst|both, ttl=DURATION and comment="TEXT" may follow{way_out}'
            )
    return claim


def _until(word: str, value: str) -> int:
    try:
        return durations.until(durations.parse(value))
    except ValueError as error:
        raise ValueError(f"is followed by {quoted(word)}, and {quoted(value)} {error}") from None


def _comment(text: str) -> str:
    try:
        return comments.checked(text)
    except ValueError as error:
        raise ValueError(f"has the comment {quoted(text)}, which {error}") from None
