# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the collection that lay out maps in another way: one from before this one, and one that may come.

``be_earlier`` and ``be_later`` are for the process of a module; the sources are what it compiles then.
"""

from __future__ import annotations

from running import SOURCES

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import schema


def replaced(*changes: tuple[str, str, str]) -> dict:
    """The sources with texts in place of others, each of which has to be there."""
    sources = dict(SOURCES)
    for name, text, instead in changes:
        assert text in sources[name], (name, text)
        sources[name] = sources[name].replace(text, instead)
    return sources


#: Schema 1 had no generation of the lists, so no CPU kept what the indexes said.
EARLIER_SOURCES = replaced(
    ("schema.h", "\tu64 generation;", "\t//"),
    ("listing.h", "control->generation", "1"),
    ("listing.h", "if (control->dirty ||", "if (true ||"),
)

#: One more reason among the others, and a record that is twice as large, with the counts further back.
LATER_SOURCES = replaced(
    ("schema.h", "\tTYPE,", "\tSPARE,\n\tTYPE,"),
    ("schema.h", "struct record {", "struct record {\n\tu64 spare[8];"),
)


def be_earlier() -> None:
    layouts = schema.layouts(1)
    schema.HOST_MAPS.update(schema.of_schema(schema.HOST_MAPS, 1))
    schema.SCHEMA_VERSION, schema.LAYOUTS, schema.EARLIER = 1, layouts, {1: {}}


def be_later() -> None:
    place = schema.REASONS.index("type")
    schema.REASONS = (*schema.REASONS[:place], "spare", *schema.REASONS[place:])
    cells = [f"{r}.{f}.{what}:Q" for r in schema.REASONS for f in schema.FAMILIES for what in ("packets", "bytes")]
    schema.EARLIER[2] = {name: schema.LAYOUTS[name] for name in ("counters", "records")}
    schema.LAYOUTS["counters"] = schema.Layout(*cells)
    schema.COUNTED["counters"] = tuple(schema.LAYOUTS["counters"].offsets)
    fields = ("until_source:Q", "until_destination:Q", "address:16s", "used:B", "prefix_length:B", "owner:B", ":5x")
    schema.RECORD = schema.Layout(":64x", "packets:Q", "bytes:Q", "last_seen:Q", *fields)
    schema.LAYOUTS["records"] = schema.RECORD
    schema.SCHEMA_VERSION = 3
    schema.FILTER_MAPS.update(schema.of_schema(schema.FILTER_MAPS, 3))
