# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on a host, with real locks between real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import lock
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    """The file of the lock, where anybody may put one."""
    path = tmp_path / "lock"
    monkeypatch.setattr(lock, "LOCK_FILE", str(path))
    return path


def child(call, *arguments):
    """Another process that makes a call and ends; its id."""
    process = os.fork()
    if not process:
        status = 1
        with contextlib.suppress(BaseException):
            call(*arguments)
            status = 0
        os._exit(status)
    return process


@contextlib.contextmanager
def held_by_another_process():
    """The id of a process that holds the lock until the end, or until it is killed."""
    ready, tell_ready = os.pipe()
    wait_for_end, end = os.pipe()

    def hold():
        with lock.host_lock():
            os.write(tell_ready, b".")
            os.read(wait_for_end, 1)

    holder = child(hold)
    try:
        os.close(tell_ready)
        assert os.read(ready, 1) == b"."
        yield holder
    finally:
        os.write(end, b".")
        for descriptor in (ready, wait_for_end, end):
            os.close(descriptor)
        os.waitpid(holder, 0)


def test_the_lock_leaves_no_file(path):
    with lock.host_lock():
        assert path.exists()
    assert not path.exists()


def test_the_lock_leaves_no_file_behind_a_failure_either(path):
    with pytest.raises(ZeroDivisionError), lock.host_lock():
        _nothing = 1 / 0
    assert not path.exists()


def test_only_root_reads_who_holds_the_lock(path):
    with lock.host_lock():
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_wait_for_a_lock_is_bounded_and_its_holder_is_named(path):
    with held_by_another_process() as holder:
        began = time.monotonic()
        with pytest.raises(PingKillerError) as refusal, lock.host_lock(0.2):
            pass
        assert time.monotonic() - began < 5
    said = str(refusal.value)
    assert said.startswith(f"another PingKiller run (process {holder} ")
    assert f" held {path} for 0.2 s: wait for it to end, or end it, and run again" in said
    assert not path.exists()


def test_a_lock_is_had_as_soon_as_it_is_free():
    with contextlib.ExitStack() as stack:
        stack.enter_context(held_by_another_process())

        def wait():
            with lock.host_lock():
                pass

        waiting = child(wait)
        assert os.waitpid(waiting, os.WNOHANG) == (0, 0)
        stack.close()
        assert os.waitpid(waiting, 0)[1] == 0


def test_a_lock_dies_with_its_holder(path):
    with held_by_another_process() as holder:
        os.kill(holder, signal.SIGKILL)
        with lock.host_lock(5):
            assert path.read_text().split()[0] == str(os.getpid())
    assert not path.exists()


def test_nobody_holds_the_lock_beside_another(tmp_path, path):
    tally = tmp_path / "tally"
    tally.write_text("0")

    def count():
        for _time in range(20):
            with lock.host_lock():
                number = int(tally.read_text())
                time.sleep(0)  # an invitation to whoever would come in between
                tally.write_text(str(number + 1))

    counting = [child(count) for _number in range(4)]
    assert [os.waitpid(process, 0)[1] for process in counting] == [0] * 4
    assert tally.read_text() == "80"
    assert not path.exists()
