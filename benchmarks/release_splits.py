"""How often a release comes of an equal model and of one that gains ten points: cases all open, or split as planned."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.gate_rule import MARGIN
from tunegate.harness.gate.planning.split import CaseSplit, best_split
from tunegate.harness.statistics.paired import LEVEL
from tunegate.harness.statistics.power import POWER, Levels
from tunegate.harness.statistics.sample_size import PassFail

GAIN = 0.1


@dataclass(frozen=True)
class Planned:
    """A task of so many `units` of n cases each; all chances are exact, units being independent.

    `equal` is how often none of as many guards blocks an equal model, `gained` how often a target shows ten points
    while no other unit blocks; both unsplit (the first complete run of the task) and, `_split`, at the first opening.
    """

    n: int
    flip_rate: float
    units: int
    guard: CaseSplit
    target: CaseSplit
    equal: float
    gained: float
    equal_split: float
    gained_split: float


def planned(n: int, flip_rate: float, units: int) -> Planned:
    """CaseSplit n cases of each unit as `tunegate plan` says."""
    power = PassFail(flip_rate, levels=Levels(worse=LEVEL / units))
    asked = POWER ** (1 / units)
    guard, target = (best_split(n, power, MARGIN, gain, asked) for gain in (None, GAIN))
    held = power.prob_held(n, MARGIN)
    return Planned(
        n, flip_rate, units, guard, target,
        equal=held**units,
        gained=power.prob_improved(n, MARGIN, GAIN) * held ** (units - 1),
        equal_split=guard.equal**units,
        gained_split=target.gained * guard.equal ** (units - 1),
    )  # fmt: skip
