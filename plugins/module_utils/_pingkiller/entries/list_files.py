# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists as users write them: the addresses of a task, and files with a line for each entry."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, repeat
from typing import NamedTuple, TextIO

from .. import durations
from ..errors import PingKillerError, quoted
from ..kernel import schema
from . import addresses
from .wishes import Others, Wanted, Wishes, merged

MAX_REPORTED = 10  #: how many bad lines a message names
_READ_AT_ONCE = 65536  #: characters of a list file, and the longest line
_MOST_ENTRIES = 1 << 24  #: four times what a list holds, so that doubles do no harm
_UNCHECKED = 1 << 22  #: entries that are read before doubles are looked for
_MOST_LINES = 1 << 25  #: so that each of them has room for a comment above it
#: Lines that are no entries, by what on_invalid says of them: after so many nobody wants to know how many there are, or
#: what is left is no list.
_MOST_FAULTS = {"fail": 5000, "skip": 1_000_000}
_MOST_KNOWN = 65536  #: options of a line that are remembered


class Reading(NamedTuple):
    """How a list is to be read."""

    format: str = "plain"  #: or first_column: what follows an address is no option of it
    on_invalid: str = "fail"  #: or skip: leave out what is no entry
    host_bits: str = "refuse"  #: or mask: 10.0.0.1/8 is 10.0.0.0/8

    def chosen(self) -> dict:
        """What is not as usual."""
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}

    @property
    def masks(self) -> bool:
        return self.host_bits == "mask"


class _Faults:
    """What is no entry: how many, and the first ones in words. Nobody waits for the end of a file of nothing else."""

    def __init__(self, reading: Reading) -> None:
        self.number = 0
        self._skipped = reading.on_invalid == "skip"
        self._most = _MOST_FAULTS[reading.on_invalid]
        self._first: list[str] = []

    def add(self, where: str, text: str, error: ValueError) -> None:
        self.number += 1
        if self.number <= MAX_REPORTED:
            self._first.append(f"{where}{quoted(text)} {error}")
        if self.number > self._most:
            many = f"with on_invalid=skip more than {self._most} lines would be left out: " if self._skipped else ""
            raise PingKillerError(f"{many}{self}")

    def __str__(self) -> str:
        # Of a file that was not read to its end, all that is known is that there are more than this.
        than, more = ("more than ", self._most) if self.number > self._most else ("", self.number)
        more -= MAX_REPORTED
        return "; ".join(self._first) + (f"; and {than}{more} more" if more > 0 else "")


def parse_all(texts: Iterable[str], wanted: Wanted, reading: Reading = Reading()) -> Wishes:
    """The addresses, networks and ranges of a task. Raises PingKillerError naming up to ten that are wrong."""
    keys: list[bytes] = []
    faults = _Faults(reading)
    for text in texts:
        try:
            keys += addresses.parse_entry(text, reading.masks)
        except ValueError as error:
            faults.add("ip=", text, error)
    if not keys and not faults.number:
        raise PingKillerError("ip is empty: give at least one IPv4 or IPv6 address or network")
    return _judged(Wishes(keys, wanted), faults, reading)


def parse_file(
    file: TextIO,
    name: str,
    wanted: Wanted,
    reading: Reading = Reading(),
    path: str | None = None,
    most: int = _MOST_ENTRIES,
) -> Wishes:
    """The entries of a list file, a line each: ``ENTRY [direction=src|dst|both] [ttl=DURATION] [# comment]``.

    ``wanted`` holds for lines that say nothing else, and doubles are ``merged``. Raises PingKillerError naming ``name``,
    line and fault of up to ten bad lines, or what a file is that is no such list, with what makes one of the file at
    ``path``, or that more than ``most`` of its entries are distinct. Lines of nothing but addresses of one family are read some
    thousands at once.
    """
    reader = _LineReader(name, wanted, reading)
    before, unchecked = 0, _UNCHECKED
    for lines in _some_lines(file, name, path):
        plain = _plain_keys(lines)
        if plain is None:
            reader.read(lines, before)
        else:
            reader.keys += plain
        before += len(lines)
        _check_length(before, len(reader.keys), name)
        if len(reader.keys) > unchecked:
            _let_doubles_be_one(reader.keys, most)
            unchecked = len(reader.keys) + _UNCHECKED
    return _judged(merged(Wishes(reader.keys, wanted, reader.others)), reader.faults, reading)


