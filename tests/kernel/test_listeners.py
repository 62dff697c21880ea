# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners to the events of one host, several at once, each in a process of its own or in this one."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import pytest
from model import Options
from packets import ping

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import ring_buffer, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import events, listening
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import control, host_maps, lock

pytestmark = pytest.mark.kernel

HELD = schema.EVENT_BUFFER_SIZE // ring_buffer.room(schema.EVENT.size)  #: events that the buffer holds


@pytest.fixture(autouse=True)
def _own_lock(monkeypatch, tmp_path):
    """Use a lock for each test, because other tests on this machine may listen to their own hosts."""
    monkeypatch.setattr(lock, "LISTENER_LOCK_FILE", str(tmp_path / "lock"))


@pytest.fixture
def filter_(host):
    host.set_lists()
    return host.filter(Options(policy="drop"), events="dropped", events_per_second=1_000_000)


def is_listening(host) -> bool:
    with host_maps.opened(host.pins) as maps, contextlib.closing(control.Control(maps.control)) as opened:
        return opened.listening


def sources(records) -> list[str]:
    return [events.decode(record)["src"] for record in records]


def send(filter_, *numbers):
    for number in numbers:
        filter_.send(bytes(ping(src=f"10.0.0.{number}")))


@contextlib.contextmanager
def another(host):
    """Yield the id of another process that listens, and a function that has it read and returns the sources it read."""
    (to_read, to), (back, write) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.close(to)
        with contextlib.suppress(BaseException), listening.opened(host.base) as listener:
            os.write(write, b"[]\n")
            lines = os.fdopen(write, "w")
            while os.read(to_read, 1):
                print(json.dumps(sources(listener.read())), file=lines, flush=True)
        os._exit(0)
    os.close(write)
    os.close(to_read)
    with open(back) as lines:
        assert lines.readline() == "[]\n", "it does not listen"

        def read():
            os.write(to, b".")
            return json.loads(lines.readline())

        try:
            yield child, read
        finally:
            os.close(to)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def test_all_listeners_get_all_events(filter_):
    host = filter_.host
    with listening.opened(host.base) as first, another(host) as (_pid, second), another(host) as (_pid3, third):
        for round_ in range(3):
            numbers = range(round_ * 10, round_ * 10 + 10)
            send(filter_, *numbers)
            expected = [f"10.0.0.{number}" for number in numbers]
            assert [sources(first.read()), second(), third()] == [expected] * 3
        assert first.missed() == (0, 0)


def test_a_listener_hears_nothing_from_before_it_came(filter_):
    with listening.opened(filter_.host.base) as first:
        send(filter_, 1)
        with listening.opened(filter_.host.base) as second:
            send(filter_, 2)
            assert sources(second.read()) == ["10.0.0.2"]
        assert sources(first.read()) == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGSTOP])
def test_listeners_go_on_where_another_was_killed_or_stopped(filter_, with_signal):
    host, times = filter_.host, HELD // 2
    with listening.opened(host.base) as mine:
        with another(host) as (process, read):
            send(filter_, 1)
            assert read() == ["10.0.0.1"]
            os.kill(process, with_signal)
            for _round in range(5):  # more than the buffer holds
                filter_.repeat(bytes(ping(src="10.0.0.2")), times)
                assert len(mine.read()) == times + (_round == 0)
            assert mine.missed() == (0, 0)
            assert is_listening(host)
            os.kill(process, signal.SIGKILL)
    assert not is_listening(host)


def test_a_listener_that_was_overtaken_counts_what_it_missed_and_goes_on(filter_):
    with listening.opened(filter_.host.base) as slow, listening.opened(filter_.host.base) as quick:
        for _round in range(3):
            filter_.repeat(bytes(ping()), HELD // 2)
            assert len(quick.read()) == HELD // 2
        assert slow.read() == []
        assert slow.missed() == (0, 3 * (HELD // 2))
        assert quick.missed() == (0, 0)
        send(filter_, 7)
        assert sources(slow.read()) == sources(quick.read()) == ["10.0.0.7"]


def test_what_a_lone_listener_reads_too_late_was_lost_and_it_has_the_rest(filter_):
    with listening.opened(filter_.host.base) as listener:
        filter_.repeat(bytes(ping()), 2 * HELD)
        kept = listener.read()
        assert len(kept) + listener.missed().lost == 2 * HELD
        assert len(kept) >= HELD - 1


def test_what_the_budget_suppressed_is_told_since_a_listener_began(host):
    host.set_lists()
    filter_ = host.filter(Options(policy="drop"), events="dropped", events_per_second=4)
    with listening.opened(host.base) as first:
        filter_.repeat(bytes(ping()), 10)
        with listening.opened(host.base) as second:
            assert first.missed() == (6, 0)
            assert second.missed() == (0, 0)


def test_filters_are_told_that_nobody_listens_when_the_last_one_goes(filter_):
    with listening.opened(filter_.host.base), another(filter_.host) as (_pid, _read):
        assert is_listening(filter_.host)
    assert not is_listening(filter_.host)


def test_after_a_killed_listener_what_is_reported_is_lost_until_one_stops_that_was_not(filter_):
    host = filter_.host
    with another(host) as (process, _read):
        os.kill(process, signal.SIGKILL)
    assert is_listening(host)
    before = filter_.told()["events"]["lost"]
    filter_.repeat(bytes(ping()), 2 * HELD)
    assert filter_.told()["events"]["lost"] > before
    with listening.opened(host.base) as listener:
        send(filter_, 1)
        assert sources(listener.read()) == ["10.0.0.1"]
        assert listener.missed() == (0, 0)
    assert not is_listening(host)


def test_listeners_in_a_flood_get_or_count_every_event(filter_):
    host, rounds = filter_.host, 40
    before = filter_.told()["events"]
    with listening.opened(host.base) as mine, another(host) as (_pid, read):
        flood = os.fork()
        if not flood:
            with contextlib.suppress(BaseException):
                for _round in range(rounds):
                    filter_.repeat(bytes(ping()), HELD // 2)
            os._exit(0)
        got = [0, 0]
        while True:
            over = os.waitpid(flood, os.WNOHANG)[0]
            got = [got[0] + len(mine.read()), got[1] + len(read())]
            if over:
                break
        told = filter_.told()["events"]
        sent = told["sent"] + told["lost"] - before["sent"] - before["lost"]
        assert sent == rounds * (HELD // 2)
        assert got[0] + mine.missed().lost == sent
        assert 0 < got[1] <= sent


def test_a_pin_that_was_replaced_is_opened_again(filter_):
    host = filter_.host
    with listening.opened(host.base) as listener:
        send(filter_, 1)
        pin = host.pins.host_pin("events")
        with host.pins.open_map(pin) as ring:
            os.unlink(pin)
            assert sources(listener.read()) == ["10.0.0.1"]
            ring.pin(pin)
        send(filter_, 2)
        assert sources(listener.read()) == ["10.0.0.2"]
        send(filter_, 3)
        assert sources(listener.read()) == ["10.0.0.3"]
