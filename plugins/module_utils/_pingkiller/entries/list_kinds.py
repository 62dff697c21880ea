# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognize files that are not list files, and say how to make a list of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import PingKillerError


class Kind(NamedTuple):
    """A kind of file that is not a list file."""

    beginning: str  #: pattern of how the file begins, maybe behind comments. A byte that is no text is a surrogate
    description: str  #: what the file is, to follow its name
    remedy: str  #: how to make a list of it: ``{it}`` is the file in a sentence, and ``{path}`` its path in a command


_COMMENTS = re.compile(r"(?:[^\S\n]*(?:[#;].*)?\n)*[^\S\n]*")
_KINDS = (
    Kind("\x1f\udc8b", "is compressed with gzip", "unpack {it} first: zcat {path} > LIST"),
    Kind("\udcfd7zXZ", "is compressed with xz", "unpack {it} first: xzcat {path} > LIST"),
    Kind("[(]\udcb5/\udcfd", "is compressed with zstd", "unpack {it} first: zstdcat {path} > LIST"),
    Kind("BZh[1-9]1AY&SY", "is compressed with bzip2", "unpack {it} first: bzcat {path} > LIST"),
    Kind("PK\x03\x04", "is a ZIP archive", "unpack {it} first: unzip -p {path} > LIST"),
    Kind("\udcff\udcfe|\udcfe\udcff", "is in UTF-16", "convert {it} first: iconv -f UTF-16 -t UTF-8 {path} > LIST"),
    Kind("[^\0]\0[^\0]\0", "is in UTF-16", "convert {it} first: iconv -f UTF-16LE -t UTF-8 {path} > LIST"),
    Kind("\0", "is no text", "give a file with an address on each line"),
    Kind("[{[]", "is JSON", "take out what has the addresses, as in: jq -r .ip {path} > LIST"),
    Kind("<", "is a web page or XML", "fetch the list itself"),
    Kind(
        r"(?:add|create) \S+ \S",
        "is what ipset saves",
        """convert {it} first: awk '$1 == "add" {{ split($0, c, "\\""); """
        """print $3 ($4 == "timeout" && $5 ? " ttl=" $5 : "") (c[2] ? " comment=\\"" c[2] "\\"" : "") }}' {path} > LIST""",
    ),
    Kind(
        r"(?:table|set|add element) [^\n{]*{",
        "is what nft lists",
        r"convert {it} first: sed -z 's/.*elements = {{//; s/}}.*//; s/,/\n/g' {path} | awk 'NF {{ print $1 }}' > LIST",
    ),
)


def check_kind(head: str, name: str, path: str | None) -> None:
    """Check how a list begins, which ``name`` names in messages.

    Raises PingKillerError for what is no list, saying what it is and how to make a list of it: of the file at ``path``, or
    for None of the file that the text was read from.
    """
    import shlex  # only for this message

    it, quoted_path = ("what it was read from", "FILE") if path is None else ("it", shlex.quote(path))
    comments = _COMMENTS.match(head)
    body = head[comments.end() :] if comments else head
    for kind in _KINDS:
        if re.match(kind.beginning, head) or re.match(kind.beginning, body, re.IGNORECASE):
            raise PingKillerError(
                f"{name} {kind.description}, which is no list of addresses: {kind.remedy.format(it=it, path=quoted_path)}"
            )
