# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how list files are read: the options src and content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shutil
import subprocess

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses, list_files
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.claims import Claim
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.list_lines import Reading
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries.requested import RequestedEntries
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.demand import read_demand
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.lists.request import ListRequest

NANOSECONDS = 1_000_000_000
SOURCE, DESTINATION, BOTH = (Claim(schema.DIRECTIONS[name]) for name in ("src", "dst", "both"))


def parse(text, wanted=SOURCE, **reading):
    return list_files.parse_file(io.StringIO(text), "list", wanted, reading=Reading(**reading))


def read(text, wanted=SOURCE, **reading):
    found = parse(text, wanted, **reading).by_key()
    return {addresses.display(key): request for key, request in found.items()}


def read_wanted(request):
    return read_demand(request).requested.by_key()


def refusal(text, **reading):
    with pytest.raises(PingKillerError) as raised:
        read(text, **reading)
    return str(raised.value)


def requests(tmp_path, text, **more):
    """Return two requests for the same text: as a file and as content."""
    path = tmp_path / "list"
    path.write_bytes(text.encode())
    return ListRequest("blocklist", src=str(path), **more), ListRequest("blocklist", content=text, **more)


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


@pytest.mark.parametrize("value", ["", "0", "1y", "-1", "soon"])
def test_a_line_with_a_time_that_is_none_is_refused(value):
    said = refusal(f"192.0.2.1 ttl={value}")
    assert said.startswith(
        f"list, line 1: '192.0.2.1' is followed by 'ttl={value}', and {value!r} is not a duration: write "
    )


@pytest.fixture
def noon(monkeypatch):
    """Stop the clock."""
    monkeypatch.setattr(durations, "boot_time", lambda: 1000 * NANOSECONDS)


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    ("lines", "merged"),
    [
        (["192.0.2.1", "::ffff:192.0.2.1 ttl=6s"], SOURCE),
        (["192.0.2.1 ttl=6s", "192.0.2.1"], SOURCE),
        (["192.0.2.1 direction=dst", "192.0.2.1/32"], BOTH),
        (["192.0.2.1", "::ffff:c000:201/128 direction=dst"], BOTH),
        (["192.0.2.1 direction=dst ttl=1h", "192.0.2.1-192.0.2.1"], BOTH),
        ([f"192.0.2.1 ttl={hours}h" for hours in range(200, 0, -1)], SOURCE._replace(until=721_000 * NANOSECONDS)),
        (["192.0.2.1 ttl=1h", "192.0.2.1 ttl=1d", "192.0.2.1 ttl=2h"], SOURCE._replace(until=87_400 * NANOSECONDS)),
    ],
)
def test_lines_for_one_address_add_up_and_it_is_said_that_they_differ(lines, merged):
    for text in (lines, lines[::-1]):
        requested = parse("\n".join(text))
        assert requested.by_key() == {addresses.parse("192.0.2.1"): merged}
        assert requested.notes == (
            "more than one line asks for 192.0.2.1, in different ways: for good wins over a ttl, a longer ttl over a "
            "shorter one, and directions add up",
        )


def test_lines_that_differ_are_named_up_to_three_and_the_others_are_none_of_them():
    requested = parse("\n".join(numbered(9000) + [f"{line} direction=dst" for line in numbered(9000)[4000:4005]]))
    (note,) = requested.notes
    assert note.startswith(
        "more than one line asks for 10.0.15.160, 10.0.15.161, 10.0.15.162 and 2 more, in different "
    )
    assert sorted(requested.by_key().values()) == [SOURCE] * 8995 + [BOTH] * 5


@pytest.mark.parametrize("text", ["192.0.2.1\n192.0.2.1/32\n", "192.0.2.1 direction=both\n192.0.2.1 direction=both"])
def test_lines_that_say_the_same_twice_are_no_news(text):
    assert parse(text).notes == ()


def test_entries_are_told_apart_by_what_is_wanted_of_them():
    requested = parse("192.0.2.1\n192.0.2.2 ttl=1h\n192.0.2.3 direction=dst\n192.0.2.4\n192.0.2.4 direction=dst")
    found = {wanted: list(map(addresses.display, keys)) for wanted, keys in requested.by_claim().items()}
    (ending,) = (wanted for wanted in found if wanted.until != schema.FOREVER)
    assert found == {
        SOURCE: ["192.0.2.1"],
        ending: ["192.0.2.2"],
        DESTINATION: ["192.0.2.3"],
        BOTH: ["192.0.2.4"],
    }
    assert RequestedEntries.of(list(requested.by_claim().items())).by_key() == requested.by_key()
    assert parse("192.0.2.1\n192.0.2.1").by_claim() == {SOURCE: [addresses.parse("192.0.2.1")] * 2}