def _judged(wishes: Wishes, faults: _Faults, reading: Reading) -> Wishes:
    """Whether a list is good enough. Raises PingKillerError."""
    if not faults.number:
        return wishes
    if reading.on_invalid == "fail":
        raise PingKillerError(str(faults))
    if not wishes.keys:
        raise PingKillerError(f"with on_invalid=skip nothing is left: {faults}")
    return wishes._replace(
        skipped=faults.number, notes=(*wishes.notes, f"left out {faults.number} that are no entries: {faults}")
    )


def _some_lines(file: TextIO, name: str, path: str | None) -> Iterator[list[str]]:
    """The lines without their ends, so many at a time that they stay in the processor's cache."""
    head = file.read(_READ_AT_ONCE).removeprefix("\ufeff")
    _check_kind(head, name, path)
    rest = ""
    for text in chain([head], iter(lambda: file.read(_READ_AT_ONCE), "")):
        lines = (rest + text).split("\n")
        rest = lines.pop()
        if len(rest) > _READ_AT_ONCE:
            raise PingKillerError(
                f"{name} has a line of more than {_READ_AT_ONCE} characters: give a list with an address on each line"
            )
        yield lines
    if rest:
        yield [rest]


def _check_length(lines: int, entries: int, name: str) -> None:
    """Raises PingKillerError before it is more than fits into memory, or takes a minute."""
    for number, most, what in ((entries, _MOST_ENTRIES, "entries"), (lines, _MOST_LINES, "lines")):
        if number > most:
            raise PingKillerError(f"{name} has more than {most} {what}, which no list has: give a shorter one")


def _let_doubles_be_one(keys: list[bytes], most: int) -> None:
    """Leave the keys as they are, but where many are equal let these be one object. Raises PingKillerError for too many others."""
    distinct = set(keys)
    check_number(distinct, most)
    if len(distinct) <= len(keys) // 2:
        one = dict(zip(distinct, distinct))
        keys[:] = map(one.__getitem__, keys)


def check_number(distinct: Collection[bytes], most: int) -> None:
    """To find out by a plan that they are too many takes gigabytes. Raises PingKillerError."""
    if len(distinct) > most:
        raise PingKillerError(
            f"there are more than {most} entries, and a list holds no more: nothing was changed; give fewer, or networks that "
            f"cover them"
        )


