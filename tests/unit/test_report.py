# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the report of a fleet says, that texts of hosts stay texts in it, and that it is written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser

import pytest
from recorded_statuses import HOSTILE, fleet

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import REASONS
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.drift import REFUSED
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _report, _report_since
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_heat import HOSTS, LEVELS, heat, short
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_rows import ORDERS, rows
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_sums import MEANINGS, attention
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_times import histograms
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import STATES, read

MEGABYTE = 1_000_000
WITHOUT_END = {"meta", "input"}
MOST = (1 << 64) - 1
SOURCE = {"ip": "203.0.113.66", "packets": 42, "recent": 3, "reason": "blocklist", "owners": ["inventory"]}


class Seen(HTMLParser):
    """What a browser finds in a page: elements with attributes, and the text outside of style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in WITHOUT_END:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        (self.styles if self._open[-1:] == ["style"] else self._texts).append(data)

    def all(self, tag):
        return [attributes for each, attributes in self.elements if each == tag]


@pytest.fixture
def written(tmp_path):
    """A function that writes a report of answers, and returns what a browser finds in it."""

    def write(answers):
        path = tmp_path / "report.html"
        _report.write(answers, str(path), check=False)
        return Seen(path.read_text())

    return write


def answer(**changes):
    """Return the answer of a host that is fine."""
    (found,) = fleet(1, seed=1, details=True).values()
    found["status"].update({"sources": [], "filters": {"eth0": filter_of()}, **changes})
    return found


def filter_of(**changes):
    usual = {"wanted": True, "mode": "native", "policy": "pass", "monitor": False}
    return {**usual, "passed": 7, "dropped": 42, "would_drop": 0, **changes}


def counts(dropped, **changes):
    return {"passed": 0, "dropped": dropped, "would_drop": 0, "reasons": {"blocklist": dropped}, **changes}


def away(message="no route to host"):
    return {"unreachable": True, "msg": message}


# What it says


def test_sums_are_those_of_all_hosts(written):
    answers = {
        "alpha": answer(counts=counts(1_000_000), recent=counts(30, seconds=2.0)),
        "bravo": answer(counts=counts(234_567), recent=counts(4, seconds=2.1), drift=["blocklist: it is another"]),
        "charlie": away(),
    }
    said = written(answers).text
    assert "2 of 3 hosts lack what the inventory wants" in said
    assert "Dropped now 34 packets in 2.1 s" in said
    assert "Dropped in all 1,234,567 packets" in said
    assert "1 unreachable 1 drifted 1 fine" in said


def test_host_that_gave_no_answer_or_one_without_sense_is_on_the_page_with_the_reason(written):
    answers = {"alpha": away("no route to host"), "bravo": {"msg": "needs root"}, "charlie": {"status": {"wanted": 7}}}
    said = written(answers).text
    assert "alpha no route to host unreachable no answer" in said
    assert "bravo needs root failed no answer" in said
    assert "charlie what it answers is not what the module says" in said


def test_number_that_no_telephone_has_room_for_is_shortened(written):
    said = written({"alpha": answer(counts=counts(999_999_999_999)), "bravo": answer(counts=counts(1))}).text
    assert "Dropped in all 1T packets" in said
    assert "alpha fine 1 of 1 eth0 native, pass 0 999,999,999,999" in said


def test_same_sentence_about_many_hosts_is_said_once(written):
    answers = {f"host{number:02}": answer(drift=["blocklist: it is another"]) for number in range(30)}
    said = written(answers).text.partition("What changed")[0]
    assert said.count("blocklist: it is another") == 1
    assert "30 hosts: host00 , host01 ," in said
    assert "host19 and 10 more" in said


def test_more_sentences_than_there_is_room_for_are_counted_by_their_hosts():
    answers = {f"host{number:02}": answer(drift=[f"drift {number}"]) for number in range(30)}
    groups, left_out = attention(read(answers))
    assert len(groups) + sum(left_out.values()) == 30
    assert set(left_out) == {"drifted"}


def test_nearly_full_list_needs_attention(written):
    lists = {"blocklist": {"count": 60_000, "capacity": 65_536}, "allowlist": {"count": 1, "capacity": 65_536}}
    said = written({"alpha": answer(lists=lists)}).text
    assert "the blocklist is at least 90% full" in said
    assert "the allowlist is at least" not in said


def test_every_reason_has_a_meaning():
    assert set(MEANINGS) == set(REASONS)


def test_packets_are_shown_by_reason_and_family(written):
    reasons = {"blocklist": {"ipv4": 1000, "ipv6": 234}, "not_icmp": {"ipv4": 5, "other": 6}}
    by_reason = {"blocklist": 1234, "ratelimit": 9}
    said = written({"alpha": answer(counts=counts(1243, reasons=by_reason), reasons=reasons)}).text
    assert re.search(r"blocklist its source or destination is on the blocklist 1,234 1,000 234 0 0", said)
    assert re.search(r"ratelimit [^\d]+ 9 - - - 0", said)
    assert re.search(r"not_icmp [^\d]+ 11 5 0 6 How long", said)  # how many pass now is told by no host


def test_interfaces_are_shown_with_what_their_filters_do(written):
    filters = {
        "eth0": filter_of(mode="none"),
        "eth1": filter_of(monitor=True),
        "eth2": filter_of(mode="generic", policy="drop", wanted=False),
        "eth3": filter_of(policy=None),
    }
    said = written({"alpha": answer(filters=filters, filters_left_out=2)}).text
    assert "2 of 3 eth0 missing eth1 native, monitor eth2 generic, drop, not wanted and 3 more" in said


def test_owners_have_their_entries_of_all_hosts(written):
    owners = {"blocklist": {"inventory": 600, "fail2ban.sshd": 3}, "allowlist": {"inventory": 2}}
    said = written({"alpha": answer(owners=owners), "bravo": answer(owners=owners)}).text
    assert "inventory blocklist 1,200 2 fail2ban.sshd blocklist 6 2 inventory allowlist 4 2" in said


def test_heat_map_has_the_hosts_that_see_most_and_counts_the_others():
    answers = {f"host{number:03}": answer(sources=[{**SOURCE, "packets": number}]) for number in range(1, 101)}
    found = heat(read(answers))
    assert found.hosts[:2] == ["host100", "host099"]
    assert (found.seeing, len(found.hosts)) == (100, HOSTS)
    ((source, cells),) = found.rows
    assert (source.packets, source.hosts) == (5050, 100)
    assert [cell.packets for cell in cells] == list(range(100, 100 - len(cells), -1))


@pytest.mark.parametrize("most", [1, 9, 10, 99_999, 100_000, 10**12, MOST])
def test_colours_of_the_heat_map_are_enough_and_are_explained(most):
    packets = sorted({1, most} | {10**power for power in range(20) if 10**power <= most})
    answers = {f"host{each}": answer(sources=[{**SOURCE, "packets": each}]) for each in packets}
    found = heat(read(answers))
    ((_source, cells),) = found.rows
    levels = [cell.level for cell in cells]
    assert levels == sorted(levels, reverse=True)
    assert [level for level, _packets in found.legend] == sorted({*levels})
    assert (min(levels), max(levels)) == (1, LEVELS if most > 9 else 1)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1000, "1.0k"), (9_999, "9.9k"), (10_000, "10k"), (MOST, "18E")]
)
def test_short_number_is_rounded_down(value, text):
    assert short(value) == text


def test_times_of_hosts_are_added_up(written):
    def timed(*buckets):
        times = {"count": sum(buckets), "average": 100, "p50": 1, "p99": 7, "buckets": list(buckets)}
        return answer(processing={"passed": times, "dropped": None})

    answers = {"alpha": timed(0, 0, 0, 0, 0, 8, 2), "bravo": timed(0, 0, 0, 0, 0, 0, 90)}
    (found,) = histograms(read(answers))
    assert {bar.span: bar.frames for bar in found.bars if bar.frames} == {"32 ns to 63 ns": 8, "64 ns to 127 ns": 92}
    assert (found.verdict, found.frames, found.hosts, found.average) == ("passed", 100, 2, "100 ns")
    assert "100 packets measured on 2 hosts" in written(answers).text


def test_each_order_is_that_of_its_numbers():
    found = rows(read(fleet(100, seed=3, details=True)))
    for order, (_label, key) in ORDERS.items():
        ordered = sorted(found, key=lambda row, order=order: row.places[order])
        assert [row.places[order] for row in ordered] == list(range(100))
        assert [key(row.status) for row in ordered] == sorted(key(row.status) for row in found)


# Fleets that have little to say


def test_page_without_a_host_says_so(written):
    seen = written({})
    assert seen.text.count("No host was looked at") == 7  # the headline, and each part of the page but the changes
    assert "Nothing" not in seen.text
    assert seen.all("fieldset") == []


def test_page_of_one_host_that_is_fine_is_short_of_words(written):
    said = written({"alpha": answer(processing=None, owners={"blocklist": {}, "allowlist": {}})}).text
    assert "The only host is as the inventory wants" in said
    assert "Nothing: every host has what the inventory wants." in said
    assert "This is the first report here." in said
    assert "No host names a source" in said
    assert "Not measured." in said


def test_page_of_hosts_of_which_none_answers_has_all_of_them(written):
    said = written({f"host{number}": away() for number in range(5)}).text
    assert "5 of 5 hosts lack what the inventory wants" in said
    assert said.count("no answer") == 5
    assert said.count("No host has answered.") == 4
    assert "Dropped in all - packets Sources - among the busiest Blocked - entries" in said
    assert not re.search(r"No packet was dropped|No host names a source|No host has an entry|Not measured\.", said)


def test_nothing_is_said_of_now_if_it_was_not_measured(written):
    said = written({"alpha": answer(recent=counts(0, seconds=0.0), sources=[{**SOURCE, "recent": 0}])}).text
    assert "What is dropped now was not measured." in said
    assert "Dropped now - not measured" in said
    assert not re.search(r"0\.0 s|Bold", said)
    assert "203.0.113.66 blocklist by inventory 1 - 42" in said


@pytest.mark.parametrize(("number", "words"), [(1, "1 more change."), (2, "2 more changes.")])
def test_changes_without_room_are_counted(changed, number, words):
    before = answer()
    after = {f"host{each:02}": answer(drift=[f"drift {each}"]) for each in range(20 + number)}
    assert f"And {words}" in changed(dict.fromkeys(after, before), after)


@pytest.mark.parametrize(("number", "words"), [(1, "1 more owner."), (2, "2 more owners.")])
def test_owners_without_room_are_counted(written, number, words):
    owners = {"blocklist": {f"owner{each:02}": 1 for each in range(20 + number)}, "allowlist": {}}
    assert f"And {words}" in written({"alpha": answer(owners=owners)}).text


def test_source_whose_packets_no_host_knows_is_not_said_to_have_sent_none(written):
    limited = {**SOURCE, "ip": "192.0.2.1", "packets": 0, "recent": 0, "reason": "ratelimit", "owners": []}
    said = written({"alpha": answer(sources=[SOURCE, limited]), "bravo": answer(sources=[SOURCE])}).text
    assert "192.0.2.1 ratelimit 1 0 -" in said
    assert re.search(r"203\.0\.113\.66 2 42 42 192\.0\.2\.1 1 - 1 to 9", said)
    assert "A dash: dropped by the rate limit" in said
    assert "A dash" not in written({"alpha": answer(sources=[SOURCE])}).text


def test_more_drift_than_a_host_can_tell_is_said(written):
    said = written({"alpha": answer(drift=["blocklist: it is another"], drift_left_out=4)}).text
    assert "a deploy would change more than there is room for here 1 host: alpha" in said


# Texts of hosts


def test_page_holds_no_script_no_link_to_elsewhere_and_only_the_style_it_allows(written):
    seen = written(fleet(40, seed=1, details=True))
    names = {tag for tag, _attributes in seen.elements}
    assert not names & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "image",
        "use",
    }
    for tag, attributes in seen.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc", "action")
        ], tag
        assert (attributes.get("href") or "#").startswith("#")
    (style,) = seen.styles
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [each["content"] for each in seen.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style
    assert "@import" not in style


def saying(text):
    """Return the answers of two hosts that have a text in all places that take any."""
    usual = answer(
        drift=[text],
        notes=[text],
        version=text,
        kernel=text,
        filters={text[:60]: filter_of()},
        sources=[{**SOURCE, "owners": [text]}],
        owners={"blocklist": {text: 1}, "allowlist": {}},
        comments={SOURCE["ip"]: text},
    )
    return {text: usual, "away": away(text)}


@pytest.mark.parametrize("text", [*HOSTILE, "\u2066\u202e\u200f", "<!--", "{%", "]]>", "&lt;b&gt;"])
def test_text_of_a_host_stays_text_wherever_it_is_shown(written, text):
    seen, plain = written(saying(text)), written(saying("plain"))
    changes = {"section", "p", "ul", "li", "div", "span", "bdi", "time"}  # which only the second report has
    shapes = [[tag for tag, _attributes in page.elements if tag not in changes] for page in (seen, plain)]
    assert shapes[0] == shapes[1]
    assert not re.search(r"[\x00-\x1f\u200e\u200f\u202a-\u202e\u2066-\u2069]", seen.text)
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)[:30]
    assert seen.text.count(shown) >= 10


def test_thousand_hosts_that_say_as_much_as_they_can_fit_on_the_page(tmp_path):
    text = "<\u202e&" * 100
    texts = [f"{number}{text}" for number in range(8)]
    addresses = [f"2001:db8:ffff:ffff:ffff:ffff:ffff:{number:x}" for number in range(1000, 1010)]
    times = {"count": MOST, "average": MOST, "p50": MOST, "p99": MOST, "buckets": [MOST] * 64}
    loud = answer(
        drift=texts,
        drift_left_out=MOST,
        notes=texts,
        version=text,
        kernel=text,
        filters={each: filter_of(dropped=MOST, passed=MOST, would_drop=MOST) for each in texts},
        filters_left_out=MOST,
        counts=counts(MOST, would_drop=MOST),
        recent=counts(MOST, would_drop=MOST, seconds=1e18),
        sources=[{**SOURCE, "ip": each, "packets": MOST, "recent": MOST, "owners": texts} for each in addresses],
        lists={name: {"count": MOST, "capacity": MOST} for name in ("blocklist", "allowlist")},
        reasons={reason: {"ipv4": MOST, "ipv6": MOST} for reason in REASONS},
        processing={"passed": times, "dropped": times},
        owners={"blocklist": dict.fromkeys(texts, MOST), "allowlist": dict.fromkeys(texts, MOST)},
        comments=dict.fromkeys(addresses, text),
    )
    written = _report.write(
        {f"{number}{text}": loud for number in range(1000)}, str(tmp_path / "report.html"), check=True
    )
    assert 2 * MEGABYTE < written.size < 3 * MEGABYTE


# What changed


@pytest.fixture
def changed(written):
    """A function that writes two reports, and returns what the second says of changes."""

    def write(before, after):
        written(before)
        said = written(after).text
        return re.search(r"What changed since the last report(.*)Who sends most", said)[1].strip()

    return write


def test_second_report_of_the_same_answers_finds_nothing_changed(changed):
    answers = fleet(40, seed=5, details=True)
    assert re.fullmatch(r"That was made \d{4}-\d\d-\d\d \d\d:\d\d UTC . Nothing.", changed(answers, answers))


def test_hosts_that_came_went_and_changed_are_named(changed):
    said = changed(
        {"alpha": answer(), "bravo": answer(), "charlie": away()},
        {"alpha": answer(drift=["blocklist: it is another"]), "charlie": answer(), "delta": answer()},
    )
    assert "came new in the report 1 host: delta" in said
    assert "went no longer in the report 1 host: bravo" in said
    assert "drifted fine before, now drifted 1 host: alpha" in said
    assert "fine unreachable before, now fine 1 host: charlie" in said
    assert "drift blocklist: it is another 1 host: alpha" in said


def test_drift_that_was_mended_is_said(changed):
    one, other = "blocklist: it is another", "filter eth0: policy is pass, the inventory wants drop"
    said = changed({"alpha": answer(drift=[one, other])}, {"alpha": answer(drift=[other])})
    assert f"mended {one} 1 host: alpha" in said
    assert other not in said


def test_packets_since_the_last_report_are_counted_also_where_counters_began_again(changed):
    before = {"alpha": answer(counts=counts(100)), "bravo": answer(counts=counts(100)), "charlie": away()}
    after = {host: answer(counts=counts(dropped)) for host, dropped in {"alpha": 107, "bravo": 5, "charlie": 9}.items()}
    assert "12 packets were dropped since then." in changed(before, after)


def test_host_that_did_not_answer_once_is_compared_with_what_it_answered_before(written, changed):
    mended, stays, new = "blocklist: it is another", "filter eth0: policy is pass", "the command is another"
    written({"alpha": answer(counts=counts(100), sources=[SOURCE], drift=[mended, stays])})
    said = changed({"alpha": away()}, {"alpha": answer(counts=counts(107), sources=[SOURCE], drift=[stays, new])})
    assert "unreachable before, now drifted" in said
    assert "7 packets were dropped since then." in said
    assert (f"mended {mended}" in said, f"drift {new}" in said) == (True, True)
    assert not re.search(f"new among the busiest|{stays}", said)


def test_drift_that_a_host_has_no_room_to_tell_is_neither_mended_nor_new(changed):
    some = answer(drift=["blocklist: it is another"], drift_left_out=1)
    every = answer(drift=["blocklist: it is another", "the command is another"])
    for before, after in ((some, every), (every, some)):
        assert "Nothing." in changed({"alpha": before}, {"alpha": after})


def test_refusal_of_a_deploy_does_not_mend_what_is_behind_it(changed):
    said = changed(
        {"alpha": answer(drift=["blocklist: it is another"])},
        {"alpha": answer(drift=[f"{REFUSED}pingkiller_policy is odd"])},
    )
    assert "mended" not in said


def test_sources_that_are_new_are_named_and_marked(written):
    written({"alpha": answer(sources=[SOURCE])})
    said = written({"alpha": answer(sources=[SOURCE, {**SOURCE, "ip": "192.0.2.1", "packets": 1}])}).text
    assert "1 source is new among the busiest: 192.0.2.1 ." in said
    assert "192.0.2.1 new blocklist" in said
    assert "203.0.113.66 new" not in said


HUGE = '{"pingkiller_report": 1, "hosts": {' + "\n" * 1_000_000
NEXT = json.dumps({"pingkiller_report": 2, "made": "then", "hosts": [], "sources": []})
PAST = {"state": "fine", "dropped": 1, "drift": [], "all_drift": True, "sources": []}
ODD = [
    {"made": "then"},
    {"made": "then", "hosts": []},
    {"made": 7, "hosts": {}},
    {"made": "x" * 100_000, "hosts": {}},
    {"made": "then", "hosts": {"alpha": None}},
    *(
        {"made": "then", "hosts": {"alpha": {**PAST, **odd}}}
        for odd in ({"state": "odd"}, {"dropped": "1"}, {"sources": [None]}, {"all_drift": 1}, {"drift": None})
    ),
]


@pytest.mark.parametrize(
    "content",
    [
        *(NEXT, HUGE, '{"pingkiller_report": ', '{"pingkiller_report": ' + "[" * 1_000_000, ""),
        *(json.dumps({"pingkiller_report": 1, **odd}) for odd in ODD),
    ],
    ids=lambda content: content[22:60],
)
def test_broken_record_is_ignored_in_a_sentence_and_replaced(written, tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    assert re.search(
        r"Nothing was compared with the last report, because '\S+/report.json' .*\.", written({"alpha": answer()}).text
    )
    assert "Nothing." in written({"alpha": answer()}).text


def test_record_larger_than_any_report_writes_is_not_read(written, tmp_path):
    with open(tmp_path / "report.json", "w") as file:
        file.write('{"pingkiller_report": ')
        file.truncate(1 << 40)
    assert "report.json' is larger than 16777216 bytes." in written({"alpha": answer()}).text


@pytest.mark.parametrize("content", ["[1, 2, 3]", "not JSON", '{"name": "app", "version": "1.0"}', "\0" * 100])
def test_file_of_somebody_else_in_the_place_of_the_record_stays(written, tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    assert "was not written by a report; it stays as it is" in written({"alpha": answer()}).text
    assert (tmp_path / "report.json").read_text() == content


def test_pipe_or_directory_in_the_place_of_the_record_keeps_nobody_waiting(written, tmp_path):
    os.mkfifo(tmp_path / "report.json")
    assert "was not written by a report" in written({"alpha": answer()}).text
    os.unlink(tmp_path / "report.json")
    (tmp_path / "report.json").mkdir()
    assert "was not written by a report" in written({"alpha": answer()}).text


# Where it goes


def refusal(path):
    with pytest.raises(PingKillerError) as error:
        _report.write({"alpha": answer()}, str(path), check=False)
    return str(error.value)


def test_place_where_no_report_can_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    assert "is no directory: make it, or name another" in refusal(tmp_path / "nowhere/report.html")
    assert "is no directory" in refusal(tmp_path / "file/report.html")
    assert "is no file" in refusal(tmp_path)
    assert "is no file" in refusal(tmp_path / "pipe")
    assert "is no file" in refusal(f"{tmp_path}/new/../")
    assert "names no file" in refusal("")
    assert "names no file" in refusal("a\0b")
    assert "ends in .json" in refusal(tmp_path / "report.json")
    assert "could not be written (File name too long)" in refusal(tmp_path / ("x" * 300))
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


def test_directory_that_the_user_cannot_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may write everywhere
    assert "cannot be written to: name another directory" in refusal(tmp_path / "report.html")
    assert os.listdir(tmp_path) == []


def test_report_that_cannot_be_finished_leaves_the_one_before_it(tmp_path, monkeypatch):
    _report.write({}, str(tmp_path / "report.html"), check=False)
    (tmp_path / "report.json").unlink()
    before = (tmp_path / "report.html").read_text()

    def full(_old, _new):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    assert "could not be written (No space left on device)" in refusal(tmp_path / "report.html")
    assert os.listdir(tmp_path) == ["report.html"]
    assert (tmp_path / "report.html").read_text() == before


def test_check_mode_makes_the_page_and_writes_nothing(tmp_path):
    written = _report.write(fleet(3, seed=1), str(tmp_path / "report.html"), check=True)
    assert written.message.startswith(
        f"Would write '{tmp_path}/report.html': 1 of 3 hosts lacks what the inventory wants."
    )
    assert written.size > 1000
    assert os.listdir(tmp_path) == []


def test_report_and_its_record_are_as_readable_as_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        written = _report.write(fleet(3, seed=1), str(tmp_path / "report.html"), check=False)
    finally:
        os.umask(before)
    assert [os.stat(path).st_mode & 0o777 for path in (written.path, written.record)] == [0o640, 0o640]


def test_file_that_no_report_has_written_stays(tmp_path):
    for content in ("[web]\nalpha\n", "<!doctype html>\n<title>Start</title>\n"):
        (tmp_path / "mine").write_text(content)
        assert "is a file that no report has written, so it stays" in refusal(tmp_path / "mine")
        assert (tmp_path / "mine").read_text() == content
    assert os.listdir(tmp_path) == ["mine"]


def test_report_and_an_empty_file_are_replaced(tmp_path):
    (tmp_path / "report.html").touch()
    for hosts in (1, 3):
        _report.write(fleet(hosts, seed=1), str(tmp_path / "report.html"), check=False)
    assert "1 of 3 hosts" in (tmp_path / "report.html").read_text()


def test_link_is_followed_to_the_file_that_is_replaced(tmp_path):
    (tmp_path / "current.html").symlink_to("old.html")
    _report.write(fleet(3, seed=1), str(tmp_path / "current.html"), check=False)
    assert (tmp_path / "current.html").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["current.html", "old.html", "old.json"]


def test_record_is_read_back_as_it_was_written(tmp_path):
    statuses = read(fleet(40, seed=9, details=True))
    (tmp_path / "record").write_text(_report_since.record(statuses, "2026-01-01T00:00:00Z", None))
    before, fault = _report_since.read(str(tmp_path / "record"))
    assert fault == ""
    assert {host: past.state for host, past in before.hosts.items()} == {each.host: each.state for each in statuses}
    assert {past.state for past in before.hosts.values()} == set(STATES)