def test_a_list_as_firehol_publishes_it_is_taken(tmp_path):
    path = tmp_path / "list.netset"
    path.write_bytes(
        b"#\n# firehol_level1\n#\n# Maintainer      : caf\xe9\n\n0.0.0.0/8\r\n10.0.0.0/8 # bogon\r192.0.2.1\n  192.0.2.1\n"
        b"\t192.0.2.0/24\n\n::FFFF:198.51.100.1\n2001:DB8:0:0::ABCD\n0.0.0.0/0\n::/0\n224.0.0.0/3"
    )
    found = read_wanted(ListRequest("blocklist", src=str(path)))
    assert sorted(map(addresses.display, found)) == [
        *("0.0.0.0/0", "0.0.0.0/8", "10.0.0.0/8", "192.0.2.0/24", "192.0.2.1", "198.51.100.1"),
        *("2001:db8::abcd", "224.0.0.0/3", "::/0"),
    ]


def test_leading_zeros_stay_refused_since_others_read_them_as_octal():
    assert "'010.0.0.1' is not an IPv4 or IPv6 address" in refusal("010.0.0.1")


def test_a_list_as_spamhaus_publishes_it_is_taken():
    text = "; Spamhaus DROP List\n;\n192.0.2.0/24 ; SBL1\n198.51.100.0/24;SBL2\n; 203.0.113.0/24\n"
    assert set(read(text)) == {"192.0.2.0/24", "198.51.100.0/24"}


@pytest.mark.parametrize("text", ["\ufeff192.0.2.1\r\n", "\ufeff# heading\n192.0.2.1", "\ufeff192.0.2.1 direction=src"])
def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path, text):
    for each in requests(tmp_path, text):
        assert list(map(addresses.display, read_wanted(each))) == ["192.0.2.1"]


def test_a_range_is_the_networks_that_cover_it_with_the_options_of_its_line():
    text = "192.0.2.1-192.0.2.9 direction=dst\n2001:db8::-2001:db8::ffff\n192.0.2.9"
    assert read(text) == {
        "192.0.2.1": DESTINATION,
        "192.0.2.2/31": DESTINATION,
        "192.0.2.4/30": DESTINATION,
        "192.0.2.8/31": DESTINATION,
        "2001:db8::/112": SOURCE,
        "192.0.2.9": SOURCE,
    }


def test_further_columns_are_passed_over_only_if_that_is_asked_for():
    table = (
        "192.0.2.1\t17\t3 days\n192.0.2.2,US,scanner\n192.0.2.3 | x | y\n# 192.0.2.4\n198.51.100.0/24 direction=dst\n"
    )
    assert read(table, format="first_column") == dict.fromkeys(
        ("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.0/24"), SOURCE
    )
    assert refusal("192.0.2.1\t17").endswith("may follow, unless format=first_column")


def test_bad_lines_are_left_out_and_told_if_that_is_asked_for():
    requested = parse("192.0.2.1\nip,count\n\n192.0.2.2\n10.0.0.1/8\n", on_invalid="skip")
    assert list(map(addresses.display, requested.keys)) == ["192.0.2.1", "192.0.2.2"]
    assert requested.skipped == 2
    (note,) = requested.notes
    assert note.startswith("left out 2 that are no entries: list, line 2: 'ip,count' is not an IPv4 or IPv6 address")
    assert "; list, line 5: '10.0.0.1/8' has bits set" in note


def test_of_many_lines_that_are_left_out_ten_are_named():
    requested = parse("\n".join(["192.0.2.1", *["bad"] * 180]), on_invalid="skip")
    assert (requested.skipped, requested.notes[0].count("list, line ")) == (180, 10)
    assert requested.notes[0].endswith("; and 170 more")


def test_a_list_of_which_nothing_would_be_left_is_refused():
    assert refusal("bad\nworse", on_invalid="skip").startswith(
        "with on_invalid=skip nothing is left: list, line 1: 'bad' "
    )


def test_bits_behind_a_prefix_are_taken_for_zeros_if_that_is_asked_for():
    assert set(read("10.0.0.1/8\n2001:db8::1/32\n192.0.2.1/32", host_bits="mask")) == {
        "10.0.0.0/8",
        "2001:db8::/32",
        "192.0.2.1",
    }


