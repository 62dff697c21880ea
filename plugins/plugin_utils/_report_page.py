# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay out a report as one page of HTML, which needs nothing else and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import tables
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import printable, shortened
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _report_sums as sums
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_heat import Heat, heat, short
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_rows import ORDERS, Row, rows
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_since import Since
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_times import HEIGHT, WIDTH, Times, histograms
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import HostStatus

_COMMENT = 100  #: characters
_WIDEST = 10**12  #: numbers from here on are too long for a telephone or a column
_HERE = Path(__file__).parent
#: Every page begins so. The template has these lines.
BEGINNING = b"<!doctype html>\n<!-- A report of pingkiller.fleet -->\n"


class Page(NamedTuple):
    """All that the page shows. The template chooses nothing and computes nothing."""

    made: str
    version: str
    headline: str  #: what matters most, as a sentence without a dot
    totals: sums.Totals
    attention: list[sums.Group]
    left_out: dict[str, int]
    since: Since | None
    not_compared: str  #: a sentence that says why there is no ``since``; empty if this is the first report
    heat: Heat
    comments: dict[str, str]  #: by source
    dropped: list[sums.Reason]
    passed: list[sums.Reason]
    times: list[Times]
    owners: list[sums.Owner]
    fullest: list[sums.Fullest]
    rows: list[Row]


def page(statuses: list[HostStatus], *, made: str, version: str, since: Since | None, not_compared: str) -> Page:
    """Collect what the page shows."""
    attention, left_out = sums.attention(statuses)
    totals = sums.totals(statuses)
    return Page(
        made=made,
        version=version,
        headline=sums.headline(totals),
        totals=totals,
        attention=attention,
        left_out=left_out,
        since=since,
        not_compared=not_compared,
        heat=heat(statuses),
        comments=_comments(statuses),
        dropped=sums.dropped(statuses),
        passed=sums.passed(statuses),
        times=histograms(statuses),
        owners=sums.owners(statuses),
        fullest=sums.fullest(statuses),
        rows=rows(statuses),
    )


def _comments(statuses: list[HostStatus]) -> dict[str, str]:
    said = (each.details.comments.items() for each in statuses if each.details)
    return {ip: shortened(text, _COMMENT) for comments in said for ip, text in comments}


def render(shown: Page) -> str:
    """Return the page as HTML. It allows only the style that it has, by its hash, and no script."""
    environment = Environment(
        autoescape=True,
        finalize=_safe,
        loader=FileSystemLoader(_HERE),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(number=_number, short=short)
    environment.globals.update(
        orders={order: label for order, (label, _key) in ORDERS.items()},
        width=WIDTH,
        height=HEIGHT,
    )
    style = environment.get_template("_report.css.j2").render(shown._asdict())
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("_report.html.j2").render(shown._asdict(), style=Markup(style), style_hash=hashed)


def _number(value: int | None) -> str:
    return tables.short(value) if value and value >= _WIDEST else tables.number(value)


def _safe(value: object) -> object:
    """Escape what is not printable, in any text of the page, such as characters that turn the direction of writing round."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
