# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``pingkiller stream``: read lines, change the list, answer."""

from __future__ import annotations

import argparse
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from .. import durations
from ..entries.claims import Claim
from ..errors import PingKillerError, on_screen
from ..kept.directory import Store
from ..kernel import schema
from ..lists.batch import Wish, change_batch
from ..lists.demand import check_owner, checked_comment
from ..lists.request import ListRequest
from ..store.lock import check_timeout
from . import host, output, stream_lines
from .exit_status import FINE

_WINDOW = 0.1  #: seconds in which lines arrive that become one change
_MOST = 1 << 22  #: bytes that become one change: some ten thousand lines
_LONGEST = 65536  #: bytes of a line
_AT_ONCE = 1 << 16  #: bytes that are read at once: what a pipe holds
_REMEMBERED = 1000  #: warnings, so that each is said once

#: Returns what a line wishes, None for nothing. Raises PingKillerError.
Reader = Callable[[str, Claim], "Wish | None"]
_READERS: dict[str, Reader] = {"lines": stream_lines.of_line, "crowdsec": stream_lines.of_decision}


def run(given: argparse.Namespace) -> int:
    """Do what standard input says to its end. Return an exit status. Raises PingKillerError for wrong options."""
    check_owner("owner", given.owner)
    check_timeout(given.lock_timeout)
    checked_comment(given.comment or "")
    if given.ttl is not None:
        durations.checked("ttl", given.ttl)
    if sys.stdin is None:  # it was closed
        return FINE
    stream = _Stream(given)
    for lines in _Input(_wake_on_signals()).batches():
        stream.do(lines)
    return FINE


def _wake_on_signals() -> int:
    """Return a file descriptor that can be read when Ctrl-C or SIGTERM asks to end. A second signal ends the command."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return wake


class _Input:
    """The lines of standard input."""

    def __init__(self, wake: int) -> None:
        self._file = sys.stdin.fileno()
        self._wake = wake
        self._rest = b""  #: the beginning of a line
        self._ended = False
        self._poll = select.poll()
        for file, events in ((self._file, select.POLLIN), (wake, select.POLLIN), (sys.stdout.fileno(), 0)):
            self._poll.register(file, events)

    def batches(self) -> Iterator[list[bytes]]:
        """Yield lines that arrive together. Raises BrokenPipeError when nobody reads the answers any more."""
        while not self._ended:
            *lines, rest = self._together().split(b"\n")
            self._rest = rest[: _LONGEST + 1]  # what is behind makes it no better
            if self._ended and rest and not self._is_asked_to_end():  # then the rest of this line may be missing
                lines.append(rest)
            if lines:
                yield lines

    def _is_asked_to_end(self) -> bool:
        return bool(select.select([self._wake], [], [], 0)[0])

    def _together(self) -> bytes:
        """Return what arrives within the window, which begins with the first byte."""
        pieces, size, deadline = [self._rest], 0, math.inf
        while size < _MOST and self._wait(deadline):
            piece = os.read(self._file, _AT_ONCE)
            if not piece:
                self._ended = True
                break
            deadline = min(deadline, time.monotonic() + _WINDOW)
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def _wait(self, deadline: float) -> bool:
        """Wait for input until a time of the monotonic clock. Tell whether there is any."""
        left = None if deadline == math.inf else max(0, math.ceil((deadline - time.monotonic()) * 1000))
        ready = dict(self._poll.poll(left))
        if self._wake in ready:
            self._ended = True
            return False
        if ready.get(sys.stdout.fileno(), 0) & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        return self._file in ready


class _Stream:
    """Changes a list as lines say, and answers them."""

    def __init__(self, given: argparse.Namespace) -> None:
        store = Store(given.config)
        self._given = given
        self._base = host.base(store)
        self._request = ListRequest(
            name=given.list, owner=given.owner, comment=given.comment, persist=given.persist, store=store
        )
        self._warned: set[str] = set()

    def do(self, lines: Sequence[bytes]) -> None:
        """Change the list as these lines say, in one change, and answer each of them."""
        answers: list[bool | str] = [False] * len(lines)
        wishes: dict[int, Wish] = {}
        usual = self._usual()
        for number, line in enumerate(lines):
            try:
                wish = self._read(line, usual)
                if wish is not None:
                    wishes[number] = wish
            except PingKillerError as error:
                answers[number] = str(error)
        answers_of_wishes = self._change(list(wishes.values()))
        for number, answer in zip(wishes, answers_of_wishes):
            answers[number] = answer
        self._answer(answers)

    def _usual(self) -> Claim:
        """Return the claim of lines that say nothing else. Its time counts from now."""
        given = self._given
        until = schema.FOREVER if given.ttl is None else durations.until(durations.parse(given.ttl))
        return Claim(schema.DIRECTIONS[given.direction or "src"], until, checked_comment(given.comment or ""))

    def _read(self, line: bytes, usual: Claim) -> Wish | None:
        if len(line) > _LONGEST:
            raise PingKillerError(
                f"the line has more than {_LONGEST} bytes, and no entry is as long: give shorter ones"
            )
        return _READERS[self._given.format](line.decode(errors="replace").strip(), usual)

    def _change(self, wishes: Sequence[Wish]) -> Sequence[bool | str]:
        """Return the answers to wishes. If their change fails, all have the error, and those that follow may do better."""
        try:
            done = change_batch(self._base, wishes, self._request, lock_timeout=self._given.lock_timeout)
        except PingKillerError as error:
            return [str(error)] * len(wishes)
        except OSError as error:
            return [f"a system call failed ({error}): fix the cause and send this again"] * len(wishes)
        for warning in done.warnings:
            self._warn(warning)
        return done.changed

    def _warn(self, warning: str) -> None:
        if warning not in self._warned:
            if len(self._warned) >= _REMEMBERED:
                self._warned.clear()
            self._warned.add(warning)
            output.warn(warning)

    def _answer(self, answers: Sequence[bool | str]) -> None:
        write = _as_json if self._given.json else _as_text
        wanted = [each for each in answers if isinstance(each, str)] if self._given.quiet else answers
        sys.stdout.write("".join(f"{write(each)}\n" for each in wanted))
        sys.stdout.flush()


def _as_text(answer: bool | str) -> str:
    if isinstance(answer, str):
        return f"error {on_screen(answer)}"
    return "changed" if answer else "ok"


def _as_json(answer: bool | str) -> str:
    return json.dumps({"failed": True, "msg": answer} if isinstance(answer, str) else {"changed": answer})