@pytest.mark.parametrize("more", [{}, {"on_invalid": "skip"}])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            gzip.compress(b"192.0.2.1\n", mtime=0),
            "is compressed with gzip, which is no list of addresses: unpack it first: zcat ",
        ),
        (lzma.compress(b"192.0.2.1\n"), "is compressed with xz, "),
        (bz2.compress(b"192.0.2.1\n"), "is compressed with bzip2, "),
        (b"\x28\xb5\x2f\xfd\x24\x0a\x51\x00\x00192.0.2.1\n", "is compressed with zstd, "),
        (b"PK\x03\x04\x14\x00\x00\x00list", "is a ZIP archive, "),
        ("192.0.2.1\n".encode("utf-16"), "is in UTF-16, which is no list of addresses: convert it first: iconv "),
        ("192.0.2.1\n".encode("utf-16-le"), "is in UTF-16, "),
        ("\ufeff192.0.2.1\n".encode("utf-16-be"), "is in UTF-16, "),
        (b'{"cidr": "192.0.2.0/24"}\n{"cidr": "198.51.100.0/24"}\n', "is JSON, "),
        (b'\n[\n "192.0.2.0/24"\n]\n', "is JSON, "),
        (b"<!DOCTYPE html>\n<html>\n", "is a web page or XML, "),
        (b"# saved\nadd set 192.0.2.1 timeout 300\n", "is what ipset saves, "),
        (b"create set hash:ip family inet\nadd set 192.0.2.1\n", "is what ipset saves, "),
        (b"table inet filter {\n\tset s {\n\t\ttype ipv4_addr\n", "is what nft lists, "),
        (bytes(100), "is no text, "),
    ],
)
def test_what_is_no_list_is_named_as_what_it_is(tmp_path, content, said, more):
    path = tmp_path / "a list"
    path.write_bytes(content)
    with pytest.raises(PingKillerError) as raised:
        read_wanted(ListRequest("blocklist", src=str(path), reading=Reading(**more)))
    assert str(raised.value).startswith(f"{path} {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            gzip.compress(b"192.0.2.1\n", mtime=0),
            "is compressed with gzip, {} unpack what it was read from first: zcat FILE > LIST",
        ),
        (
            "192.0.2.1\n".encode("utf-16"),
            "is in UTF-16, {} convert what it was read from first: iconv -f UTF-16 -t UTF-8 FILE > LIST",
        ),
        (b'{"ip": "192.0.2.1"}', "is JSON, {} take out what has the addresses, as in: jq -r .ip FILE > LIST"),
    ],
)
def test_advice_for_a_text_that_is_no_list_names_no_file_that_is_not_there(content, said):
    text = content.decode(errors="surrogateescape")
    with pytest.raises(PingKillerError) as raised:
        read_wanted(ListRequest("blocklist", content=text))
    assert str(raised.value) == "content " + said.format("which is no list of addresses:")


CONVERTED = [
    (gzip.compress(b"192.0.2.1\n", mtime=0), ["192.0.2.1"]),
    (lzma.compress(b"192.0.2.1\n"), ["192.0.2.1"]),
    (bz2.compress(b"192.0.2.1\n"), ["192.0.2.1"]),
    ("192.0.2.1\n".encode("utf-16"), ["192.0.2.1"]),
    ("192.0.2.1\n".encode("utf-16-le"), ["192.0.2.1"]),
    (b'{"ip": "192.0.2.1"}\n{"ip": "2001:db8::/32"}\n', ["192.0.2.1", "2001:db8::/32"]),
    (
        b"create s hash:ip family inet hashsize 1024 maxelem 65536 timeout 600 bucketsize 12 initval 0x93feb6a5\n"
        b"add s 192.0.2.1 timeout 583\nadd s 192.0.2.2 timeout 0\n",
        ["192.0.2.1 ttl=583", "192.0.2.2"],
    ),
    (
        "create c hash:ip family inet hashsize 1024 maxelem 65536 timeout 600 counters comment bucketsize 12\n"
        'add c 192.0.2.1 timeout 583 packets 0 bytes 0 comment "scans # läuft"\n'
        "add c 192.0.2.2 timeout 0 packets 0 bytes 0\n".encode(),
        ['192.0.2.1 ttl=583 comment="scans # läuft"', "192.0.2.2"],
    ),
    (
        b"create n hash:net family inet hashsize 1024 maxelem 65536\nadd n 198.51.100.0/24\nadd n 192.0.2.1\n",
        ["198.51.100.0/24", "192.0.2.1"],
    ),
    (
        b"table inet filter {\n\tset s {\n\t\ttype ipv4_addr\n\t\tflags interval,timeout\n"
        b"\t\telements = { 192.0.2.1 timeout 1h expires 59m58s60ms, 192.0.2.5-192.0.2.9,\n"
        b"\t\t\t     198.51.100.0/24 }\n\t}\n}\n",
        ["192.0.2.1", "192.0.2.5-192.0.2.9", "198.51.100.0/24"],
    ),
    (
        b'table inet t {\n\tset c {\n\t\ttype ipv4_addr\n\t\tcounter\n\t\tcomment "x"\n'
        b"\t\telements = { 10.0.0.1 counter packets 0 bytes 0, 10.0.0.2 counter packets 0 bytes 0,\n"
        b"\t\t\t     10.0.0.3 counter packets 0 bytes 0 }\n\t}\n}\n",
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    ),
]