def _plain_keys(lines: list[str]) -> list[bytes] | None:
    """The keys, if every line is an address of one family and nothing else."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            keys = list(map(socket.inet_pton, repeat(family), lines))
        except (OSError, ValueError):
            continue
        return None if addresses.has_mapped(keys) else keys
    return None


class _LineReader:
    """Reads any lines, one by one."""

    def __init__(self, name: str, wanted: Wanted, reading: Reading) -> None:
        self.keys: list[bytes] = []
        self.others = Others()
        self.faults = _Faults(reading)
        self._name = name
        self._wanted = wanted
        self._reading = reading
        self._known: dict[tuple, Wanted] = {}  # so that the same ttl on many lines is one moment

    def read(self, lines: list[str], before: int) -> None:
        """Lines of which the first has ``before`` others before it."""
        first_column, mask = self._reading.format == "first_column", self._reading.masks
        for number, line in enumerate(lines, before + 1):
            text = line.partition("#")[0].partition(";")[0]
            words = re.split(r"[\s,|]", text.strip(), maxsplit=1)[:1] if first_column else text.split()
            if not words or not words[0]:
                continue
            try:
                keys = _entry(words[0], mask)
                if len(words) > 1:
                    wanted = self._with_options(tuple(words[1:]))
                    self.others.add(len(self.keys), wanted, len(keys))
                self.keys += keys
            except ValueError as error:
                self.faults.add(f"{self._name}, line {number}: ", words[0], error)

    def _with_options(self, words: tuple[str, ...]) -> Wanted:
        if words not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[words] = _with_options(self._wanted, words)
        return self._known[words]


def _entry(word: str, mask: bool) -> list[bytes]:
    if word.startswith("//"):
        raise ValueError("is not an IPv4 or IPv6 address: begin comments with # or ;")
    return addresses.parse_entry(word, mask)


def _with_options(wanted: Wanted, words: Iterable[str]) -> Wanted:
    for word in words:
        name, _equals, value = word.partition("=")
        if name == "direction" and value in schema.DIRECTIONS:
            wanted = wanted._replace(sides=schema.DIRECTIONS[value])
        elif name == "ttl":
            wanted = wanted._replace(until=_until(word, value))
        else:
            raise ValueError(
                f"is followed by {quoted(word)}: only direction=src|dst|both and ttl=DURATION may follow, unless "
                f"format=first_column"
            )
    return wanted


def _until(word: str, value: str) -> int:
    try:
        return durations.until(durations.parse(value))
    except ValueError as error:
        raise ValueError(f"is followed by {quoted(word)}, and {quoted(value)} {error}") from None


# What is no list

_COMMENTS = re.compile(r"(?:[^\S\n]*(?:[#;].*)?\n)*[^\S\n]*")
#: How a file begins, maybe behind comments; what that is; what makes a list of it. A byte that is no text is a surrogate.
_KINDS = (
    ("\x1f\udc8b", "is compressed with gzip", "unpack {it} first: zcat {path} > LIST"),
    ("\udcfd7zXZ", "is compressed with xz", "unpack {it} first: xzcat {path} > LIST"),
    ("[(]\udcb5/\udcfd", "is compressed with zstd", "unpack {it} first: zstdcat {path} > LIST"),
    ("BZh[1-9]1AY&SY", "is compressed with bzip2", "unpack {it} first: bzcat {path} > LIST"),
    ("PK\x03\x04", "is a ZIP archive", "unpack {it} first: unzip -p {path} > LIST"),
    ("\udcff\udcfe|\udcfe\udcff", "is in UTF-16", "convert {it} first: iconv -f UTF-16 -t UTF-8 {path} > LIST"),
    ("[^\0]\0[^\0]\0", "is in UTF-16", "convert {it} first: iconv -f UTF-16LE -t UTF-8 {path} > LIST"),
    ("\0", "is no text", "give a file with an address on each line"),
    ("[{[]", "is JSON", "take out what has the addresses, as in: jq -r .ip {path} > LIST"),
    ("<", "is a web page or XML", "fetch the list itself"),
    (
        r"(?:add|create) \S+ \S",
        "is what ipset saves",
        """convert {it} first: awk '$1 == "add" {{ print $3 ($4 == "timeout" && $5 ? " ttl=" $5 : "") }}' {path} > LIST""",
    ),
    (
        r"(?:table|set|add element) [^\n{]*{",
        "is what nft lists",
        r"convert {it} first: sed -z 's/.*elements = {{//; s/}}.*//; s/,/\n/g' {path} | awk 'NF {{ print $1 }}' > LIST",
    ),
)


def _check_kind(head: str, name: str, path: str | None) -> None:
    """Raises PingKillerError for what is no list, saying what it is, and what makes one of it or of what it was read from."""
    it, quoted_path = ("what it was read from", "FILE") if path is None else ("it", shlex.quote(path))
    body = head[_COMMENTS.match(head).end() :]
    for pattern, kind, remedy in _KINDS:
        if re.match(pattern, head) or re.match(pattern, body, re.IGNORECASE):
            raise PingKillerError(
                f"{name} {kind}, which is no list of addresses: {remedy.format(it=it, path=quoted_path)}"
            )
