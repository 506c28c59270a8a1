"""The benchmark of the gate: exact where it says so, tied to the shipped gate, and loud where a promise breaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmarks import gate
from benchmarks.gate_findings import findings
from benchmarks.gate_parts import falling_parts
from benchmarks.gate_passfail import CHANGES, Cell, in_five, passfail, row, scan, seen, tables
from benchmarks.gate_report import report
from benchmarks.gate_results import Claim, broken
from benchmarks.gate_rule import (
    BOOTSTRAP,
    DROP,
    FLIP,
    MARGIN,
    OURS,
    RIVALS,
    Seen,
    bootstrap_of_scores,
    p_worse,
    p_worse_of_scores,
    standard_error,
    verdicts,
)
from benchmarks.gate_scores import SHAPES, Sizes, place_of, pool, spread_of
from benchmarks.gate_slices import SMALL, Fall, collapse, fallen, innocents
from benchmarks.gate_worlds import Mismatch, World, check, passfail_unit
from tunegate.harness.core.progress import quiet
from tunegate.harness.statistics.paired import WINSOR_MARGINS

TINY = replace(
    gate.QUICK, sizes=(50,), draws=200, worlds=1, collapses=2, between=(59, 60),
    scores=Sizes(held=200, families=40, changed=10, worlds=1),
    terms=replace(
        gate.QUICK.terms, sizes=(100,), laws=(4, 3), units=(2,), rates=(0.9,), draws=40, worlds=0,
        topics=((200, 50),),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return gate.measure(TINY, quiet(), workers=1)


def world(*changes):
    """Units of 100 cases: (regressed, fixed) each, the first a target."""
    random = np.random.default_rng(0)
    return World(tuple(passfail_unit(row(100, *each), random) for each in changes))


# The enumeration


@pytest.mark.parametrize("flip_rate", [0.02, 0.1])
@pytest.mark.parametrize("change", CHANGES)
def test_the_tables_hold_all_but_a_billionth_of_the_mass_and_the_cells_change(flip_rate, change):
    cell = Cell(200, flip_rate, change)
    found = tables(cell)
    mean = found.chance @ [(fixed - regressed) / 200 for regressed, fixed in found.counts]

    assert found.chance.sum() == pytest.approx(1, abs=1e-9)
    assert found.left_out < 1e-9
    assert mean == pytest.approx(change * MARGIN, abs=1e-7)


# From a simulation of its own (regressed, held, inconclusive in %, five suites): n, flip rate, by the true change. At n
# 100 and 200 the shares of held are those of the enumerated critical values; by its own, 1.7507, 60 and 91 % of equal
# models are held, not 63 and 92.
PUBLISHED = {
    (50, 0.04): [(0, 26, 74), (4, 6, 90), (18, 0, 82), (67, 0, 33)],
    (100, 0.02): [(0, 78, 21), (18, 28, 54), (66, 4, 30), (98, 0, 2)],
    (100, 0.04): [(1, 63, 37), (10, 21, 69), (49, 4, 48), (96, 0, 4)],
    (200, 0.04): [(1, 92, 7), (25, 42, 34), (94, 3, 4), (100, 0, 0)],
}


@pytest.mark.parametrize(("n", "flip_rate"), PUBLISHED)
def test_the_rates_are_those_of_another_simulation(n, flip_rate):
    for cell, expected in zip(passfail(n, flip_rate, 6_000, 0), PUBLISHED[n, flip_rate], strict=True):
        regressed, held = cell.five.regressed, cell.alone["tunegate"].holds
        found = [100 * regressed, 100 * held, 100 * (1 - regressed - held)]

        assert found == pytest.approx(expected, abs=2), cell.cell


def test_verdicts_move_in_teeth_so_every_n_is_looked_at():
    found = scan((58, 60), 0.04)

    assert found.held_at == 59  # the first n that zero flips can hold
    assert found.held == pytest.approx(0.95**59)


# The tie to the shipped gate


def test_the_shipped_gate_says_what_the_tables_say():
    changes = [(0, 9), (9, 0), (0, 0), (1, 1), (3, 2)]
    expected = verdicts([seen(100, *each) for each in changes])

    assert expected == ["improved", "regressed", "held", "held", "inconclusive"]
    check(world(*changes), expected, "a world")


def test_a_planted_wrong_verdict_is_noticed():
    with pytest.raises(
        Mismatch, match=r"world 7: expected the verdicts \['held', 'held'\], found \['held', 'regressed'\]"
    ):
        check(world((0, 0), (12, 0)), ["held", "held"], "world 7")


def test_a_planted_slice_is_noticed():
    with pytest.raises(Mismatch, match=r"expected the slices \{'s=yes'\}"):
        check(world((0, 0)), ["held"], "a world", frozenset({"s=yes"}))


def test_another_family_is_another_verdict(monkeypatch):
    monkeypatch.setattr("benchmarks.gate_rule.LEVEL", 0.2)  # a rule that is not the shipped one
    seen.cache_clear()
    with pytest.raises(Mismatch, match=r"found .* by tunegate.harness.gate.rule.compare"):
        in_five(Cell(100, 0.04, -1), draws=20, worlds=20)
    seen.cache_clear()  # of what was held by the other rule


def test_the_short_cut_for_scores_changes_no_verdict():
    random = np.random.default_rng(3)
    for change in (0, -0.5, -1, -2):
        units = pool(SHAPES[1], Cell(50, 0.04, change), 5, random)
        fast, whole = ([Seen(d, units.margin, p) for d in units.d] for p in (p_worse_of_scores, p_worse))

        assert verdicts(fast) == verdicts(whole)


# The rivals


@pytest.mark.parametrize(
    ("regressed", "fixed", "expected"),
    [(0, 0, ["held", "held", "held"]), (5, 0, ["held", "regressed", "regressed"]), (6, 0, ["regressed"] * 3)],
)
def test_what_the_rivals_say_of_100_cases(regressed, fixed, expected):
    assert [RIVALS[rule](regressed, fixed, 100) for rule in (DROP, FLIP, BOOTSTRAP)] == expected


@pytest.mark.parametrize(("regressed", "fixed"), [(4, 0), (1, 4), (7, 2), (2, 1), (3, 1), (9, 0)])
def test_the_exact_bootstrap_is_scipys(regressed, fixed):
    d = row(100, regressed, fixed)
    bounds = scipy_stats.bootstrap(
        (d,), np.mean, confidence_level=0.9, method="percentile", n_resamples=9_999, rng=np.random.default_rng(1)
    ).confidence_interval
    expected = "held" if bounds.low > -MARGIN else "regressed" if bounds.high < 0 else "inconclusive"

    assert RIVALS[BOOTSTRAP](regressed, fixed, 100) == expected
    assert bootstrap_of_scores(np.array([d]), MARGIN) == [expected]


# Scores and slices


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("flip_rate", [0.02, 0.1])
def test_scores_change_by_what_they_should_and_scatter_as_pass_fail_cases_do(shape, flip_rate):
    random = np.random.default_rng(5)
    noise = shape.draw(random, (400_000,), spread_of(flip_rate))
    winsorised = np.clip(place_of(shape, flip_rate, -1.0) + noise, -WINSOR_MARGINS, WINSOR_MARGINS)

    assert winsorised.mean() == pytest.approx(-1, abs=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.04)
    assert noise.std() == pytest.approx(spread_of(flip_rate), rel=0.1)


def test_a_family_of_slices_blocks_for_a_collapse_and_not_for_a_flip():
    quiet_ones = [(10, 1, 0)] * 39

    assert fallen([(10, 10, 0), *quiet_ones]) == [True, *[False] * 39]
    assert not any(fallen([(10, 3, 0), *quiet_ones]))


def test_innocent_slices_do_not_block_and_a_collapsed_one_does():
    assert innocents(100, 0.04, SMALL, draws=300, worlds=3).slice_blocks < 0.01
    assert collapse(Fall(10, 10), 0.04, draws=5).found == 1


def test_innocent_parts_do_not_block_and_a_fallen_one_does():
    assert falling_parts(100, 0.04, 0.0, draws=300, worlds=3).regressed <= 0.05
    assert falling_parts(400, 0.04, -3.0, draws=5, worlds=1).found == 1


# The run


def test_a_run_gives_the_same_results_in_any_process(results):
    for job in {job.part: job for job in gate.jobs(TINY)}.values():
        again = job.run(*job.arguments)
        for each in again if isinstance(again, list) else [again]:
            assert each in getattr(results, job.part)


def test_the_report_has_every_part_and_says_how_many_worlds_were_checked(results):
    text = report(results, ["    python benchmarks/gate.py"])

    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Pass/fail", "## Beside the rivals", "## Slices", "## Two references", "## Continuous scores", "## Parts",
        "## Continuous scores that lose a lot at times", "## Graded scores", "## Topics", "## Target scores",
        "## Minimum scores", "## Sealed evaluations", "## Power beside the best test", "## Cost units",
        "## The rivals in full",
    ]  # fmt: skip
    assert results.worlds == 4 + 2 + 3 + 3 * 4
    assert "evaluated 21 whole worlds" in text
    assert "| 50 | 4 | 0/26/74 |" in text or "| 50 | 4 | 0/26/73 |" in text


def test_a_broken_promise_is_told(results):
    first, _, at_the_margin, _ = results.passfail
    alarmed = replace(first, five=replace(first.five, false_regressed=0.3))
    missed = replace(at_the_margin, alone={OURS: replace(at_the_margin.alone[OURS], held=0.051)})
    wrong = replace(results, passfail=[alarmed, missed])

    assert [str(each) for each in broken(wrong) if each not in broken(results)] == [
        "30.0 % (n = 50, flip rate 4 %, standard error 3.24)",
        "5.1 % (n = 50, flip rate 4 %, change -1 margins, exact)",
    ]
    assert "Promises broken: any false" in findings(wrong)[-3]


def test_simulated_rates_have_an_allowance_and_exact_ones_have_none():
    assert Claim("a promise", 0.051, 0, "here").broken
    assert not Claim("a promise", 0.051, 4_000, "here").broken
    assert Claim("a promise", 0.06, 4_000, "here").broken
    assert standard_error(0.04, 4_000) == pytest.approx(0.0031, abs=1e-4)
