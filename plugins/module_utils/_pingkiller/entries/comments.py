# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comments of entries: what may be in one, and how one is written in a list file.

A comment is one line of printable text without a double quote, whose words are separated by single spaces.
"""

from __future__ import annotations

from ..errors import printable
from ..kernel import schema

LONGEST = schema.COMMENT_SIZE - 1  #: bytes in UTF-8, as many as ipset takes
_ELLIPSIS = "..."


def checked(text: str) -> str:
    """Return a comment as it is stored. Raises ValueError with a reason that can follow the text itself."""
    comment = " ".join(text.split())
    if not comment.isprintable():
        raise ValueError("has characters that cannot be printed: write plain text")
    if '"' in comment:
        raise ValueError(
            "has a double quote, which ends a comment in a list file: leave it out, or write single quotes"
        )
    if len(comment.encode()) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} bytes: shorten it")
    return comment


def made_of(text: str) -> str:
    """Return any text as a comment: escaped, with single quotes and cut where it has to be."""
    comment = printable(" ".join(text.split())).replace('"', "'")
    data = comment.encode()
    return comment if len(data) <= LONGEST else data[: LONGEST - len(_ELLIPSIS)].decode(errors="ignore") + _ELLIPSIS


def option(comment: str) -> str:
    """Return what follows an entry in a list file to say its comment; nothing without one."""
    return f' comment="{comment}"' if comment else ""
