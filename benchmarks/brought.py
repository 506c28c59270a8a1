"""Records that changes bring, on an engine that varies: how often true ones are refused, how low forged ones may be.

    python benchmarks/brought.py            # 15 seconds
    python benchmarks/brought.py --quick    # a tenth of the draws

Writes brought.md; exit code 1 if the noise of true records is refused more than 5 % of the time, or if a forged record
gets away with more cases than SECURITY.md says. Each case of each draw has three runs: the record's and two of the
gate. What the shipped code says of a case, of counts and of means is looked up, as a draw has no other facts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import number, percent, table
from benchmarks.gate_results import exceeds
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate.families import SEED
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.review.change.brought import ABOVE, BELOW, is_more_than_noise, is_near, odd_runs

LIBRARIES = ("tunegate", "numpy", "scipy")
SIZES, FLIP_RATES = (50, 100, 200, 400), (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
FEW, ALL = "few", "all"  # cases that flip
MARGIN = 0.05
TRIES = 10  # runs of the gate on one record
REFUSED = 0.05  # of true records, by the test of noise
SAID = 100  # cases of a unit, of which SECURITY.md speaks
MOST = {0.0: 2.0, 0.1: 5.5}  # of these that a forged record may hide, by flip rate: "2", "about 5" in SECURITY.md
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Refused:
    """Of true records: the share that the test of noise refuses, and with the margin of the means."""

    noise: float
    either: float
    draws: int


@dataclass(frozen=True)
class Hidden:
    """Cases that a record may lie below the truth.

    `mean` is the most on average, where what is refused hides nothing; `once` and `tries` are the most that pass more
    often than not, in one run of the gate and in any of `TRIES`.
    """

    mean: float
    once: float
    tries: float


@dataclass(frozen=True)
class Cell:
    """What came of records of n cases, of which `kind` flip."""

    n: int
    flip_rate: float
    kind: str
    true: Refused
    hidden: Hidden

    def __str__(self) -> str:
        return f"n = {self.n}, {self.kind} flip, flip rate {100 * self.flip_rate:g} %"


def chances(kind: str, n: int, flip_rate: float) -> Floats:
    """How often each case passes, in rising order, so that two runs differ on `flip_rate` of the cases on average.

    Either all pass equally often, or `few` pass half of the time, one makes up the rest, and the others always pass.
    """
    if kind == ALL:
        return np.full(n, _passing(flip_rate))
    coins = int(2 * flip_rate * n + 1e-9)
    rest = _passing(max(flip_rate * n - coins / 2, 0.0))
    return np.array([0.5] * coins + [rest] + [1.0] * (n - coins - 1))


def _passing(flips: float) -> float:
    """The chance to pass of a case whose runs differ so often: the larger p of 2 p (1 - p) = flips."""
    return float((1 + np.sqrt(1 - 2 * flips)) / 2)


@cache
def odd_by_case(sign: int) -> Counts:
    """Which run is the odd one, by the shipped code: 8 rows for what three runs pass (4 a + 2 b + c), 3 columns."""
    runs = product((False, True), repeat=3)
    return np.array([odd_runs(sign, [tuple(Result(passed, float(passed)) for passed in each)]) for each in runs])


@cache
def too_many(n: int, level: float) -> Counts:
    """In how many of 0 to n cases a record may not be the odd one, by the shipped code."""
    return np.array([next((k for k in range(m + 1) if is_more_than_noise(k, m, level)), n + 1) for m in range(n + 1)])


@cache
def is_far(n: int) -> Flags:
    """Whether means that lie 0 to n cases apart are more than the margin apart, by the shipped code."""
    failed = {str(case): Result(False, 0.0) for case in range(n)}
    passed = {case: Result(True, 1.0) for case in failed}
    names = list(failed)
    apart = ({**failed, **{case: passed[case] for case in names[:count]}} for count in range(n + 1))
    return np.array([not is_near(failed, each, MARGIN) for each in apart])


def is_noisy(n: int, odd: dict[int, Counts]) -> Flags:
    """Whether the test of noise refuses records: `odd` counts by sign, three runs in the last axis."""
    sides = ((odd[-1], BELOW), (odd[1], ABOVE))
    below, above = (each[..., 0] >= too_many(n, level)[each.sum(axis=-1)] for each, level in sides)
    return np.asarray(below | above)


def true_records(chances: Floats, draws: int, random: np.random.Generator) -> Refused:
    """Draw three runs for each record, the first of which is its own."""
    n = len(chances)
    record, first, second = (random.random((draws, n)) < chances for _ in range(3))
    odd = {sign: odd_by_case(sign)[4 * record + 2 * first + second].sum(axis=1) for sign in (-1, 1)}
    noisy = is_noisy(n, odd)
    far = is_far(n)[np.abs(record.sum(axis=1) - first.sum(axis=1))]
    return Refused(float(noisy.mean()), float((noisy | far).mean()), draws)


def forged_records(chances: Floats, draws: int, random: np.random.Generator) -> Hidden:
    """Forge 0 to n cases as failed: those that fail most often first, as the gate expects these least.

    Its author knows how often each case passes. The record says that the others pass.
    """
    n = len(chances)
    first, second = (random.random((draws, n)) < chances for _ in range(2))
    odd = {sign: _odd_by_forged(odd_by_case(sign), 2 * first + second) for sign in (-1, 1)}
    passing = n - np.arange(n + 1)
    far = is_far(n)[np.abs(passing - first.sum(axis=1)[:, None])]
    passes = 1 - (is_noisy(n, odd) | far).mean(axis=0)
    hidden = np.maximum(chances.sum() - passing, 0.0)
    once, ever = ((hidden[share > 0.5]).max(initial=0.0) for share in (passes, 1 - (1 - passes) ** TRIES))
    return Hidden(float((hidden * passes).max()), float(once), float(ever))


def _odd_by_forged(by_case: Counts, gate: Counts) -> Counts:
    """Count the odd runs (draws x n + 1 x 3) of records whose first 0 to n cases fail."""
    failed, passed = by_case[gate], by_case[4 + gate]
    more = np.cumsum(failed - passed, axis=1)
    return np.concatenate([np.zeros_like(more[:, :1]), more], axis=1) + passed.sum(axis=1)[:, None]


def measure(draws: int, watch: Watch) -> list[Cell]:
    """Every cell."""
    worlds = [(n, rate, kind) for n, rate, kind in product(SIZES, FLIP_RATES, (FEW, ALL)) if rate or kind == FEW]
    found = []
    with watch("Records", len(worlds)) as done:
        for n, rate, kind in worlds:
            random = np.random.default_rng([SEED, n, round(1000 * rate), len(kind)])
            passing = chances(kind, n, rate)
            true = true_records(passing, draws, random)
            found.append(Cell(n, rate, kind, true, forged_records(passing, draws // 5, random)))
            done(1)
    return found


def broken(found: list[Cell]) -> Iterator[str]:
    """What is refused, or hidden, more than promised."""
    for each in found:
        if exceeds(each.true.noise, each.true.draws, REFUSED):
            yield f"{each}: a true record is refused {percent(each.true.noise)} of the time"
        if each.n == SAID and each.hidden.once > MOST.get(each.flip_rate, each.n):
            yield f"{each}: a forged record hides {each.hidden.once:.1f} cases"


def report(found: list[Cell], made: str) -> str:
    """The report in Markdown."""
    still, flipping = (
        max(each.hidden.once for each in found if each.n == SAID and each.flip_rate == rate) for rate in MOST
    )
    refused = max(each.true.noise for each in found)
    return "\n\n".join([
        "# Records that a change brings",
        f"- The test of noise refuses at most {percent(refused)} of true records. More often than not, a forged one "
        f"gets away with {still:.1f} of {SAID} cases where nothing flips, and {flipping:.1f} where a tenth "
        "of the results do.",
        made,
        "## True and forged records",
        "Pass/fail cases on an engine that varies. *Few* flip: some cases pass half of the time, the others always. "
        "*All* flip: each case passes equally often. The flip rate is the share of cases on which two runs differ.",
        f"*True* records, {found[0].true.draws:,} each: how many the test of noise refuses (promised: at most "
        f"{100 * REFUSED:g} %), and how many that test or a margin of {100 * MARGIN:g} points between the means (not "
        "promised), in %.",
        f"*Forged* records, {found[0].true.draws // 5:,} each: cases by which the record lies below the true mean. Its "
        "author knows how often each case passes, and lets those fail that fail most often. *Mean*: the most on "
        "average, if a refused record hides nothing. *Once*: the most that passes in over half of the runs of the "
        f"gate. *In {TRIES}*: the most that passes at least one of {TRIES} runs, in over half of such series.",
        table(
            ["cases", "flip rate, %", "flip", "true: noise", "true: noise or margin", "forged: mean", "forged: once",
             f"forged: in {TRIES}"],
            map(_row, found),
        ),
    ]) + "\n"  # fmt: skip


def _row(each: Cell) -> list[str]:
    shares = [number(share) for share in (each.true.noise, each.true.either)]
    hidden = [f"{count:.1f}" for count in (each.hidden.mean, each.hidden.once, each.hidden.tries)]
    return [str(each.n), f"{100 * each.flip_rate:g}", each.kind, *shares, *hidden]


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[10_000], quick=[1_000])
