# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of entries: what src reads, and content."""

from __future__ import annotations

import time

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import addresses, schema, sync
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.addresses import Wanted
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError

SOURCE, DESTINATION, BOTH = (Wanted(schema.DIRECTIONS[name]) for name in ("src", "dst", "both"))


def read(text, wanted=SOURCE):
    found = addresses.parse_lines(text.splitlines(), "list", wanted)
    return {addresses.display(key): request for key, request in found.items()}


def refusal(text):
    with pytest.raises(PingKillerError) as raised:
        read(text)
    return str(raised.value)


def request(tmp_path, text, **more):
    """The same text as a file and as content."""
    path = tmp_path / "list"
    path.write_bytes(text.encode())
    return sync.ListRequest("blocklist", src=str(path), **more), sync.ListRequest("blocklist", content=text, **more)


def test_comments_and_blank_lines_are_no_entries():
    assert read("# heading\n\n   \n192.0.2.1# comment\n\t2001:db8::/32  # 198.51.100.1\n#192.0.2.2\n") == {
        "192.0.2.1": SOURCE,
        "2001:db8::/32": SOURCE,
    }


def test_a_file_without_entries_is_an_empty_list():
    assert read("# nobody\n") == {}


def test_a_line_may_say_its_direction_and_the_others_have_the_default():
    text = "192.0.2.1 direction=dst\n192.0.2.2 direction=both # c\n192.0.2.3\n192.0.2.4 direction=src"
    assert read(text, DESTINATION) == {
        "192.0.2.1": DESTINATION,
        "192.0.2.2": BOTH,
        "192.0.2.3": DESTINATION,
        "192.0.2.4": SOURCE,
    }


def test_of_two_lines_for_one_entry_the_later_holds():
    assert read("192.0.2.1 direction=dst\n192.0.2.1/32 direction=both\n") == {"192.0.2.1": BOTH}


def test_a_bad_line_is_named_with_file_number_and_fault():
    assert refusal("192.0.2.1\n\n300.1.1.1 # no\n") == (
        "list, line 3: '300.1.1.1' is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"
    )


@pytest.mark.parametrize(
    "words", ["direction=in", "direction", "direction=", "direction=SRC", "TTL=5", "192.0.2.2", "="]
)
def test_what_may_not_follow_an_address_is_refused(words):
    said = f"'192.0.2.1' is followed by {words!r}: only direction=src|dst|both and ttl=DURATION may follow"
    assert refusal(f"192.0.2.1 {words}") == f"list, line 1: {said}"


@pytest.mark.parametrize("value", ["", "0", "-5", "5x", "1.5h", "h", "101y", "36501d", "\u0665"])
def test_what_is_no_duration_is_refused(value):
    said = refusal(f"192.0.2.1 ttl={value}")
    assert said == (
        f"list, line 1: '192.0.2.1' is followed by {'ttl=' + value!r}, and {value!r} is not a duration: write a number of "
        f"seconds above 0, or one like 90s, 10m, 1h or 2d"
    )


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5), ("90s", 90), ("10m", 600), ("1h", 3600), ("2d", 172800), ("36500d", 36500 * 86400)]
)
def test_a_line_may_say_how_long_it_holds(value, seconds):
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    found = read(f"192.0.2.1 ttl={value}\n192.0.2.2 direction=both ttl={value}\n192.0.2.3")
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= found["192.0.2.1"].until / 1e9 - seconds <= after + 1
    assert found["192.0.2.1"].sides == SOURCE.sides
    assert found["192.0.2.2"].sides == BOTH.sides
    assert found["192.0.2.3"] == SOURCE


def test_a_line_that_says_how_long_it_holds_is_not_bound_to_the_ttl_of_the_rest():
    bound = SOURCE._replace(until=5)
    found = read("192.0.2.1\n192.0.2.2 ttl=1h", bound)
    assert found["192.0.2.1"].until == 5
    assert found["192.0.2.2"].until > time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_all_bad_lines_are_named_at_once_up_to_ten():
    lines = [f"bad{number}" for number in range(1, 14)]
    said = refusal("\n".join(["192.0.2.1", *lines]))
    assert said.count("; list, line ") == 9
    assert "list, line 2: 'bad1'" in said
    assert "list, line 11: 'bad10'" in said
    assert "bad11" not in said
    assert said.endswith("; and 3 more")


def test_ten_bad_lines_are_all_of_them():
    said = refusal("\n".join(f"bad{number}" for number in range(10)))
    assert "list, line 10: 'bad9'" in said
    assert "more" not in said


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    missing = str(tmp_path / "missing")
    with pytest.raises(PingKillerError) as raised:
        sync.read_wanted(sync.ListRequest("blocklist", src=missing))
    assert str(raised.value) == (
        f"src={missing!r} cannot be read on the managed host (No such file or directory): give the path of a list file there"
    )


def test_a_directory_is_no_list_file(tmp_path):
    with pytest.raises(PingKillerError, match=r"cannot be read on the managed host \(Is a directory\)"):
        sync.read_wanted(sync.ListRequest("blocklist", src=str(tmp_path)))


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1\n192.0.2.2\n",
        "192.0.2.1\r\n192.0.2.2",
        "192.0.2.1\r192.0.2.2",
        "192.0.2.1 # page one\f page two\n192.0.2.2\n",
        "192.0.2.1 # a line\u2028 of its own?\x85 No.\n192.0.2.2\n",
        "",
    ],
)
def test_a_file_and_its_text_are_read_alike(tmp_path, text):
    file, content = request(tmp_path, text)
    assert sync.read_wanted(file) == sync.read_wanted(content)
    assert len(sync.read_wanted(file)) == (2 if text else 0)


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path):
    path = tmp_path / "list"
    path.write_bytes(b"192.0.2.1 # caf\xe9\n\xff\xfe\n")
    with pytest.raises(PingKillerError, match="list, line 2: ") as raised:
        sync.read_wanted(sync.ListRequest("blocklist", src=str(path)))
    assert "line 1" not in str(raised.value)
