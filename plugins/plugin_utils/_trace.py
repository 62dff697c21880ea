# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the traces of all hosts of a fleet in one table, without trusting a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import number
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import text
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import not_believed, result
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace_looks import (
    NONSENSE,
    PROBES,
    Look,
    Refused,
    look,
    said,
)
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace_sums import merged

ALL = "all hosts"
_LONGEST_SENTENCE = 300


def trace_result(answer: dict[str, Any], host: str, *, check_mode: bool) -> dict[str, Any]:
    """Check the answer of the module bpf_trace_info. The task fails if the module cannot have given this answer."""
    answer = result(answer, host)
    if answer.get("failed") or check_mode:  # check mode returns no result
        return answer
    try:
        look(answer, said(answer, "probe"))
    except (Refused, *NONSENSE):
        return not_believed(host, "it is not the result of a trace")
    return answer


def lines(answers: Mapping[str, object], top: int) -> list[str]:
    """Write one table of the hosts' answers (results of the module bpf_trace_info), with the sums over all hosts first.

    Shows the first ``top`` rows of each host and of the sums, or all rows if it is 0. Names each host without a result,
    and why.
    """
    looks: dict[str, Look] = {}
    faults: dict[str, str] = {}
    probe = _probe(answers.values())
    for host, answer in sorted(answers.items()):
        try:
            looks[host] = look(answer, probe)
        except Refused as error:
            faults[host] = str(error)
        except NONSENSE:
            faults[host] = (
                "what it answers is not what the module says: find out what runs in place of the module there"
            )
    notes = [f"{text.word(host)}: {note}" for host, seen in looks.items() for note in text.notes(seen._asdict())]
    notes += [f"{text.word(host)}: not traced: {printable(why, _LONGEST_SENTENCE)}" for host, why in faults.items()]
    table = _table(looks, top or None)
    return [_head(looks, len(answers)), *(["", *table] if table else []), *(["", *notes] if notes else [])]


def _probe(answers: Iterable[object]) -> str:
    """Return the probe that most hosts name. All hosts were asked for the same one."""
    probes = (said(answer, "probe") for answer in answers)  # Ansible allows only one pass over the answers
    named = Counter(probe for probe in probes if isinstance(probe, str) and probe in PROBES)
    return named.most_common(1)[0][0] if named else ""


def _head(looks: Mapping[str, Look], hosts: int) -> str:
    if not looks:
        return f"none of {hosts} hosts was traced"
    first = next(iter(looks.values()))
    about = f"{first.probe} {text.word(first.name)}".rstrip()
    seconds = max(seen.seconds for seen in looks.values())
    calls = sum(seen.calls for seen in looks.values())
    counted = "" if first.probe == "processes" else f": {number(calls)} calls"
    return f"{about} on {len(looks)} of {hosts} hosts, {seconds:.1f} s each{counted}"


def _table(looks: Mapping[str, Look], top: int | None) -> list[str]:
    whole = merged(row for seen in looks.values() for row in seen.rows)
    rows = [{**row, "host": ALL} for row in whole[:top]]
    rows += [{**row, "host": host} for host, seen in looks.items() for row in seen.rows[:top]]
    return text.rows_table(rows)
