# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at reports in a browser: nothing is cut off at any width, everything can be read, and nothing runs."""

from __future__ import annotations

import pytest
from recorded_statuses import fleet

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_rows import ORDERS
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import read

TELEPHONE, TABLET, DESKTOP = 360, 800, 1440
PAPER = 688  #: A4 without margins

#: Elements that reach out of the window, and cells whose text reaches out of them. What is meant to be cut ends in dots.
OVERFLOWING = """
[...document.querySelectorAll("body *")].filter(each => {
    const box = each.getBoundingClientRect();
    const inside = box.left >= -0.5 && box.right <= document.documentElement.clientWidth + 0.5;
    const cell = ["TH", "TD", "DD", "DT", "LABEL", "LI", "P"].includes(each.tagName);
    return box.width && each.tagName != "INPUT" && (!inside || cell && each.scrollWidth > each.clientWidth + 1);
}).slice(0, 5).map(each => each.outerHTML.slice(0, 200))
"""

#: Texts whose contrast with what is behind them is less than WCAG asks for: 4.5 to 1.
FAINT = """
(() => {
    const numbers = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => numbers(color).slice(0, 3).map(each => each / 255)
        .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = each => {
        for (; each; each = each.parentElement) {
            const color = getComputedStyle(each).backgroundColor;
            if ((numbers(color)[3] ?? 1) == 1) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const faint = new Set();
    for (const each of document.querySelectorAll("body *")) {
        const says = [...each.childNodes].some(node => node.nodeType == Node.TEXT_NODE && node.data.trim());
        if (!says || !each.getBoundingClientRect().width) continue;
        const style = getComputedStyle(each);
        const [dark, bright] = [light(each.matches("text") ? style.fill : style.color), light(behind(each))].sort((a, b) => a - b);
        if ((bright + 0.05) / (dark + 0.05) < 4.5) faint.add(each.outerHTML.slice(0, 120));
    }
    return [...faint].slice(0, 5);
})()
"""

#: The names of the hosts in the table, as they are seen from top to bottom.
NAMES = """
[...document.querySelectorAll(".hosts tbody tr")].filter(each => each.getBoundingClientRect().height)
    .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
    .map(each => each.querySelector("th").firstChild.data)
"""


def choose(browser, choice):
    browser.evaluate(f'document.querySelector("label[for={choice}]").click()')


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [TELEPHONE, TABLET, DESKTOP])
@pytest.mark.parametrize("hosts", [0, 1, 3, 40])
def test_nothing_overflows_and_all_texts_can_be_read(browser, report, hosts, width, dark):
    browser.show(report(hosts), width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.evaluate(FAINT) == []


def test_thousand_hosts_overflow_nowhere(browser, report):
    browser.show(report(1000), width=TELEPHONE)
    for width in (TELEPHONE, TABLET, DESKTOP):
        browser.resize(width=width)
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert browser.evaluate(OVERFLOWING) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_print_is_dark_on_light_and_fits_on_paper(browser, report, tmp_path, dark):
    browser.show(report(40), width=PAPER, dark=dark, printed=True)
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate(FAINT) == []
    browser.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes()[:5] == b"%PDF-"


@pytest.mark.parametrize("width", [TELEPHONE, DESKTOP])
def test_table_is_in_the_order_that_a_reader_chooses(browser, report, width):
    statuses = read(dict(list(fleet(40, seed=8, details=True).items())[1:]))
    browser.show(report(40), width=width)
    assert browser.evaluate(NAMES) == [each.host for each in statuses]
    for order, (_label, key) in ORDERS.items():
        choose(browser, f"by-{order}")
        assert browser.evaluate(NAMES) == [each.host for each in sorted(statuses, key=key)]
    choose(browser, "by-worst")
    assert browser.evaluate(NAMES) == [each.host for each in statuses]


def test_table_has_the_hosts_of_the_state_that_a_reader_chooses(browser, report):
    statuses = read(dict(list(fleet(40, seed=8, details=True).items())[1:]))
    browser.show(report(40), width=DESKTOP)
    for state in {each.state for each in statuses}:
        choose(browser, f"show-{state}")
        assert browser.evaluate(NAMES) == [each.host for each in statuses if each.state == state]
    choose(browser, "show-all")
    assert len(browser.evaluate(NAMES)) == len(statuses)


def test_page_asks_for_nothing_and_whatever_slips_into_it_does_not_run(browser, report):
    browser.show(report(40), width=DESKTOP)
    browser.evaluate(
        """
        document.body.insertAdjacentHTML("beforeend", '<img src="data:," onerror="window.ran = 1"><p style="color: red" id="odd">');
        const script = document.createElement("script");
        script.textContent = "window.ran = 2";
        document.body.append(script);
        """
    )
    assert browser.evaluate("window.ran") is None
    assert browser.evaluate('getComputedStyle(document.getElementById("odd")).color') != "rgb(255, 0, 0)"
    assert (
        browser.evaluate(
            'performance.getEntriesByType("resource").filter(each => !each.name.startsWith("data:")).length'
        )
        == 0
    )


def test_table_is_one_also_for_those_who_do_not_see_it(browser, report):
    for width in (TELEPHONE, DESKTOP):
        browser.show(report(40), width=width)
        roles = browser.roles()
        assert roles["row"] > 39
        assert roles["rowheader"] > 39
        assert {"banner", "main", "navigation", "contentinfo", "heading", "radio", "table"} <= set(roles)
