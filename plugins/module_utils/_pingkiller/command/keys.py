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
import time
from collections.abc import Iterator
from typing import NamedTuple

from . import screen

#: Signals that end a command.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAITED_FOR = (*ENDS, signal.SIGWINCH)
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
UP, DOWN, PAGE_UP, PAGE_DOWN = "up", "down", "page up", "page down"
_NAMES = {
    **{"\x1b[A": UP, "\x1bOA": UP, "k": UP, "\x1b[B": DOWN, "\x1bOB": DOWN, "j": DOWN},
    **{"\x1b[5~": PAGE_UP, "\x1b[6~": PAGE_DOWN, " ": PAGE_DOWN},
}


class News(NamedTuple):
    """What happened during a wait."""

    keys: list[str]  #: characters, and the names of keys that are none
    end: bool  #: a signal asked for the end, or the terminal or the reader has gone


class Inbox:
    """Takes signals, and keys if ``keys`` says so. Use ``opened``."""

    def __init__(self, signals: int, *, keys: bool) -> None:
        self._signals = signals
        self._watched = select.poll()
        self._watched.register(signals, select.POLLIN)
        self._watched.register(sys.stdout, 0)
        if keys:
            self._watched.register(sys.stdin, select.POLLIN)

    def wait(self, seconds: float) -> News:
        """Wait until something happens, or for these seconds. A new size of the terminal is something, too."""
        happened = dict(self._watched.poll(max(0.0, seconds) * 1000))
        numbers = os.read(self._signals, 4096) if self._signals in happened else b""
        keys, gone = [], bool(happened.get(sys.stdout.fileno(), 0) & (select.POLLERR | select.POLLHUP))
        if happened.get(sys.stdin.fileno(), 0) & select.POLLIN:
            typed = os.read(sys.stdin.fileno(), 4096)
            gone = gone or not typed
            keys = names(typed.decode(errors="replace"))
        if signal.SIGTSTP in numbers:
            _stop()
        return News(keys, end=gone or any(number in numbers for number in ENDS))


def names(typed: str) -> list[str]:
    """Return the keys that a terminal has sent: characters, and the names of those that move."""
    return [_NAMES.get(key, key) for key in _KEY.findall(typed)]


@contextlib.contextmanager
def opened(*, live: bool) -> Iterator[Inbox]:
    """Catch the signals that end a command, or ask for another picture. ``live`` is for a screen that is drawn.

    A signal that was ignored stays ignored, as nohup(1) wants it.
    """
    with_keys = live and sys.stdin is not None and sys.stdin.isatty()
    receiver, sender = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    caught = [*_WAITED_FOR, *([signal.SIGTSTP] if with_keys else [])]
    before = {
        number: signal.signal(number, lambda *_: None)
        for number in caught
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    try:
        with _single_keys() if with_keys else contextlib.nullcontext():
            yield Inbox(receiver, keys=with_keys)
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(receiver)
        os.close(sender)


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Have the terminal give each key at once and show none of them. Ctrl-C and Ctrl-Z stay signals."""
    before = termios.tcgetattr(sys.stdin)
    _set_single_keys()
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _set_single_keys() -> None:
    modes = termios.tcgetattr(sys.stdin)
    modes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)
