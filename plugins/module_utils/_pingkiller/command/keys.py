# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for keys and signals, with a terminal that gives each key at once."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
from collections.abc import Iterator
from typing import NamedTuple

from . import output, screen

#: Signals that end a command, and those that ask for another picture or a pause.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OTHERS = (signal.SIGWINCH, signal.SIGTSTP)
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
#: Ask the terminal to mark what is pasted, and no more; its marks. A text is no command, whatever letters it has.
_MARK_PASTED, _NO_MARKS = "\x1b[?2004h", "\x1b[?2004l"
_PASTED_FROM, _PASTED_TO = "\x1b[200~", "\x1b[201~"
UP, DOWN, PAGE_UP, PAGE_DOWN = "up", "down", "page up", "page down"
_NAMES = {
    **dict.fromkeys(("\x1b[A", "\x1bOA", "k"), UP),
    **dict.fromkeys(("\x1b[B", "\x1bOB", "j"), DOWN),
    "\x1b[5~": PAGE_UP,
    "\x1b[6~": PAGE_DOWN,
    " ": PAGE_DOWN,
}


class News(NamedTuple):
    """What happened during a wait."""

    keys: list[str]  #: characters, and the names of keys that are none
    resized: bool  #: the picture has to be drawn again
    end: bool  #: a signal asked for the end, or the terminal or the reader has gone


class Interrupted(Exception):
    """A signal asked for the end while output waited for its reader."""


class Inbox:
    """Takes signals, and keys while a ``terminal`` is drawn on. Use ``opened``."""

    def __init__(self, signals: int) -> None:
        self._signals = signals
        self._terminal: _Terminal | None = None
        self._typing = Typing()
        self._interruptible = self._ended = False
        self._watched = select.poll()
        self._watched.register(signals, select.POLLIN)
        self._watched.register(sys.stdout, 0)

    @contextlib.contextmanager
    def terminal(self) -> Iterator[None]:
        """Draw on the terminal's second screen, and take its keys, until the end."""
        with_keys = sys.stdin is not None and sys.stdin.isatty()
        if with_keys:
            self._watched.register(sys.stdin, select.POLLIN)
        self._terminal = _Terminal(with_keys)
        try:
            self._terminal.enter()
            yield
        finally:
            self._terminal.leave()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise Interrupted in this context if a signal asks for the end. Elsewhere signals interrupt nothing."""
        self._interruptible = True
        try:
            if self._ended:  # before this context, and not seen yet
                raise Interrupted
            yield
        finally:
            self._interruptible = False

    def caught(self, number: int, _frame: object) -> None:
        """Handle a signal. The number of each signal also comes through the pipe that ``wait`` reads."""
        self._ended = self._ended or number in _ENDS
        if self._interruptible and number in _ENDS:
            raise Interrupted

    @property
    def draws(self) -> bool:
        """Whether a terminal is drawn on."""
        return self._terminal is not None

    def wait(self, seconds: float) -> News:
        """Wait until something happens, or for these seconds."""
        happened = dict(self._watched.poll(max(0.0, seconds) * 1000))
        numbers = os.read(self._signals, 4096) if self._signals in happened else b""
        gone = bool(happened.get(sys.stdout.fileno(), 0) & (select.POLLERR | select.POLLHUP))
        typed = b""
        if self._terminal and self._terminal.with_keys and happened.get(sys.stdin.fileno()):
            with contextlib.suppress(OSError):  # the terminal has gone
                typed = os.read(sys.stdin.fileno(), 4096)
            gone = gone or not typed
        if self._terminal and signal.SIGTSTP in numbers:
            self._terminal.leave()
            os.kill(os.getpid(), signal.SIGSTOP)  # SIGCONT goes on here
            self._terminal.enter()
        return News(
            keys=names(self._typing.without_pasted(typed.decode(errors="replace"))),
            resized=any(number in numbers for number in _OTHERS),
            end=gone or any(number in numbers for number in _ENDS),
        )


def names(typed: str) -> list[str]:
    """Return the keys that a terminal has sent: characters, and the names of those that move."""
    return [_NAMES.get(key, key) for key in _KEY.findall(typed)]


class Typing:
    """Leaves out what is pasted. A text may come in several pieces, and so may the marks around it. Pure."""

    def __init__(self) -> None:
        self._pasting = False
        self._kept = ""  #: what may be the beginning of a mark

    def without_pasted(self, typed: str) -> str:
        """Return what was typed of the next piece."""
        left, found = self._kept + typed, ""
        while left:
            sought = _PASTED_TO if self._pasting else _PASTED_FROM
            before, mark, left = left.partition(sought)
            self._kept = "" if mark else _begun(before, sought)
            found += "" if self._pasting else before.removesuffix(self._kept)
            self._pasting ^= bool(mark)
        return found


def _begun(text: str, mark: str) -> str:
    """Return what a text ends with of the beginning of a mark."""
    return next(mark[:size] for size in range(len(mark) - 1, -1, -1) if text.endswith(mark[:size]))


@contextlib.contextmanager
def opened() -> Iterator[Inbox]:
    """Catch signals, so that they interrupt nothing and are seen by ``Inbox.wait``.

    A signal that was ignored stays ignored, as nohup(1) wants it.
    """
    receiver, sender = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    caught = [number for number in (*_ENDS, *_OTHERS) if signal.getsignal(number) is not signal.SIG_IGN]
    inbox = Inbox(receiver)
    before = {number: signal.signal(number, inbox.caught) for number in caught}
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    try:
        yield inbox
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(receiver)
        os.close(sender)


class _Terminal:
    """A terminal: its second screen, and each key at once, without showing it. Ctrl-C and Ctrl-Z stay signals."""

    def __init__(self, with_keys: bool) -> None:
        self.with_keys = with_keys
        self._modes = termios.tcgetattr(sys.stdin) if with_keys else []

    def enter(self) -> None:
        if self.with_keys:
            input_, output_, control, local, *rest = self._modes
            local &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, [input_, output_, control, local, *rest])
        screen.enter(_MARK_PASTED if self.with_keys else "")

    def leave(self) -> None:
        """Put everything back, as far as the terminal is still there."""
        try:
            screen.leave(_NO_MARKS if self.with_keys else "")
            if self.with_keys:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._modes)
        except (OSError, termios.error):
            output.drop()
