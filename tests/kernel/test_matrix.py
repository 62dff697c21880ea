# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every combination of features loads, far below the limit of the verifier.

Here any three features meet in every combination of their values. `make matrix TOGETHER=9` tests the whole product.
"""

from __future__ import annotations

import itertools
import json
from multiprocessing.pool import ThreadPool

import harness
import matrix
import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError

CHOSEN = matrix.covering(matrix.TOGETHER)


@pytest.mark.kernel
@pytest.mark.parametrize("combination", CHOSEN, ids=", ".join)
def test_the_features_load_together(host, combination):
    (row,) = matrix.measure(host, [combination])
    assert matrix.is_right(row), row


def test_any_three_features_meet_in_every_combination():
    met = {each for combination in CHOSEN for each in itertools.combinations(enumerate(combination), 3)}
    assert met == {
        each for combination in matrix.every_combination() for each in itertools.combinations(enumerate(combination), 3)
    }
    assert sorted(matrix.covering(len(matrix.FEATURES))) == sorted(matrix.every_combination())


@pytest.mark.kernel
def test_a_warning_of_the_compiler_is_an_error_here(host, monkeypatch):
    place = "\treturn ktime_get_ns();\n"
    assert place in host.sources["clock.h"]
    careless = {**host.sources, "clock.h": host.sources["clock.h"].replace(place, f"\tint spare;\n\n{place}")}
    monkeypatch.setattr(host, "sources", careless)
    with pytest.raises(PingKillerError, match="unused variable 'spare'"):
        host.measure()


@pytest.mark.kernel
def test_the_verifier_says_the_same_as_the_kernel_knows(host, monkeypatch):
    """Compare the two sources of the figure. Kernels that do not report it leave only the log of the verifier."""
    light, heavy = CHOSEN[-1], CHOSEN[0]
    known = [host.measure(**matrix.options(each)) for each in (light, heavy)]
    said = []
    walked = harness.walked
    monkeypatch.setattr(harness, "walked", lambda function: said.append(walked(function)) or said[-1])
    info = harness.bpf.Program.info.fget
    monkeypatch.setattr(harness.bpf.Program, "info", property(lambda self: info(self)._replace(instructions=0)))
    assert [host.measure(**matrix.options(each)) for each in (light, heavy)] == known
    assert said == [each.verified for each in known]


def test_what_does_not_load_is_told_and_is_a_failure(monkeypatch, capsys):
    class Refusing:
        def __enter__(self):
            return self

        def __exit__(self, *_exception):
            pass

        def measure(self, **_options):
            raise PingKillerError("the verifier had enough")

    # Not processes: a process that is forked while other threads of pytest hold a lock may wait for it for ever.
    monkeypatch.setattr(matrix.multiprocessing, "Pool", lambda **_options: ThreadPool(1))
    monkeypatch.setattr(matrix, "Host", Refusing)
    monkeypatch.setattr(matrix.bcc_package, "version", lambda: "0.0")
    assert matrix.main(["--together=1", "--json"]) == 1
    said = capsys.readouterr()
    assert {row["error"] for row in json.loads(said.out)["programs"]} == {"the verifier had enough"}
    assert "the verifier had enough" in said.err
    assert matrix.main(["--together=1"]) == 1
    assert "does not load" in capsys.readouterr().out


@pytest.mark.parametrize(("verified", "right"), [(1, True), (499_999, True), (500_000, False), (0, False)])
def test_a_program_takes_less_than_half_of_what_the_verifier_allows(verified, right):
    assert matrix.is_right({"verified": verified}) == right
