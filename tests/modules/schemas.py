# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the collection with other map layouts: earlier ones, and a possible later one.

The functions run in a module's process; the sources are what that process then compiles.
"""

from __future__ import annotations

from functools import partial

from running import SOURCES

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.layout import Layout


def replaced(sources: dict, *changes: tuple[str, str, str]) -> dict:
    """Return the sources with texts replaced, each of which has to be there."""
    sources = dict(sources)
    for name, text, instead in changes:
        assert text in sources[name], (name, text)
        sources[name] = sources[name].replace(text, instead)
    return sources


#: Schema 2 had nine reasons and no spare number, so packets that monitor mode would have dropped count as dropped.
SOURCES_2 = replaced(
    SOURCES,
    ("schema.h", "\tREASON_UNCLASSIFIED,\n\tFIRST_DROP = 8,\n", "\tFIRST_DROP,\n"),
    (
        "schema.h",
        "\tREASON_TOO_MANY_TAGS,\n\tFIRST_WOULD_DROP = 12,\n\tREASONS = 16,\n",
        "\tREASONS,\n\tREASON_UNCLASSIFIED = REASON_POLICY_PASS,\n\tREASON_TOO_MANY_TAGS = REASON_POLICY_DROP,\n"
        "\tFIRST_WOULD_DROP = FIRST_DROP,\n",
    ),
)

#: Schema 1 had no generation of the lists, so no CPU cached the results of the indexes.
SOURCES_1 = replaced(
    SOURCES_2,
    ("schema.h", "\tu64 generation;", "\t//"),
    ("listing.h", "control->generation", "1"),
    ("listing.h", "if (control->dirty ||", "if (true ||"),
)


#: One more reason among the others, and a record of twice the size, with the counts further back.
LATER_SOURCES = replaced(
    SOURCES,
    ("schema.h", "\tREASON_TYPE,", "\tREASON_SPARE,\n\tREASON_TYPE,"),
    ("schema.h", "struct record {", "struct record {\n\tu64 spare[8];"),
)


def _be_earlier(number: int) -> None:
    layouts = schema.layouts(number)
    for maps in (schema.HOST_MAPS, schema.FILTER_MAPS):
        maps.update(schema.of_schema(maps, number))
    schema.SCHEMA_VERSION, schema.LAYOUTS = number, layouts
    schema.EARLIER = {each: schema.EARLIER[each] for each in range(1, number)} or {1: {}}


#: By number: the function that makes a process one of that version, and the sources it compiles.
EARLIER = {1: (partial(_be_earlier, 1), SOURCES_1), 2: (partial(_be_earlier, 2), SOURCES_2)}


def be_later() -> None:
    place = schema.PASS_REASONS.index("type")
    passing = (*schema.PASS_REASONS[:place], "spare", *schema.PASS_REASONS[place:])
    schema.PASS_REASONS, schema.REASONS = passing, passing + schema.DROP_REASONS
    dropping = {**dict(enumerate(schema.DROP_REASONS, schema.FIRST_DROP)), **schema.WOULD_DROP}
    schema.EARLIER[3] = {name: schema.LAYOUTS[name] for name in ("counters", "records")}
    schema.LAYOUTS["counters"] = schema.counters({**dict(enumerate(passing)), **dropping}, schema.REASON_NUMBERS)
    schema.COUNTED["counters"] = tuple(schema.LAYOUTS["counters"].offsets)
    fields = ("until_source:Q", "until_destination:Q", "address:16s", "used:B", "prefix_length:B", "owner:B")
    schema.RECORD = Layout(":64x", "packets:Q", "bytes:Q", "last_seen:Q", *fields, ":1x", "since:I")
    schema.LAYOUTS["records"] = schema.RECORD
    schema.SCHEMA_VERSION = 4
    schema.FILTER_MAPS.update(schema.of_schema(schema.FILTER_MAPS, 4))
