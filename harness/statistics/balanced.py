"""Evidence without the cases that training rows come near, balanced by what the reference has right.

Rows are written when the reference's outputs are known, so which cases they come near may depend on these outputs, and
the other cases by themselves mislead: if rows come near the cases that the reference passes, the others can only gain.
So these are thinned until each stratum of the reference's scores has the share that it has among all observations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tunegate.harness.statistics.paired import ROUNDING

FAILED, PASSED = 0, 3  # the outermost strata
LEAST = 10  # observations of a stratum in between


@dataclass(frozen=True)
class Balanced:
    """The observations that are evidence: their `places` among all, and the difference `d` that counts for each."""

    places: tuple[int, ...]
    d: tuple[float, ...]


def score_strata(before: Sequence[float]) -> list[int]:
    """Return the stratum of each of n scores in [0, 1]: 0, up to the median of those between, above it, and 1.

    Those between are one stratum if they are fewer than 2 * `LEAST`, and join the ones if they are fewer than `LEAST`:
    a stratum of two, of which one is near, would cost half of the evidence.
    """
    between = [score for score in before if 0 < score < 1]
    middle = median(between or [0.5]) if len(between) >= 2 * LEAST else 1.0
    inside = 1 if len(between) >= LEAST else PASSED
    return [FAILED if score <= 0 else PASSED if score >= 1 else inside if score <= middle else 2 for score in before]


def balanced(
    strata: Sequence[int], d: Sequence[float], worst: Sequence[float], near: Sequence[bool], *, of_gain: bool
) -> Balanced:
    """Return the largest balanced evidence of a gain, or otherwise of no loss.

    Of a stratum with more clean observations than are needed, those are taken that represent its differences: evenly
    spaced in their order. A stratum without a clean observation is filled with near ones at their worst. Evidence of no
    loss also fills the stratum `FAILED`, where the worst is no gain; a near failed case hides no loss.

    Args:
        strata: of each observation, by the reference's score.
        d: the differences.
        worst: the difference of each observation if the candidate gets nothing of it right.
        near: whether training rows come near an observation.
        of_gain: whether a gain is to be shown.
    """
    clean: dict[int, list[int]] = {stratum: [] for stratum in sorted(set(strata))}
    for place, stratum in enumerate(strata):
        if not near[place]:
            clean[stratum].append(place)
    numbers = evidence_sizes(
        {stratum: strata.count(stratum) for stratum in clean},
        {stratum: len(places) for stratum, places in clean.items()},
        of_gain=of_gain,
    )
    taken: list[int] = []
    filled: list[int] = []
    for stratum, places in clean.items():
        number = numbers[stratum]
        taken += _evenly(sorted(places, key=lambda place: d[place]), number)
        beside = sorted((at for at, of in enumerate(strata) if of == stratum and near[at]), key=lambda at: worst[at])
        filled += beside[: max(0, number - len(places))]
    return Balanced((*taken, *filled), (*(d[place] for place in taken), *(worst[place] for place in filled)))


def evidence_sizes(sizes: Mapping[int, int], clean: Mapping[int, int], *, of_gain: bool) -> dict[int, int]:
    """Return how many observations of each stratum are evidence, from its size and its number of clean ones."""
    shares = [clean[each] / size for each, size in sizes.items() if clean[each] and (of_gain or each != FAILED)]
    share = min(shares, default=1.0)
    # rounded against the candidate: failed observations can only gain, the others may lose
    return {
        each: int(share * size + ROUNDING) if each == FAILED else math.ceil(share * size - ROUNDING)
        for each, size in sizes.items()
    }


def _evenly(places: Sequence[int], number: int) -> list[int]:
    """Return so many of the places, or all if there are fewer: the middle of each of `number` equal stretches."""
    if number >= len(places):
        return list(places)
    return [places[int((step + 0.5) * len(places) / number)] for step in range(number)]
