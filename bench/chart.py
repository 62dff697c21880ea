# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Horizontal bar charts as SVG files, readable on light and on dark pages."""

from __future__ import annotations

from html import escape

WIDTH, LABELS, ROW, GAP, TOP, VALUES = 760, 140, 16, 12, 46, 70
COLOURS = ("#d1495b", "#3d7ea6", "#8d99ae", "#edae49", "#66a182", "#6d597a")
STYLE = (
    "text{font:12px sans-serif;fill:#24292f}.title{font-weight:bold}.axis{stroke:#8c959f}"
    "@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}"
)


def bars(title: str, rows: list[dict], label: str, most: float) -> str:
    """Draw one group of bars per row, with one bar per key except ``label``. Bars above ``most`` are cut and marked."""
    series = list(dict.fromkeys(key for row in rows for key in row if key != label))
    height = TOP + ROW * sum(_bar_count(row, label) for row in rows) + GAP * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        _text(0, 14, title, "title"),
        *_legend(series),
    ]
    y = TOP
    for row in rows:
        parts.append(_text(LABELS - 8, y + ROW * _bar_count(row, label) / 2 + 4, row[label], "", "end"))
        for name in series:
            if row.get(name) is not None:
                parts += _bar(y, row[name], most, COLOURS[series.index(name) % len(COLOURS)])
                y += ROW
        y += GAP
    parts.append(f'<line class="axis" x1="{LABELS}" y1="{TOP - 4}" x2="{LABELS}" y2="{height - 8}"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar_count(row: dict, label: str) -> int:
    return sum(1 for key, value in row.items() if key != label and value is not None)


def _legend(series: list[str]) -> list[str]:
    parts, x = [], 0
    for number, name in enumerate(series):
        parts.append(f'<rect x="{x}" y="23" width="11" height="11" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(_text(x + 16, 33, name))
        x += 30 + 6 * len(name)
    return parts


def _bar(y: float, value: float, most: float, colour: str) -> list[str]:
    width = max(1.0, min(value, most) / most * (WIDTH - LABELS - VALUES))
    said = f"{value:,}" + (" →" if value > most else "")
    return [
        f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{ROW - 2}" fill="{colour}"/>',
        _text(LABELS + width + 5, y + 11, said),
    ]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
