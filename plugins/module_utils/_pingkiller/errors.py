# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exception that front ends show to the user, and helpers to word its sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_QUOTED, _PATH = 60, 255  #: characters; the kernel takes no more than the latter for one name
_LISTED = 20  #: names
SCREEN = 4000  #: characters: enough for ten sentences about a list or about variables


class PingKillerError(Exception):
    """An error that the user can act on: one sentence with the value, what is wrong with it and what to do."""


def quoted(text: str) -> str:
    """Return a text in quotes for a sentence, cut and escaped: it may be long, and may hold control characters."""
    return repr(shortened(text))


def quoted_path(path: str) -> str:
    """Return a path in quotes for a sentence. It is cut later than other texts, so that one sees where it leads."""
    return repr(shortened_path(path))


def shortened(text: str, most: int = _QUOTED) -> str:
    """Return a text cut to this many characters, with an ellipsis where it was cut."""
    return text if len(text) <= most else text[:most] + "..."


def shortened_path(path: str) -> str:
    """Return a path cut to the length that sentences show of it."""
    return shortened(path, _PATH)


def listed(names: Sequence[str], most: int = _LISTED) -> str:
    """Return the first names with commas between, and the number of the others."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def bounded(sentence: str) -> str:
    """Return a sentence cut to SCREEN characters in its middle, because its advice comes last."""
    half = SCREEN // 2 - 3
    return sentence if len(sentence) <= SCREEN else f"{sentence[:half]} ... {sentence[-half:]}"


def on_screen(sentence: str) -> str:
    """Return a sentence cut and escaped, as a user is shown it."""
    return bounded(printable(bounded(sentence)))


def printable(text: str) -> str:
    """Return text of any origin as a terminal can show it. Unprintable characters and line ends are escaped as in Python.

    The kernel takes almost any byte for the name of an interface, and files hold any bytes.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def did_you_mean(word: str, words: Iterable[str], *, prefix: str = "", others: dict[str, str] | None = None) -> str:
    """Return `` (did you mean WORD?)`` to follow a word that does not exist, or nothing if none of ``words`` is like it.

    ``prefix`` is put before the suggested word. ``others`` are names that other tools use, with the word for each.
    """
    known = {str(name).replace("_", "-"): f"{prefix}{name}" for name in words}
    known.update(others or {})
    import difflib  # only when something is misspelt

    nearest = difflib.get_close_matches(word[:_QUOTED].lower().replace("_", "-"), known, n=1, cutoff=0.5)
    return f" (did you mean {known[nearest[0]]}?)" if nearest else ""
