# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands in a terminal, and read what they draw on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

PATIENCE = 60  #: seconds
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A command in a terminal of a given size; keeps what the command draws."""

    def __init__(self, command, lines, columns, **environment):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**inherited, "TERM": "xterm", **environment},
            start_new_session=True,
        )
        os.close(slave)
        self.drawn = b""

    def read_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition(self.drawn.decode(errors="replace")):
            assert time.monotonic() < deadline, self.drawn
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.drawn += os.read(self._master, 65536)
                except OSError:  # the other end is closed
                    break
        return self.drawn.decode(errors="replace")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        said = self.read_until(lambda _drawn: False)
        return self.process.wait(PATIENCE), said

    def type(self, text):
        os.write(self._master, text.encode())

    def resize(self, lines, columns):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)  # the command's session does not control the terminal

    def modes(self):
        """Return the settings of the terminal, which outlive the command."""
        return termios.tcgetattr(self._master)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextlib.contextmanager
def opened(command):
    """Yield a function that runs a command with more arguments in a terminal. At the end all are closed."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments, lines=24, columns=80, **environment):
            terminal = Terminal([*command, *arguments], lines, columns, **environment)
            stack.callback(terminal.close)
            return terminal

        yield begin


def screens(drawn):
    """Return the lines of each drawing on the terminal's second screen, and what the first screen got after that."""
    live, _, rest = drawn.partition(ENTER)[2].partition(LEAVE)
    drawings = [re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", each).split("\r\n") for each in live.split("\x1b[H")[1:]]
    return [[line.replace("\r", "") for line in each] for each in drawings], rest
