# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that front ends show to the user, and what helps to word it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_QUOTED, _PATH = 60, 255  #: characters; the latter are as many as the kernel takes for one name
_LISTED = 20  #: names
SCREEN = 4000  #: characters: ten sentences of what is wrong with a list, or with variables, have room on it


class PingKillerError(Exception):
    """Something the user can act on: one sentence with the value, what is wrong with it and the way out."""


def quoted(text: str) -> str:
    """As much of a text as a sentence shows: what others wrote may be long, and may hold what a terminal obeys."""
    return repr(shortened(text))


def quoted_path(path: str) -> str:
    """The same of a path, of which one has to see where it leads."""
    return repr(shortened_path(path))


def shortened(text: str, most: int = _QUOTED) -> str:
    return text if len(text) <= most else text[:most] + "..."


def shortened_path(path: str) -> str:
    return shortened(path, _PATH)


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def bounded(sentence: str) -> str:
    """No more than a screen of it, with the way out, which comes last."""
    half = SCREEN // 2 - 3
    return sentence if len(sentence) <= SCREEN else f"{sentence[:half]} ... {sentence[-half:]}"


def on_screen(sentence: str) -> str:
    """What a user is shown, whatever it was made of."""
    return bounded(printable(bounded(sentence)))


def printable(text: str) -> str:
    """Text of whatever origin as a terminal can be given it: what cannot be printed is escaped as in Python, line ends too.

    The kernel takes any byte but a few for the name of an interface, and files hold anything.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def did_you_mean(word: str, words: Iterable[str], prefix: str = "", others: dict[str, str] | None = None) -> str:
    """`` (did you mean WORD?)`` to follow a word that does not exist, if one of ``words`` is like it; else empty.

    ``prefix`` comes before each of them; ``others`` are what other tools call the same, by their names.
    """

    known = {str(each).replace("_", "-"): prefix + str(each) for each in words}
    known.update(others or {})
    nearest = difflib.get_close_matches(word[:_QUOTED].lower().replace("_", "-"), known, n=1, cutoff=0.5)
    return f" (did you mean {known[nearest[0]]}?)" if nearest else ""
