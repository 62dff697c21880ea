# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a host is changed by one process at a time, with real locks between real processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import lock


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    """Put the lock file into the test's directory, and return its path."""
    path = tmp_path / "lock"
    monkeypatch.setattr(lock, "LOCK_FILE", str(path))
    return path


def child(call, *arguments):
    """Call a function in another process, which then ends. Returns its process id."""
    process = os.fork()
    if not process:
        status = 1
        with contextlib.suppress(BaseException):
            call(*arguments)
            status = 0
        os._exit(status)
    return process


@pytest.fixture
def listening(tmp_path, monkeypatch):
    """Put the lock file of listeners into the test's directory, and return its path."""
    path = tmp_path / "listener"
    monkeypatch.setattr(lock, "LISTENER_LOCK_FILE", str(path))
    return path


@contextlib.contextmanager
def held_by_another_process(take=lock.host_lock):
    """Yield the id of a process that holds a lock until the block ends or the process is killed."""
    ready, tell_ready = os.pipe()
    wait_for_end, end = os.pipe()

    def hold():
        with take():
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
    assert said.startswith(f"another PingKiller run on this host (process {holder}, ")
    assert re.search(r", since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\) kept ", said)
    assert said.endswith(f" kept {path} for the 0.2 s of lock_timeout: wait for it to end, or end it, and run again")
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
                time.sleep(0)  # let another process run here
                tally.write_text(str(number + 1))

    counting = [child(count) for _number in range(4)]
    assert [os.waitpid(process, 0)[1] for process in counting] == [0] * 4
    assert tally.read_text() == "80"
    assert not path.exists()


@pytest.mark.parametrize("timeout", [-1, 86401, float("inf"), float("nan")])
def test_a_wait_without_a_bound_is_refused(path, timeout):
    with pytest.raises(PingKillerError, match=r"^lock_timeout=.* is out of range: give 0 to 86400 seconds$"):
        with lock.host_lock(timeout):
            pass
    assert not path.exists()


def plant_link(path, target):
    path.symlink_to(target)


def plant_second_name(path, target):
    path.hardlink_to(target)


def plant_directory(path, _target):
    path.mkdir()


def plant_pipe(path, _target):
    os.mkfifo(path)


def plant_another_users_file(path, _target):
    path.touch()
    os.chown(path, 65534, 65534)


PLANTED = [plant_link, plant_second_name, plant_directory, plant_pipe]
if os.geteuid() == 0:
    PLANTED.append(plant_another_users_file)


@pytest.mark.parametrize("plant", PLANTED)
def test_what_is_planted_at_the_place_of_a_lock_is_refused_and_left_alone(path, listening, tmp_path, plant):
    target = tmp_path / "target"
    target.write_text("precious")
    for place, take in ((path, lambda: lock.host_lock(0)), (listening, joined)):
        plant(place, target)
        with pytest.raises(PingKillerError, match=f"^{place} is not a lock file"), take():
            pass
        assert os.path.lexists(place)
        if plant is plant_second_name:
            place.unlink()  # the second plant would make a third name otherwise
    assert target.read_text() == "precious"


def nothing():
    """Do nothing when the last listener stops."""


def joined():
    return lock.listener_lock(nothing)


def test_several_listen_at_a_time_and_only_the_last_of_them_ends_it(listening):
    ended = []
    with held_by_another_process(joined):
        with lock.listener_lock(lambda: ended.append("too early")):
            pass
        assert listening.exists()
    assert not listening.exists()
    with lock.listener_lock(lambda: ended.append("first")), joined(), lock.host_lock(0):
        pass
    assert ended == ["first"]
    assert not listening.exists()


def test_the_last_listener_ends_the_listening_also_where_another_was_killed(listening):
    ended = []
    with lock.listener_lock(lambda: ended.append("last")):
        with held_by_another_process(joined) as listener:
            os.kill(listener, signal.SIGKILL)
        assert not ended
    assert ended == ["last"]


def test_a_listener_of_an_earlier_version_is_not_joined_but_named(listening, monkeypatch):
    monkeypatch.setattr(lock, "_LONGEST_END", 0)
    alone = lambda: lock._held(str(listening), 0, str)  # noqa: E731
    with held_by_another_process(alone) as listener, pytest.raises(PingKillerError) as refusal, joined():
        pass
    assert str(refusal.value).startswith(f"another run is listening to the events of this host (process {listener}, ")


def test_nobody_begins_to_listen_while_the_last_one_stops(tmp_path, listening):
    tally = tmp_path / "tally"
    tally.write_text("0")

    def end():
        number = int(tally.read_text())
        time.sleep(0)  # let another process run here
        tally.write_text(str(number + 1))

    def count():
        for _time in range(20):
            with lock.listener_lock(end):
                before = tally.read_text()
                time.sleep(0)
                assert tally.read_text() == before

    counting = [child(count) for _number in range(3)]
    assert [os.waitpid(process, 0)[1] for process in counting] == [0] * 3
    assert int(tally.read_text()) > 0
    assert not listening.exists()


def test_a_lock_file_that_somebody_has_replaced_meanwhile_is_left_alone(path):
    with lock.host_lock():
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"
