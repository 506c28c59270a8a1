"""The families of tests: what is significant among all units, parts, slices and references of a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tunegate.harness.cases.traffic.units import Disagreement
from tunegate.harness.gate.pairing import PairedScores, PairKey, slices
from tunegate.harness.gate.parts import FieldValue, pair_parts, part_verdicts, value_changes
from tunegate.harness.models.evaluation.verdict import PartVerdict
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.disagreements import Disagreements, LabelTable
from tunegate.harness.statistics.label_strata import StratifiedDisagreements, Stratum

_Name = TypeVar("_Name")
LEVEL = stats.LEVEL  # one-sided, of held, worse and the family of targets: at .05 the rate of false held is 6.9 %
SLICE_LEVEL = 0.02  # of all slices: five units and two references then give a false alarm under 5 % of the time
SEED = 20_260_101  # of the sign flips, fixed so that a re-run repeats the verdict
MINIMUM = "minimum_score"  # in place of a part: the test of a unit's score against its minimum


@dataclass(frozen=True)
class Tests:
    """The significant results among all units and references tested together, by the pair's key.

    Gated parts and minimum scores are tested in the same family as the units. `below` are the units below their
    minimum score, `parts` all parts of each unit, gated or not, and `count` is the number of tests.
    """

    worse: Mapping[PairKey, stats.PValue]
    is_worse: Collection[PairKey]
    is_better: Collection[PairKey]
    below: Collection[str]
    fallen: Mapping[PairKey, tuple[str, ...]]
    lost: Mapping[PairKey, tuple[FieldValue, ...]]
    parts: Mapping[PairKey, tuple[PartVerdict, ...]]
    count: int


def run_tests(pairs: Sequence[PairedScores]) -> Tests:
    """Test every pair for worse, better, fallen parts and slices, and for a score below its minimum."""
    # Pairs that cannot be compared block anyway, and those without a margin are not gated: neither uses up the level.
    gated = [each for each in pairs if each.d]
    # The families span all references: without a correction some unchanged unit or slice is called worse up to 23 % of
    # the time, with one family per reference still 6.9 %.
    # Blocking tests use the full level however often sealed cases were evaluated. Alpha spending divides only the
    # levels of held and improved; if it divided these too, more evaluations would let more pass.
    parts = {each.key: pair_parts(each) for each in gated}
    # A part with a margin is another member, so the family's error does not depend on what is declared.
    of_rules = [part for each in parts.values() for part in each if part.policy.margin is not None]
    members = [*gated, *of_rules]
    worse = {each.key: stats.p_worse(each.d, seed=SEED) for each in members} | _labelled(pairs)
    minima = _minima(gated)
    lower = _family(worse | minima, {})
    is_better: set[PairKey] = set()
    # guards need no gain, so they use up no level; a gain is shown against each reference
    aimed = [each for each in (*gated, *_fully_labelled(pairs)) if each.policy.role == "target"]
    for name in dict.fromkeys(each.reference for each in aimed):
        targets = [each for each in aimed if each.reference == name]
        levels = {each.key: each.level for each in targets}
        better = {each.key: _gain(each) for each in targets}
        # without the gains of cases that training rows come near, too
        clean = {each.key: clean_gain(each) or better[each.key] for each in targets}
        is_better |= _family(better, levels) & _family(clean, levels)
    of_parts = {key: tuple(part_verdicts(each, worse, lower)) for key, each in parts.items()}
    below = {unit for _, unit, _ in lower & set(minima)}
    fallen = _fallen([(each.key, tag, each, d) for each in gated for tag, d in slices(each).items()])
    return Tests(worse, lower, is_better, below, fallen, _lost_values(gated), of_parts, len(worse) + len(minima))


def _gain(each: PairedScores) -> stats.PValue:
    """Return the p of a gain: by labels of a sample, the p of a loss of the reference."""
    if each.disagreement:
        return labelled_table(each, each.disagreement).mirrored.p_worse
    return stats.p_better(each.d, seed=SEED, effective=each.effective)


def clean_gain(each: PairedScores) -> stats.PValue | None:
    """Return the p of a gain on the cases that can show one; None if training rows come near none."""
    if each.disagreement and each.disagreement.near:
        return labelled_table(each, each.disagreement.without_near_gains).mirrored.p_worse
    found = each.evidence_of_gain
    return stats.p_better(found.d, seed=SEED, effective=each.effective_of(found)) if found else None


def labelled_table(each: PairedScores, found: Disagreement) -> LabelTable:
    """Return what is known of a labelled pair, as numbers."""
    if found.strata and not found.missing:
        strata = tuple(_stratum(found, at) for at in sorted(set(found.strata.values())))
        return StratifiedDisagreements(found.inputs, found.differing, strata, each.margin, each.level)
    labelled = 0 if found.missing else len(found.sample)
    won, lost = (len(found.better), len(found.worse)) if labelled else (0, 0)
    return Disagreements(found.inputs, found.differing, labelled, won, lost, each.margin, each.level)


def _stratum(found: Disagreement, at: int) -> Stratum:
    labels = [item.d for item in found.sample if found.strata[item.case] == at]
    size = sum(each == at for each in found.strata.values())
    return Stratum(size, len(labels), labels.count(1), labels.count(-1))


def _labelled(pairs: Sequence[PairedScores]) -> dict[PairKey, stats.PValue]:
    """Test the labelled samples: elsewhere both outputs are the same."""
    samples = {each.key: (each, each.disagreement) for each in _fully_labelled(pairs) if each.disagreement}
    return {key: labelled_table(each, found).p_worse for key, (each, found) in samples.items()}


def _fully_labelled(pairs: Sequence[PairedScores]) -> list[PairedScores]:
    """Return the pairs that labels decide, and whose samples lack none."""
    return [each for each in pairs if each.disagreement and not each.disagreement.missing]


def _minima(pairs: Sequence[PairedScores]) -> dict[PairKey, stats.PValue]:
    """Test each minimum score, once per unit regardless of the references."""
    # In one family with the rest: at .05 each, four to eight units at their minimum block 20 to 34 % of the time.
    return {
        ("", each.unit.key, MINIMUM): stats.p_below(math.fsum(scored), len(scored), each.policy.minimum_score)
        for each in pairs
        # of all its cases, also of those that a reference lacks
        if each.policy.minimum_score is not None and (scored := each.scored or each.after)
    }


def _family(values: Mapping[PairKey, stats.PValue], levels: Mapping[PairKey, float]) -> set[PairKey]:
    """Return the keys with a significant p, each at its own level or at the common one."""
    # p relative to its level: sealed units of a family may have been evaluated a different number of times
    shares = {key: LEVEL / levels.get(key, LEVEL) for key in values}
    flags = stats.tarone_holm(
        [min(1.0, value.p * shares[key]) for key, value in values.items()],
        [min(1.0, value.smallest * shares[key]) for key, value in values.items()],
        LEVEL,
    )
    return {key for key, flag in zip(values, flags, strict=True) if flag}


def _lost_values(pairs: Sequence[PairedScores]) -> dict[PairKey, tuple[FieldValue, ...]]:
    """Return the field values that the reference has right significantly more often."""
    # Only those that are never right block: a weak reference that always gives one value has it right wherever it is
    # expected, so fewer are no loss. Two independent runs of one model lose a value less than 1 % of the time
    # (simulated in tests/unit/gate/test_never_right.py), so values are a family of their own.
    return _fallen([(each.key, value, each, d) for each in pairs for value, d in value_changes(each).items()])


def _fallen(
    found: Sequence[tuple[PairKey, _Name, PairedScores, tuple[float, ...]]],
) -> dict[PairKey, tuple[_Name, ...]]:
    """Return those that are significant in one family, and not held themselves."""
    # exact p: slices are small, where mid-p is more liberal
    values = [stats.p_worse(d, seed=SEED, mid=False) for *_, d in found]
    flags = stats.tarone_holm([value.p for value in values], [value.smallest for value in values], SLICE_LEVEL)
    fallen: dict[PairKey, tuple[_Name, ...]] = {}
    for (key, name, each, d), flag in zip(found, flags, strict=True):
        # the unit's margin applies to its slices too
        if flag and not stats.held(d, each.margin, each.level):
            fallen[key] = (*fallen.get(key, ()), name)
    return fallen
