# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loaded program against the model, on tens of thousands of generated frames.

Verdict, reason, every counter, the events, and the state of every source in the rate limit must be as in the model.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter

import pytest
from harness import shortest_frame
from hypothesis import HealthCheck, Phase, given, settings
from model import ECHO_REQUEST, EVERY_TYPE, SECOND, Lists, Options, decide
from packets import describe
from rows import Known
from strategies import GENE_SIZE, OPTION_SETS, Gene, batches, frame, genes, lists, option_sets, whole_frame

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema

PARTS = 2  # so that two processors share the work
EXAMPLES, FEWEST, MOST = 400 // PARTS, 60, 140  # examples in each part, and frames in each example
CUT_EXAMPLES = 60  # frames that are cut at every length
LAG = SECOND // 10  # the age that the time of the last timer tick may have on a busy machine
SEARCH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    # Without the explain phase, which takes longer than everything else. The failing frame is known without it.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Comparison:
    """A filter and the model side by side, with the same lists and the same sources in the rate limit."""

    def __init__(self, host, options, blocklist=(), allowlist=()):
        self.filter, self.options, self.entries = host.filter(options, **LOUD), options, (blocklist, allowlist)
        host.set_lists(blocklist, allowlist)
        self.lists, self.sources = Lists(blocklist, allowlist), {}
        if options.ratelimit_pps:
            self.filter.set_sources({})

    def wait(self, seconds):
        """Simulate time for both rate limits: the state of all sources becomes older by this many seconds."""
        by = int(seconds * SECOND)
        aged = {
            name: source._replace(window=source.window - by, blocked_until=max(0, source.blocked_until - by))
            for name, source in self.sources.items()
        }
        if seconds and aged:
            self.sources = aged
            self.filter.set_sources(aged)

    def compare(self, frame):
        """Compare the results of both for one frame. Return the reason."""
        known, start = dict(self.sources), durations.boot_time()
        seen = self.filter.send(frame)
        sources, end = self.filter.sources(), durations.boot_time()
        now = self._moment(sources, start, end)
        outcome = decide(frame, self.options, self.lists, self.sources, now)
        assert (*seen, sources) == (outcome.action, outcome.changes, self.sources), self._as_row(
            frame, outcome, known, start
        )
        return outcome.reason

    def _moment(self, sources, start, end):
        """Return the time at which the program read the clock, which may be that of the last timer tick.

        This is the time that it stored, if it stored a possible one. Otherwise no window and no block time ended for
        the program, so the earliest possible time gives the same result.
        """
        earliest = start - LAG
        for name, source in sources.items():
            if source != self.sources.get(name):
                blocked_at = source.blocked_until - self.options.ratelimit_block_time * SECOND
                return next((time for time in (blocked_at, source.window) if earliest <= time <= end), earliest)
        return earliest

    def _as_row(self, frame, outcome, known, now):
        """Return the failure as a row to paste into regressions.py (if the model is right)."""
        by = outcome.credited and outcome.credited[1].ip
        expression, dump = describe(frame).split("\n", 1)
        blocklist, allowlist = self.entries
        sources = tuple((name, as_known(source, now)) for name, source in known.items())
        return (
            f'\n    yield Row("...", {expression},\n'
            f'              "{outcome.verdict} {outcome.reason} {outcome.family}", {as_text(self.options)},\n'
            f"              {blocklist!r}, {allowlist!r}, by={by!r},\n"
            f"              sources={sources!r})\n{dump}"
        )


# High enough that no event is suppressed. The budget has tests of its own.
LOUD = {"events_per_second": 1_000_000}


def as_known(source, now):
    blocked = (source.blocked_until - now) / SECOND if source.blocked_until else 0
    return Known(source.packets, (now - source.window) / SECOND, blocked)


def as_text(options):
    """Return the call that makes these options, as text."""
    chosen = {name: repr(value) for name, value in options._asdict().items() if value != getattr(Options(), name)}
    for name, types in (("EVERY_TYPE", EVERY_TYPE), ("ECHO_REQUEST", ECHO_REQUEST)):
        if options.icmp_types == types and "icmp_types" in chosen:
            chosen["icmp_types"] = name
    return f"Options({', '.join(f'{name}={value}' for name, value in chosen.items())})"


def listening(host, options):
    return contextlib.nullcontext() if options.events == "none" else host.listening()


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_frame_gets_what_the_model_says(host, part):
    """The parts differ in nothing but the examples that hypothesis draws."""
    compared = Counter()

    @SEARCH
    @given(options=option_sets, blocklist=lists, allowlist=lists, batch=batches(FEWEST, MOST))
    def search(options, blocklist, allowlist, batch):
        both = Comparison(host, options, blocklist, allowlist)
        with listening(host, options):
            for seconds, frame in batch:
                both.wait(seconds)
                if len(frame) >= shortest_frame(frame, options.hook):
                    compared[both.compare(frame)] += 1

    search()
    assert compared.total() >= 20_000 // PARTS
    assert min(compared[reason] for reason in schema.REASONS) >= 100 // PARTS, compared


@pytest.mark.kernel
@pytest.mark.slow
def test_every_frame_cut_short_at_every_byte_gets_what_the_model_says(host):
    @settings(SEARCH, max_examples=CUT_EXAMPLES)
    @given(options=option_sets, blocklist=lists, gene=genes)
    def search(options, blocklist, gene):
        both, frame = Comparison(host, options, blocklist), whole_frame(Gene(gene))
        with listening(host, options):
            for length in range(shortest_frame(frame, options.hook), min(len(frame), 400) + 1):
                both.compare(frame[:length])

    search()


def test_a_failure_is_told_as_a_row_that_can_be_pasted():
    for options in OPTION_SETS:
        assert eval(as_text(options)) == options


def test_frames_are_of_every_kind():
    """Check random genes instead of those that hypothesis draws, which are not visible here."""
    die, met = random.Random(1), Counter()
    for number in range(10_000):
        options = OPTION_SETS[number % len(OPTION_SETS)]
        met[decide(frame(die.randbytes(GENE_SIZE)), options).reason] += 1
    of_no_list = set(schema.REASONS) - {"allowlist", "blocklist", "ratelimit"}
    assert min(met[reason] for reason in of_no_list) > 100, met
