# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that root reads list files of other users safely.

These may be links, pipes, devices, endless files, or files that the user may not read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import (
    addresses,
    list_files,
    list_lines,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.requested import OtherClaims
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.files import deadline, reading
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import limits

NOBODY, ANOTHER = 65534, 12345
SECRET = "root:$6$hush:19000"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def feeds():
    """Make a directory of a user who fetches lists. Everybody can read it."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "feeds"
        path.mkdir()
        os.chown(path, NOBODY, NOBODY)
        yield path


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "shadow"
    path.write_text(SECRET + "\n" + "203.0.113.1\n")
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def somebody(user=NOBODY):
    """Run the block as a user without privileges."""
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


def taken(path) -> int:
    """Return the number of entries that root reads from a list file."""
    return len(read_demand(ListRequest("blocklist", src=str(path))).requested.keys)


def refusal(path) -> str:
    with pytest.raises(PingKillerError) as raised:
        taken(path)
    said = str(raised.value)
    assert "\n" not in said
    assert len(said) < 400
    return said


def assert_shows_nothing(said: str):
    for word in SECRET.split(":"):
        assert word == "root" or word not in said


# Links


def test_a_list_of_somebody_is_taken_also_through_their_own_link(feeds):
    with somebody():
        (feeds / "today").write_text("192.0.2.1\n192.0.2.2\n")
        (feeds / "list").symlink_to("today")
        (feeds / "here").symlink_to(feeds)
    assert taken(feeds / "list") == taken(feeds / "here/../feeds/here/list") == 2


def test_a_link_of_roots_is_followed_wherever_it_leads(feeds, secret):
    (feeds / "list").symlink_to(secret)
    secret.write_text("192.0.2.1\n")
    assert taken(feeds / "list") == 1


@pytest.mark.parametrize("place", ["list", "directory/shadow", "one"])
def test_a_link_of_somebody_to_what_is_roots_is_refused_and_nothing_of_it_shown(feeds, secret, place):
    with somebody():
        (feeds / "list").symlink_to(secret)
        (feeds / "directory").symlink_to(secret.parent)
        (feeds / "another").symlink_to("list")
        (feeds / "one").symlink_to("another")
    said = refusal(feeds / place)
    assert "a symbolic link of user 65534, who does not own what it leads to" in said
    assert_shows_nothing(said)


def test_a_link_of_somebody_to_what_is_a_third_ones_is_refused(feeds):
    (feeds / "theirs").write_text("192.0.2.1\n")
    os.chown(feeds / "theirs", ANOTHER, ANOTHER)
    with somebody():
        (feeds / "list").symlink_to("theirs")
    assert "symbolic link" in refusal(feeds / "list")


def test_a_link_of_roots_hands_on_no_trust_to_the_links_behind_it(feeds, secret, tmp_path):
    with somebody():
        (feeds / "list").symlink_to(secret)
    (tmp_path / "roots").symlink_to(feeds / "list")
    assert_shows_nothing(refusal(tmp_path / "roots"))


def test_links_that_go_round_are_refused(feeds):
    with somebody():
        (feeds / "list").symlink_to("list")
    assert "Too many levels of symbolic links" in refusal(feeds / "list")


# Files that are not lists


def test_a_file_of_roots_that_somebody_moved_to_where_their_list_was_is_not_shown(feeds, secret):
    os.link(secret, feeds / "notes")
    with somebody():
        (feeds / "notes").rename(feeds / "list")
    said = refusal(feeds / "list")
    assert "is for user 0 to read and not for everybody, and is in a directory of user 65534" in said
    assert_shows_nothing(said)


@pytest.mark.parametrize("mode", [0o1777, 0o775])
def test_a_second_name_that_somebody_gave_a_file_of_roots_shows_nothing_of_it(tmp_path, secret, mode):
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(mode)
    os.link(secret, public / "list")
    said = refusal(public / "list")
    assert "is for user 0 to read and not for everybody, and is in a directory in which others can make names" in said
    assert_shows_nothing(said)
    secret.unlink()
    (public / "list").write_text("192.0.2.1\n")
    assert taken(public / "list") == 1


def test_a_second_name_in_roots_own_directory_is_roots_and_does_no_harm(secret):
    secret.write_text("192.0.2.1\n")
    os.link(secret, secret.parent / "backup")
    assert taken(secret) == taken(secret.parent / "backup") == 1


def test_a_list_that_root_or_its_owner_keeps_to_themselves_is_taken(feeds, secret):
    secret.write_text("192.0.2.1\n")
    with somebody():
        (feeds / "list").write_text("192.0.2.1\n192.0.2.2\n")
        (feeds / "list").chmod(0o600)
    assert (taken(secret), taken(feeds / "list")) == (1, 2)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/tty", "/dev/stdin"])
def test_a_device_is_refused_without_being_opened(feeds, device):
    with somebody():
        (feeds / "list").symlink_to(device)
    refusal(feeds / "list")
    refusal(device)


def test_a_pipe_is_refused_without_waiting(feeds):
    with somebody():
        os.mkfifo(feeds / "list")
    assert refusal(feeds / "list").endswith(" is not a regular file: give the path of a list file on the managed host")


def test_a_file_whose_owner_has_the_kernel_hold_up_others_is_refused_without_waiting(feeds):
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent to the holder of the lease
    with somebody():
        (feeds / "list").write_text("192.0.2.1\n")
        writing = os.open(feeds / "list", os.O_WRONLY)
        fcntl.fcntl(writing, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    try:
        assert "is a file on which another process holds a lease (/proc/locks has its number)" in refusal(
            feeds / "list"
        )
    finally:
        os.close(writing)
        signal.signal(signal.SIGIO, before)
    assert taken(feeds / "list") == 1


@pytest.mark.parametrize("path", ["list\0", "\ud800", ""])
def test_what_no_file_can_be_called_is_refused(path):
    assert "is not a path" in refusal(path)


# Length


def test_a_file_of_more_bytes_than_any_list_has_is_refused_before_it_is_read(feeds):
    with somebody():
        (feeds / "list").write_text("192.0.2.1\n")
        os.truncate(feeds / "list", reading.LARGEST + 1)
    assert f"holds more than {reading.LARGEST} bytes" in refusal(feeds / "list")


def test_of_a_file_that_somebody_goes_on_writing_no_more_is_read(feeds, monkeypatch):
    path = feeds / "list"
    path.write_text("192.0.2.1\n" * 20000)
    monkeypatch.setattr(reading, "LARGEST", 300_000)
    readv = os.readv

    def one_goes_on(descriptor, buffers):
        with path.open("a") as file:
            file.write("192.0.2.1\n" * 20000)
        return readv(descriptor, buffers)

    monkeypatch.setattr(os, "readv", one_goes_on)
    assert "holds more than 300000 bytes" in refusal(path)
    assert path.stat().st_size < 10_000_000


@pytest.mark.parametrize("line", ["A" * 8_000_000, "192.0.2.1/" + "9" * 60_000, "192.0.2.1-" + "A" * 60_000])
def test_of_a_long_line_sixty_characters_are_quoted(feeds, line):
    with somebody():
        (feeds / "list").write_text(f"192.0.2.1\n{line}\n")
    refusal(feeds / "list")


def test_more_entries_than_any_list_holds_are_refused_while_they_are_read(feeds, monkeypatch):
    monkeypatch.setattr(list_files, "MOST_ENTRIES", 50_000)
    with somebody():
        (feeds / "list").write_text("0.0.0.1-255.255.255.254\n" * 10_000)
    assert "has more than 50000 entries, and no list may have that many" in refusal(feeds / "list")


def test_doubles_are_no_entries_and_more_than_the_largest_list_holds_are_refused_at_once_unless_they_go(
    feeds, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_CAPACITY", 3)
    (feeds / "list").write_text("192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.1\n")
    assert taken(feeds / "list") == 4
    with (feeds / "list").open("a") as file:
        file.write("192.0.2.4\n")
    assert refusal(feeds / "list").startswith("there are more than 3 entries, and a list holds no more: ")
    request = ListRequest("blocklist", src=str(feeds / "list"), absent=True)
    assert len(read_demand(request).requested.keys) == 5


def test_more_distinct_entries_than_the_largest_list_holds_are_refused_before_the_file_is_read_to_its_end(
    feeds, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_CAPACITY", 1000)
    monkeypatch.setattr(list_files, "UNCHECKED_ENTRIES", 1000)
    lines = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255} ttl=1h\n" for number in range(100_000)]
    (feeds / "list").write_text("".join(lines) + "and what follows is not read\n")
    assert refusal(feeds / "list").startswith("there are more than 1000 entries, and a list holds no more: ")


def test_many_doubles_of_few_entries_are_taken_and_held_once(feeds, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CAPACITY", 1000)
    monkeypatch.setattr(list_files, "UNCHECKED_ENTRIES", 1000)
    (feeds / "list").write_text("192.0.2.1\n192.0.2.2 ttl=1h\n192.0.2.0/24\n" * 50_000)
    demand = read_demand(ListRequest("blocklist", src=str(feeds / "list")))
    assert len(demand.requested.keys) == 150_000
    assert len(demand.requested.by_key()) == 3
    assert len({id(key) for key in demand.requested.keys[:100_000]}) < 10


def test_entries_with_options_of_their_own_take_little_more_memory_than_those_without():
    tracemalloc.start()
    try:
        others = OtherClaims((position, Claim((0,), 1 << 40)) for position in range(100_000))
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
    assert len(others) == 100_000
    assert set(dict(others.items()).values()) == {Claim((0,), 1 << 40)}


@pytest.mark.parametrize(
    ("how", "most"), [(list_lines.Reading(), 5000), (list_lines.Reading(on_invalid="skip"), 6000)], ids=["fail", "skip"]
)
def test_a_file_of_faults_is_refused_before_all_are_judged(feeds, monkeypatch, how, most):
    monkeypatch.setitem(list_lines.MOST_FAULTS, "skip", 6000)
    judged = []
    parse_entry = addresses.parse_entry
    monkeypatch.setattr(addresses, "parse_entry", lambda text, **how: judged.append(text) or parse_entry(text, **how))
    (feeds / "list").write_text("192.0.2.1\n" + "a\n" * 100_000)
    with pytest.raises(PingKillerError) as raised:
        read_demand(ListRequest("blocklist", src=str(feeds / "list"), reading=how))
    assert len(judged) == most + 2
    said = str(raised.value)
    assert said.endswith(f"; and more than {most - 10} more")
    assert said.startswith("with on_invalid=skip more than 6000 lines would be left out: ") == (
        how.on_invalid == "skip"
    )


def test_as_many_faults_as_are_counted_are_counted_exactly(feeds):
    (feeds / "list").write_text("a\n" * 5000)
    with pytest.raises(PingKillerError, match="; and 4990 more$"):
        taken(feeds / "list")


def test_a_file_of_comments_without_end_is_refused(feeds, monkeypatch):
    monkeypatch.setattr(list_files, "MOST_LINES", 100_000)
    (feeds / "list").write_text("192.0.2.1\n" + "#\n" * 200_000)
    assert "has more than 100000 lines, and no list may have that many: give a shorter one" in refusal(feeds / "list")


def test_nothing_stays_open_of_what_was_refused(feeds, secret):
    before = os.listdir("/proc/self/fd")
    with somebody():
        (feeds / "list").symlink_to(secret)
    for path in (feeds / "list", feeds / "list/further", feeds / "nothing", feeds, "/dev/zero"):
        refusal(path)
    assert os.listdir("/proc/self/fd") == before


def test_what_is_bounded_within_something_bounded_leaves_no_process_of_its_own_behind():
    outer, inner = deadline.within(30, lambda: (os.getpid(), deadline.within(30, os.getpid)))
    assert outer == inner
    assert outer != os.getpid()
