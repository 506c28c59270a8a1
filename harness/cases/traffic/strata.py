"""A judge's verdicts as strata of a sample; whether they are used is decided by labels that are not in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from tunegate.harness.cases.model import Case, LabelSource, Unit
from tunegate.harness.cases.snapshot import input_digest
from tunegate.harness.cases.traffic.labels import Labels, Pair, read_labels
from tunegate.harness.cases.traffic.units import Disagreement, JudgeUse, Outputs, disagreement
from tunegate.harness.statistics.label_strata import labels_saved

FEWEST_EARLIER = 20  # labelled pairs that show what verdicts are worth


def labelled_disagreement(
    unit: Unit, old: Outputs, new: Outputs, number: int, margin: float, level: float
) -> Disagreement:
    """Compare the outputs of a unit of labelled traffic, with the sample that its rules draw and its labels.

    Raises:
        AuthoringError: the labels file, or that of the judge, has mistakes.
    """
    source = unit.labels
    if source is None:
        raise ValueError(f"{unit.key} has no labels")
    labels = read_labels(source.file)
    plain = disagreement(unit, old, new, labels, number)
    if source.judge is None or plain.differing <= source.sample:
        return plain  # with all of them labelled, there is nothing to save
    said = read_labels(source.judge_file).given(source.judge.by)
    differ = [case for case in unit.cases if case.id in plain.differ]
    strata = {case.id: at for case in differ if (at := _verdict(case, old, new, said)) is not None}
    if missing := plain.differing - len(strata):
        return replace(plain, judge=JudgeUse(0, 0, missing))
    by_strata = disagreement(unit, old, new, labels, number, strata)
    # what decides must not choose how it is drawn
    drawn = {each.input for found in (plain, by_strata) for each in found.sample}
    use = _use(list(earlier_pairs(labels, said, drawn)), plain, source, margin, level)
    return replace(by_strata if use.saved > 0 else plain, judge=use)


def _verdict(case: Case, old: Outputs, new: Outputs, said: Mapping[Pair, bool]) -> int | None:
    """Return 1 if the candidate's output is right and the other is not, -1 the other way round, otherwise 0."""
    sha = input_digest(case.written, case.context)
    before, after = (False if side.rejected else said.get((sha, side.output)) for side in (old[case.id], new[case.id]))
    return None if before is None or after is None else int(after) - int(before)


def earlier_pairs(labels: Labels, said: Mapping[Pair, bool], without: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield for two outputs of an input how people's labels differ, and how the judge's do; not of inputs `without`."""
    known: dict[str, list[tuple[int, int]]] = {}
    for (sha, output), verdict in said.items():
        right = labels.label_of(sha, output)
        if right is not None and sha not in without:
            known.setdefault(sha, []).append((int(right), int(verdict)))
    for outputs in known.values():
        for first, second in combinations(outputs, 2):
            yield first[0] - second[0], first[1] - second[1]


def _use(
    earlier: list[tuple[int, int]], found: Disagreement, source: LabelSource, margin: float, level: float
) -> JudgeUse:
    if len(earlier) < FEWEST_EARLIER:
        return JudgeUse(0, len(earlier), 0)
    labels, verdicts = (sum(pair[side] ** 2 for pair in earlier) for side in (0, 1))
    # about 0, since which of two outputs comes first means nothing
    explained = sum(d * at for d, at in earlier) ** 2 / (labels * verdicts) if labels and verdicts else 0.0
    tied = 1 - labels / len(earlier)
    saved = labels_saved(found.inputs, found.differing, source.sample, margin, tied, explained, level)
    return JudgeUse(int(saved), len(earlier), 0)
