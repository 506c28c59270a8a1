"""Chances that the documents tell and no other part finds: what plan names, near copies, measured flip rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.gate_passfail import row
from benchmarks.gate_power import is_better, is_held, likely_tables, shown
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.sample_size import PassFail, expected_flips, flip_rate_bound

GAIN = 0.1
CASES = 200
COPIES, TOGETHER = 4, 0.5  # cases of a family, and the share of the families that pass and fail together
COPIES_MARGIN, COPIES_FLIP_RATE = 0.05, 0.1


@dataclass(frozen=True)
class Planned:
    """How often what `tunegate plan` names comes true, by the gate's own tests; exact.

    As many cases as hold the margin, as many as show ten points, and the least drop that 200 cases find.
    """

    margin: float
    flip_rate: float
    held: float
    improved: float
    regressed: float


def planned(margin: float, flip_rate: float) -> Planned:
    """Ask plan, and judge."""
    plan = PassFail(flip_rate)
    to_hold, to_improve = plan.cases_to_hold(margin), plan.cases_to_improve(margin, GAIN)
    drop = plan.smallest_drop(CASES, margin) or 1.0
    same, gained, fell = (_flips(change, flip_rate) for change in (0.0, GAIN, -drop))
    return Planned(
        margin, flip_rate,
        held=shown(to_hold, same, lambda *table: is_held(to_hold, margin, *table)),
        improved=shown(
            to_improve, gained, lambda *table: is_held(to_improve, margin, *table) and is_better(to_improve, *table)
        ),
        regressed=shown(CASES, fell, lambda *table: _is_worse(*table) and not is_held(CASES, margin, *table)),
    )  # fmt: skip


def _flips(change: float, flip_rate: float) -> tuple[float, float]:
    flips = expected_flips(change, flip_rate)
    return flips.regressed, flips.fixed


def _is_worse(regressed: int, fixed: int) -> bool:
    return stats.p_worse(row(CASES, regressed, fixed), seed=SEED).p <= LEVEL


@dataclass(frozen=True)
class Copied:
    """A loss of the margin falsely held where families of four half pass and fail together: one by one, as groups."""

    singly: float
    grouped: float
    draws: int


def copied(draws: int) -> Copied:
    """Draw units of 50 families."""
    random = np.random.default_rng([SEED, COPIES])
    chances = [(COPIES_FLIP_RATE + COPIES_MARGIN) / 2, (COPIES_FLIP_RATE - COPIES_MARGIN) / 2, 1 - COPIES_FLIP_RATE]
    size = CASES // COPIES
    found = []
    for _ in range(draws):
        own = random.choice([-1.0, 1.0, 0.0], size=(size, COPIES), p=chances)
        d = np.where(random.random((size, 1)) < TOGETHER, own[:, :1], own)
        found.append([stats.held(each, COPIES_MARGIN, LEVEL) for each in (d.ravel(), d.mean(axis=1))])
    singly, grouped = np.mean(found, axis=0).tolist()
    return Copied(singly, grouped, draws)


@dataclass(frozen=True)
class Bounded:
    """How often the upper bound of a measured flip rate lies below the true one, nothing having changed; exact."""

    n: int
    flip_rate: float
    missed: float


def bounded(n: int, flip_rate: float) -> Bounded:
    """Bound every likely table."""
    tables = likely_tables(n, (flip_rate / 2, flip_rate / 2))
    missed = sum(chance for *table, chance in tables if flip_rate_bound(row(n, *table)) < flip_rate)
    return Bounded(n, flip_rate, missed)