@pytest.mark.parametrize(("content", "lines"), CONVERTED)
def test_the_command_that_is_named_makes_a_list_of_it(tmp_path, content, lines):
    path = tmp_path / "it's a list"
    path.write_bytes(content)
    with pytest.raises(PingKillerError) as raised:
        read_wanted(ListRequest("blocklist", src=str(path)))
    command = re.search(r"(?:first|as in): (.*) > LIST$", str(raised.value))[1] + " > list"
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"{command.split()[0]} is not installed")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, timeout=60)
    assert (tmp_path / "list").read_text().split("\n") == [*lines, ""]
    assert read_wanted(ListRequest("blocklist", src=str(tmp_path / "list")))


def test_comments_of_another_kind_are_told_how_to_begin():
    assert refusal("// text\n192.0.2.1") == (
        "list, line 1: '//' is not an IPv4 or IPv6 address: begin comments with # or ;"
    )


def test_a_bad_line_is_quoted_in_part_if_it_is_long():
    said = refusal("192.0.2.1\n" + "x" * 60_000 + "\n192.0.2.1 " + "y" * 60_000)
    assert "'" + "x" * 60 + "...' is not" in said
    assert "'" + "y" * 60 + "...': only" in said
    assert len(said) < 500


def test_a_line_that_does_not_end_is_refused():
    assert refusal("192.0.2.1\n" + "x" * 200_000) == (
        "list has a line of more than 65536 characters: give a list with an address on each line"
    )


def test_a_heading_of_many_lines_is_passed_over():
    assert read("#\n \t\n" * 20_000 + "192.0.2.1") == {"192.0.2.1": SOURCE}


def test_a_bad_line_is_named_with_file_number_and_fault():
    assert refusal("192.0.2.1\n\n300.1.1.1 # no\n") == (
        "list, line 3: '300.1.1.1' is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1"
    )


@pytest.mark.parametrize(
    "words", ["direction=in", "direction", "direction=", "direction=SRC", "comment=x", "192.0.2.2", "="]
)
def test_what_may_not_follow_an_address_is_refused(words):
    said = (
        f"'192.0.2.1' is followed by {words!r}: only direction=src|dst|both, ttl=DURATION and comment=\"TEXT\" may follow, "
        f"unless format=first_column"
    )
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
        read_wanted(ListRequest("blocklist", src=missing))
    assert str(raised.value) == (
        f"src={missing!r} cannot be read on the managed host (No such file or directory): give the path of a list file there"
    )


def test_a_directory_is_no_list_file(tmp_path):
    with pytest.raises(PingKillerError, match=r"cannot be read on the managed host \(Is a directory\)"):
        read_wanted(ListRequest("blocklist", src=str(tmp_path)))


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
    file, content = requests(tmp_path, text)
    assert read_wanted(file) == read_wanted(content)
    assert len(read_wanted(file)) == (2 if text else 0)


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path):
    path = tmp_path / "list"
    path.write_bytes(b"192.0.2.1 # caf\xe9\n\xff\xfe\n")
    with pytest.raises(PingKillerError, match="list, line 2: ") as raised:
        read_wanted(ListRequest("blocklist", src=str(path)))
    assert "line 1" not in str(raised.value)


def numbered(count: int) -> list[str]:
    return [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("ends_in_one", [False, True])
def test_a_long_file_is_read_to_its_end_in_its_order(tmp_path, end, ends_in_one):
    lines = numbered(30_000)
    for each in requests(tmp_path, end.join(lines) + end * ends_in_one):
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
