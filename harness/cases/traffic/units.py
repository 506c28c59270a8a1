"""Two configurations on one snapshot: where their outputs differ, and what labels say of a sample of that."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.cases.snapshot import input_digest
from tunegate.harness.cases.traffic.labels import Labels
from tunegate.harness.core.typed import Count
from tunegate.harness.statistics.label_strata import allocate_labels


class ComparedOutput(NamedTuple):
    """An output as it is compared, and whether its check rejects it, so that it needs no label."""

    output: str
    rejected: bool = False


Outputs = Mapping[str, ComparedOutput]  # by case id


@dataclass(frozen=True, slots=True)
class Differing:
    """An input of the sample: both outputs, and whether each is right, None without a label."""

    case: str
    input: str
    before: ComparedOutput
    after: ComparedOutput
    was_right: bool | None
    is_right: bool | None

    @property
    def is_labelled(self) -> bool:
        """Whether it is known which output is right."""
        return self.was_right is not None and self.is_right is not None

    @property
    def d(self) -> int:
        """1 if the candidate's output is better, -1 if it is worse, 0 if both are right or both wrong."""
        return int(bool(self.is_right)) - int(bool(self.was_right))


@dataclass(frozen=True, slots=True)
class JudgeUse:
    """Whether a judge's verdicts are strata: only if they save labels, by pairs that people labelled `earlier`.

    Attributes:
        saved: how many labels they save beside a plain sample with the same power; 0 or less if they are not used.
        earlier: outputs of one input that people and the judge compared, outside of the sample.
        missing: the inputs with differing outputs without a verdict.
    """

    saved: int
    earlier: Count
    missing: Count


@dataclass(frozen=True)
class Disagreement:
    """The cases whose outputs were compared, the ids of those that `differ`, and the labelled `sample` of these.

    `strata` are a judge's verdicts (-1, 0, 1) by the id of each case that differs, if the sample was drawn from them.
    `near` are the ids of cases that training rows come near.
    """

    cases: tuple[Case, ...]
    differ: frozenset[str]
    sample: tuple[Differing, ...]
    strata: Mapping[str, int] = field(default_factory=dict)
    judge: JudgeUse | None = None
    near: frozenset[str] = frozenset()

    @property
    def without_near_gains(self) -> Disagreement:
        """The same with ties where the candidate is better on an input that training rows come near."""
        ties = tuple(
            replace(each, was_right=True) if each.case in self.near and each.is_labelled and each.d > 0 else each
            for each in self.sample
        )
        return replace(self, sample=ties)

    def stratum(self, case: str) -> int:
        """Return the stratum of a case that differs; there is one without a judge."""
        return self.strata.get(case, 0)

    @property
    def changes(self) -> Mapping[str, float]:
        """The changes of the labelled cases, each times the inputs that it stands for."""
        sizes = Counter(self.stratum(case) for case in self.differ)
        labelled = Counter(self.stratum(each.case) for each in self.sample)
        strata = {each.case: self.stratum(each.case) for each in self.sample}
        return {each.case: each.d * sizes[at] / labelled[at] for each in self.sample for at in [strata[each.case]]}

    @property
    def inputs(self) -> int:
        """The number of inputs that were compared."""
        return len(self.cases)

    @property
    def differing(self) -> int:
        """The number of inputs whose outputs differ."""
        return len(self.differ)

    @property
    def better(self) -> tuple[str, ...]:
        """The cases of the sample where the candidate's output is better."""
        return tuple(each.case for each in self.sample if each.is_labelled and each.d > 0)

    @property
    def worse(self) -> tuple[str, ...]:
        """The cases of the sample where the candidate's output is worse."""
        return tuple(each.case for each in self.sample if each.is_labelled and each.d < 0)

    @property
    def missing(self) -> tuple[Differing, ...]:
        """The inputs of the sample that lack a label."""
        return tuple(each for each in self.sample if not each.is_labelled)


def disagreement(
    unit: Unit, old: Outputs, new: Outputs, labels: Labels, number: int, strata: Mapping[str, int] | None = None
) -> Disagreement:
    """Compare the outputs of a unit of traffic with labels, and look up the labels of the sample.

    Args:
        unit: the unit.
        old: the outputs of the reference, by case id.
        new: those of the candidate.
        labels: what is known of outputs.
        number: the number of the try, which decides the sample.
        strata: by the id of each case that differs, the stratum that its part of the sample is drawn from.
    """
    differing = {
        input_digest(case.written, case.context): case.id
        for case in unit.cases
        if old[case.id].output != new[case.id].output
    }
    size = unit.labels.sample if unit.labels else 0
    if strata:
        by_input = {name: strata[case] for name, case in differing.items()}
        drawn = draw_from_strata(unit.traffic, number, by_input, size)
    else:
        drawn = draw_sample(unit.traffic, number, differing, size)
    looked_up = tuple(_looked_up(drawn, differing, old, new, labels))
    return Disagreement(unit.cases, frozenset(differing.values()), looked_up, strata or {})


def _looked_up(
    drawn: Sequence[str], cases: Mapping[str, str], old: Outputs, new: Outputs, labels: Labels
) -> Iterator[Differing]:
    for name in drawn:
        before, after = old[cases[name]], new[cases[name]]
        known = [False if each.rejected else labels.label_of(name, each.output) for each in (before, after)]
        yield Differing(cases[name], name, before, after, *known)


def draw_sample(snapshot: str, number: int, inputs: Iterable[str], size: int) -> list[str]:
    """Return `size` of the inputs, or all if there are fewer: those of the smallest SHA-256.

    It is the digest of the snapshot's, the number of the try, and the input's: no outputs take part, and the snapshot
    is fixed before the candidate is known. Another try draws another sample.

    Args:
        snapshot: the digest (hex) of the snapshot.
        number: the number of the try, from 1.
        inputs: the digests of the inputs with differing outputs.
        size: how many are labelled.
    """
    return sorted(inputs, key=lambda each: hashlib.sha256(f"{snapshot} {number} {each}".encode()).digest())[:size]


def draw_from_strata(snapshot: str, number: int, strata: Mapping[str, int], size: int) -> list[str]:
    """Return `size` of the inputs, in proportion from the strata: of each those that `draw_sample` draws.

    `strata` maps the digest of each input with differing outputs to its stratum; see `allocate_labels`.
    """
    inside = {name: [each for each, of in strata.items() if of == name] for name in sorted(set(strata.values()))}
    parts = allocate_labels([len(each) for each in inside.values()], size)
    drawn = [draw_sample(snapshot, number, each, part) for each, part in zip(inside.values(), parts, strict=True)]
    return [each for of_one in drawn for each in of_one]
