# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of entries: what src reads, and content."""

from __future__ import annotations

import io

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import addresses, durations, schema, sync
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.addresses import Wanted
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError

NANOSECONDS = 1_000_000_000
SOURCE, DESTINATION, BOTH = (Wanted(schema.DIRECTIONS[name]) for name in ("src", "dst", "both"))


def read(text, wanted=SOURCE):
    found = addresses.parse_file(io.StringIO(text), "list", wanted).by_key()
    return {addresses.display(key): request for key, request in found.items()}


def read_wanted(request):
    return sync.read_demand(request).wishes.by_key()


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


def test_a_line_may_say_how_long_its_entry_is_to_stay(monkeypatch):
    monkeypatch.setattr(durations, "boot_time", lambda: 1000 * NANOSECONDS)
    assert read("192.0.2.1 ttl=10m\n192.0.2.2 direction=both ttl=1h\n192.0.2.3 ttl=5 direction=dst\n192.0.2.4") == {
        "192.0.2.1": SOURCE._replace(until=1600 * NANOSECONDS),
        "192.0.2.2": BOTH._replace(until=4600 * NANOSECONDS),
        "192.0.2.3": DESTINATION._replace(until=1005 * NANOSECONDS),
        "192.0.2.4": SOURCE,
    }


@pytest.mark.parametrize("value", ["", "0", "1w", "-1", "soon"])
def test_a_line_with_a_time_that_is_none_is_refused(value):
    said = refusal(f"192.0.2.1 ttl={value}")
    assert said.startswith(
        f"list, line 1: '192.0.2.1' is followed by 'ttl={value}', and {value!r} is not a duration: write "
    )


def test_of_two_lines_for_one_entry_the_later_holds():
    assert read("192.0.2.1 direction=dst\n192.0.2.1/32 direction=both\n") == {"192.0.2.1": BOTH}


def test_a_bad_line_is_named_with_file_number_and_fault():
    assert refusal("192.0.2.1\n\n300.1.1.1 # no\n") == (
        "list, line 3: '300.1.1.1' is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"
    )


@pytest.mark.parametrize(
    "words", ["direction=in", "direction", "direction=", "direction=SRC", "comment=x", "192.0.2.2", "="]
)
def test_what_may_not_follow_an_address_is_refused(words):
    said = f"'192.0.2.1' is followed by {words!r}: only direction=src|dst|both and ttl=DURATION may follow"
    assert refusal(f"192.0.2.1 {words}") == f"list, line 1: {said}"


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
        read_wanted(sync.ListRequest("blocklist", src=missing))
    assert str(raised.value) == (
        f"src={missing!r} cannot be read on the managed host (No such file or directory): give the path of a list file there"
    )


def test_a_directory_is_no_list_file(tmp_path):
    with pytest.raises(PingKillerError, match=r"cannot be read on the managed host \(Is a directory\)"):
        read_wanted(sync.ListRequest("blocklist", src=str(tmp_path)))


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
    assert read_wanted(file) == read_wanted(content)
    assert len(read_wanted(file)) == (2 if text else 0)


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path):
    path = tmp_path / "list"
    path.write_bytes(b"192.0.2.1 # caf\xe9\n\xff\xfe\n")
    with pytest.raises(PingKillerError, match="list, line 2: ") as raised:
        read_wanted(sync.ListRequest("blocklist", src=str(path)))
    assert "line 1" not in str(raised.value)


def numbered(count: int) -> list[str]:
    return [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("ends_in_one", [False, True])
def test_a_long_file_is_read_to_its_end_in_its_order(tmp_path, end, ends_in_one):
    lines = numbered(30_000)
    for each in request(tmp_path, end.join(lines) + end * ends_in_one):
        assert list(map(addresses.display, read_wanted(each))) == lines


def test_a_long_file_may_have_lines_of_every_kind_anywhere():
    lines = numbered(20_000)
    others = ["2001:db8::1", "::ffff:192.0.2.1", "", " 192.0.2.2 ", "198.51.100.0/24", "192.0.2.3 direction=both # why"]
    for number, line in enumerate(others):
        lines.insert(19_000 - number * 3000, line)
    found = read("\n".join(lines))
    assert len(found) == 20_000 + len(others) - 1
    assert set(found) >= {"2001:db8::1", "192.0.2.1", "192.0.2.2", "198.51.100.0/24"}
    assert found["192.0.2.3"] == BOTH


def test_a_long_file_of_ipv6_addresses_has_the_ipv4_addresses_that_it_writes_so():
    lines = [f"2001:db8::{number:x}" for number in range(1, 9000)]
    lines[5000] = "::ffff:192.0.2.1"
    found = read("\n".join(lines))
    assert len(found) == len(lines)
    assert "192.0.2.1" in found


def test_a_bad_line_far_down_is_named_by_its_number():
    lines = numbered(25_000)
    lines[20_000], lines[23_000] = "010.1.1.1", "10.1"
    said = refusal("\n".join(lines))
    assert said.startswith("list, line 20001: '010.1.1.1' is not an IPv4 or IPv6 address: ")
    assert "; list, line 23001: '10.1' is not an IPv4 or IPv6 address: " in said


def test_the_same_ttl_on_many_lines_is_one_moment():
    found = read("\n".join(f"{line} ttl=1h" for line in numbered(10)))
    assert len({id(wanted) for wanted in found.values()}) == 1
