# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loaded program against the model, on tens of thousands of generated frames."""

from __future__ import annotations

import pytest
from harness import type_names
from hypothesis import HealthCheck, Phase, given, settings
from model import Lists, decide
from packets import describe
from strategies import batches, lists, option_sets

pytestmark = pytest.mark.kernel

EXAMPLES, FEWEST, MOST = 400, 60, 140  # examples, and frames in each
SEARCH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    # Explaining would take longer than everything else: which frame it was is known without.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SEARCH
@given(options=option_sets, blocklist=lists, allowlist=lists, batch=batches(FEWEST, MOST))
def test_every_frame_gets_what_the_model_says(host, options, blocklist, allowlist, batch):
    filter_, model_lists = host.filter(options), Lists(blocklist, allowlist)
    host.set_lists(blocklist, allowlist)
    for frame in batch:
        outcome = decide(frame, options, model_lists)
        seen = filter_.send(frame)
        assert seen == (outcome.action, outcome.changes), as_row(frame, options, blocklist, allowlist, outcome)


def as_row(frame, options, blocklist, allowlist, outcome):
    """The failure as a row that can be pasted under `regressions` in the table (if the model is right)."""
    by = outcome.credited and outcome.credited[1].ip
    expect = f"{outcome.verdict} {outcome.reason} {outcome.family}"
    expression, dump = describe(frame).split("\n", 1)
    types = f"types {', '.join(type_names(options.icmp_types))}"
    return (
        f'\nyield Row("...", {expression}, "{expect}",\n    {options._replace(icmp_types=types)},\n    {blocklist!r},\n'
        f"    {allowlist!r},\n    by={by!r}, action={outcome.action!r})\n{dump}"
    )
