"""What decides: the shipped statistics of one unit and of a family, and the rival rules beside them.

A unit is a row of differences, tuned minus base. All that its verdict needs is `Seen`, whatever units it is judged
with, so a table of pass/fail counts is looked at once. That the verdicts put together here are the shipped gate's own
is checked on whole records by `benchmarks.gate_worlds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.models.evaluation.verdict import Verdict
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.paired import PValue

Floats = NDArray[np.float64]

MARGIN = 0.05
SUITES = 5
RIVAL_LEVEL = 0.05  # one-sided, of the bootstrap: what a 90 % interval gives
RESAMPLES = 999  # of the bootstrap of scores; of pass/fail counts its distribution is exact
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Seen:
    """What the shipped statistics say of one unit's differences `d` in [-1, 1]; `p` gives that of worse.

    Each is found when a verdict first needs it. `sound` says that a continuous unit keeps what else it promises.
    """

    d: Floats
    margin: float
    p: Callable[[Floats], PValue]
    sound: bool = True

    @cached_property
    def held(self) -> bool:
        """A loss of the margin is excluded."""
        return stats.held(self.d, self.margin, LEVEL)

    @cached_property
    def worse(self) -> PValue:
        """The p of worse."""
        return self.p(self.d)

    @cached_property
    def better(self) -> PValue:
        """The p of better, which is that of worse for the mirrored differences; where it is significant, so is T(0)."""
        return self.p(-self.d)


def p_worse(d: Floats) -> PValue:
    """The shipped p of worse, with the gate's seed."""
    return stats.p_worse(d, seed=SEED)


def is_regressed(d: Floats, margin: float) -> bool:
    """Whether a unit alone is worse beyond chance, and a loss of the margin not excluded."""
    return not stats.held(d, margin) and p_worse(d).p <= LEVEL


def p_worse_of_scores(d: Floats) -> PValue:
    """As `p_worse` for 50 or more scores on no lattice, without sign flips where they can change no verdict.

    The p is never below that of T(0), so the 9,999 flips matter only where the latter is significant. The smallest p
    that such scores could give is near 1/10,000, so that each unit is a member of Tarone's family.
    """
    least = float(norm.sf(stats.score_statistic(-d, 0.0)))
    return PValue(least, 0.0) if least > LEVEL else p_worse(d)


def is_sound(lost: int, n: int, difference: float, margin: float, collapse: float) -> bool:
    """Whether few enough of n cases lost as much as counts, and the uncut mean that was seen is within the margin."""
    return difference >= -margin and binom_bound(lost, n, LEVEL) <= collapse


def significant(tests: Sequence[PValue], level: float) -> list[bool]:
    """Which tests of a family are significant (Tarone and Holm)."""
    return list(stats.tarone_holm([each.p for each in tests], [each.smallest for each in tests], level))


def verdicts(family: Sequence[Seen]) -> list[Verdict]:
    """The verdicts of units that are judged together: the first is a target, the others guard."""
    if all(each.held for each in family):
        lower: Sequence[bool] = [False] * len(family)  # or not: held wins
    else:
        lower = significant([each.worse for each in family], LEVEL)
    found = [_verdict(each, low) for each, low in zip(family, lower, strict=True)]
    if found[0] == "held" and _better(family[0]):
        found[0] = "improved"
    return found


def _better(target: Seen) -> bool:
    """Whether a target is better beyond chance, being the only one."""
    return significant([target.better], LEVEL)[0]


def _verdict(seen: Seen, lower: bool) -> Verdict:
    if seen.held:
        return "held" if seen.sound else "inconclusive"
    return "regressed" if lower else "inconclusive"


# The rivals. Each judges a unit alone.


def observed_drop(regressed: int, fixed: int, n: int) -> Verdict:
    """An observed drop of at most the margin releases, a larger one blocks."""
    return "held" if (regressed - fixed) / n <= MARGIN + ROUNDING else "regressed"


def any_flip(regressed: int, fixed: int, n: int) -> Verdict:  # noqa: ARG001
    """Any case that passed and now fails blocks, as in snapshot tests."""
    return "regressed" if regressed else "held"


def bootstrap(regressed: int, fixed: int, n: int) -> Verdict:
    """Percentile bootstrap of the mean change, with endlessly many resamples: their sums' chances, by FFT.

    Held: the one-sided .05 lower bound is above -margin; regressed: the upper bound is below 0.
    """
    sums = np.arange(-n, n + 1)
    chances = np.zeros(2 * n + 1)
    chances[[0, 1, -1]] = (n - regressed - fixed) / n, fixed / n, regressed / n
    chances = np.fft.ifft(np.fft.fft(chances) ** n).real[sums]
    below = float(chances[sums <= -MARGIN * n + ROUNDING].sum())
    return _bootstrapped(below, float(chances[sums >= 0].sum()))


def _bootstrapped(below: float, not_lower: float) -> Verdict:
    """The verdict, from the shares of the resamples at or below -margin and at or above 0."""
    if below < RIVAL_LEVEL:
        return "held"
    return "regressed" if not_lower < RIVAL_LEVEL else "inconclusive"


OURS, DROP, FLIP, BOOTSTRAP = "tunegate", "observed drop <= margin releases", "any flip blocks", "bootstrap lower bound"
RIVALS: dict[str, Callable[[int, int, int], Verdict]] = {DROP: observed_drop, FLIP: any_flip, BOOTSTRAP: bootstrap}


def observed_drop_of_scores(d: Floats, margin: float) -> list[Verdict]:
    """`observed_drop` of many units, one a row of `d`."""
    return ["held" if mean >= -margin - ROUNDING else "regressed" for mean in d.mean(axis=1)]


def bootstrap_of_scores(d: Floats, margin: float) -> list[Verdict]:
    """`bootstrap` of many units, one a row of `d`, with 999 resamples; a fixed seed, so the same for every unit."""
    means = d @ _resamples(d.shape[1]).T
    shares = (means <= -margin).mean(axis=1), (means >= 0).mean(axis=1)
    return [_bootstrapped(float(below), float(not_lower)) for below, not_lower in zip(*shares, strict=True)]


RIVALS_OF_SCORES: dict[str, Callable[[Floats, float], list[Verdict]]] = {
    DROP: observed_drop_of_scores,
    BOOTSTRAP: bootstrap_of_scores,
}


@cache
def _resamples(n: int) -> Floats:
    """How often each of n cases is drawn, as a share, in each resample."""
    return np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n


@dataclass(frozen=True)
class Rates:
    """The share of each verdict; exact where `draws` is 0."""

    regressed: float
    inconclusive: float
    held: float
    improved: float
    draws: int = 0

    @property
    def holds(self) -> float:
        """Held or improved."""
        return self.held + self.improved


def rates(found: Sequence[Verdict], weights: Floats | None = None) -> Rates:
    """The share of each verdict among those found, by the chance of each or, as draws, alike."""
    chances = np.full(len(found), 1 / len(found)) if weights is None else weights
    kinds = np.array(found)
    share = {kind: float(chances[kinds == kind].sum()) for kind in ("regressed", "held", "improved")}
    return Rates(**share, inconclusive=1 - sum(share.values()), draws=len(found) if weights is None else 0)


def share_regressed(found: Iterable[Sequence[Verdict]]) -> float:
    """The share of families with a regressed unit among those given."""
    return float(np.mean(["regressed" in each for each in found]))


def standard_error(rate: float, draws: int) -> float:
    """Of a simulated rate; at least that of one hit, and 0 where the rate is exact."""
    return float(np.sqrt(max(rate * (1 - rate), 1 / draws) / draws)) if draws else 0.0
