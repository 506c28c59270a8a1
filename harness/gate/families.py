"""The tests that are made together: what is significant among all units, parts, slices and references of a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tunegate.harness.gate.pairing import PairedScores, PairKey, slices
from tunegate.harness.gate.parts import gated_parts, pair_parts, part_verdicts
from tunegate.harness.gate.verdict import PartVerdict
from tunegate.harness.statistics import paired as stats

LEVEL = stats.LEVEL  # one-sided, of held, of worse and of the family of targets: at .05 a false held reaches 6.9 %
SLICE_LEVEL = 0.02  # of all slices: with them five units and two references give a false alarm under 5 % of the time
SEED = 20_260_101  # of the sign flips: a question, so that a re-run repeats the verdict
MINIMUM = "minimum_score"  # in the place of a part: the test of a unit's own score


@dataclass(frozen=True)
class Tests:
    """What is significant among all units and references that are judged together, by the pair's key.

    The gated parts of units are tested with the units, and so are minimum scores: `below` are the units that lie below
    theirs. `parts` are those of each unit, gated or not. `count` is the number of tests.
    """

    worse: Mapping[PairKey, stats.PValue]
    is_worse: Collection[PairKey]
    is_better: Collection[PairKey]
    below: Collection[str]
    fallen: Mapping[PairKey, tuple[str, ...]]
    parts: Mapping[PairKey, tuple[PartVerdict, ...]]
    count: int


def run_tests(pairs: Sequence[PairedScores]) -> Tests:
    """Test every pair for worse, better, fallen parts and slices, and for a score below its minimum."""
    # what cannot be compared blocks by itself, and what has no margin is not judged: neither takes a share of a level
    gated = [each for each in pairs if each.d]
    # Families over all references, as without a correction some unchanged unit or slice is called worse up to 23 % of
    # the time, and with one family a reference still 6.9 %.
    # What blocks is tested at the full level whatever the openings: they divide the levels at which a unit is held or
    # improves, and were the others divided too, opening more often would let more pass.
    parts = {each.key: pair_parts(each) for each in gated}
    # A part with a margin is one more member, so that the family's error stays what it is whatever is declared.
    members = [*gated, *(part for each in parts.values() for part in gated_parts(each))]
    worse = {each.key: stats.p_worse(each.d, seed=SEED) for each in members}
    minima = _minima(gated)
    lower = _family(worse | minima, {})
    is_better: set[PairKey] = set()
    for name in dict.fromkeys(each.reference for each in gated):
        # guards need no gain, so they take no share of the targets' level; and it is shown against each reference
        targets = [each for each in gated if each.policy.role == "target" and each.reference == name]
        better = {each.key: stats.p_better(each.d, seed=SEED, effective=each.effective) for each in targets}
        is_better |= _family(better, {each.key: each.level for each in targets})
    of_parts = {key: tuple(part_verdicts(each, worse, lower)) for key, each in parts.items()}
    below = {unit for _, unit, _ in lower & set(minima)}
    return Tests(worse, lower, is_better, below, _fallen_slices(gated), of_parts, len(worse) + len(minima))


def _minima(pairs: Sequence[PairedScores]) -> dict[PairKey, stats.PValue]:
    """The test of each minimum score: once a unit, whatever references it is compared with."""
    # In one family with the rest: at .05 each, four to eight units that sit on theirs block 20 to 34 % of the time
    return {
        ("", each.unit.key, MINIMUM): stats.p_below(math.fsum(each.after), len(each.after), each.policy.minimum_score)
        for each in pairs
        if each.policy.minimum_score is not None
    }


def _family(values: Mapping[PairKey, stats.PValue], levels: Mapping[PairKey, float]) -> set[PairKey]:
    """The keys whose p is significant among all, each at a level of its own, or at the common one."""
    # p over its level: a family may hold units that were opened more often than others
    shares = {key: LEVEL / levels.get(key, LEVEL) for key in values}
    flags = stats.tarone_holm(
        [min(1.0, value.p * shares[key]) for key, value in values.items()],
        [min(1.0, value.smallest * shares[key]) for key, value in values.items()],
        LEVEL,
    )
    return {key for key, flag in zip(values, flags, strict=True) if flag}


def _fallen_slices(pairs: Sequence[PairedScores]) -> dict[PairKey, tuple[str, ...]]:
    """The slices that block: significant in the family of all slices, and not themselves held."""
    found = [(each, tag, d) for each in pairs for tag, d in slices(each).items()]
    # exact p: slices are small, where mid-p is the more liberal one
    values = [stats.p_worse(d, seed=SEED, mid=False) for _, _, d in found]
    flags = stats.tarone_holm([value.p for value in values], [value.smallest for value in values], SLICE_LEVEL)
    fallen: dict[PairKey, tuple[str, ...]] = {}
    for (each, tag, d), flag in zip(found, flags, strict=True):
        # a loss within the margin is one that the unit declares tolerable, in a slice of it as well
        if flag and not stats.held(d, each.margin, each.level):
            fallen[each.key] = (*fallen.get(each.key, ()), tag)
    return fallen
