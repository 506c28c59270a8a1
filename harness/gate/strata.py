"""Where a loss is that a unit's verdict has shown: in its form or a field, and in which stratum of its cases.

Strata are there without being declared: the length of the input, the number of expected values, each tag, and each value
of a closed set. Naming one describes a proven loss and proves none: of equal models, no more is named than is regressed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tunegate.harness.cases.model import Case
from tunegate.harness.gate.pairing import SLICE_SHARE, PairedScores, PairKey, tagged
from tunegate.harness.gate.parts import NONE_EXPECTED, PairedPart
from tunegate.harness.models.evaluation.never_right import closed_values
from tunegate.harness.models.evaluation.verdict import LossPlace, tag_stratum, value_stratum
from tunegate.harness.statistics.concentration import Counts, p_concentrated
from tunegate.harness.statistics.paired import PValue, tarone_holm

Keys = frozenset[Hashable]  # of observations
STRATUM_LEVEL = 0.02  # of all strata of a run: as of slices
MOST = 0.5  # the least share of a unit's falls that are those of its form or of a field, to name that
FEWEST_FALLS = 3  # two cases have hardly anything in common


@dataclass(frozen=True)
class _Loss:
    """What fell, and the observations that could fall, that fell, and that rose."""

    what: Literal["form", "field", "cases"]
    label: str
    could: Keys
    fell: Keys
    rose: Keys

    def within(self, keys: Keys) -> Counts:
        return Counts(len(self.could & keys), len(self.fell & keys), len(self.rose & keys))


def loss_places(
    worse: Sequence[PairedScores], parts: Mapping[PairKey, Sequence[PairedPart]]
) -> dict[PairKey, LossPlace]:
    """Return what of each unit fell that is significantly `worse`, and in which stratum, if in one beyond chance."""
    losses = {each.key: _main_loss(each, parts[each.key]) for each in worse if each.unit.kind == "pass/fail"}
    by_key = {each.key: each for each in worse}
    named: list[tuple[PairKey, str, Counts, PValue]] = []
    for key, loss in losses.items():
        everything = loss.within(loss.could | loss.fell | loss.rose)
        if everything.fell < FEWEST_FALLS:
            continue
        for name, keys in _strata(by_key[key]):
            counts = loss.within(keys)
            if len(keys) <= SLICE_SHARE * len(by_key[key].d) and counts.fell:
                named.append((key, name, counts, p_concentrated(counts, everything)))
    flags = tarone_holm([p.p for *_, p in named], [p.smallest for *_, p in named], STRATUM_LEVEL)
    shown = [each for each, flag in zip(named, flags, strict=True) if flag]
    return {
        key: place for key, loss in losses.items()
        if (place := _place(loss, [each for each in shown if each[0] == key]))
    }  # fmt: skip


def _place(loss: _Loss, strata: Sequence[tuple[PairKey, str, Counts, PValue]]) -> LossPlace | None:
    could, fell = len(loss.could), len(loss.fell)
    if strata:  # among equals the first: values come before tags, and these before lengths
        _, name, counts, _ = min(strata, key=lambda each: each[-1].p)
        return LossPlace(
            loss.what, loss.label, counts.fell, counts.could, name, fell - counts.fell, could - counts.could
        )
    return LossPlace(loss.what, loss.label, fell, could) if loss.what != "cases" else None


def _main_loss(pair: PairedScores, parts: Sequence[PairedPart]) -> _Loss:
    """Return the form if most of what fell lost it, or else the one field that most of it lost, or else the unit."""
    whole, kind = _loss(pair, "cases", ""), pair.unit.check_kind
    found = [
        _loss(part, "form" if part.part == kind.form else "field", part.facts.label) for part in parts
        if part.part == kind.form or not (part.part in kind.parts or part.part.endswith(NONE_EXPECTED))
    ]  # fmt: skip
    shared = {each: len(each.fell & whole.fell) for each in found}
    enough = [each for each in found if shared[each] >= max(1, MOST * len(whole.fell))]
    first = sorted(enough, key=lambda each: (each.what != "form", -shared[each]))[:2]
    is_one = len(first) == 1 or (first and (first[0].what == "form" or shared[first[0]] > shared[first[1]]))
    return first[0] if is_one else whole


def _loss(pair: PairedScores, what: Literal["form", "field", "cases"], label: str) -> _Loss:
    def those(flags: Iterator[bool]) -> Keys:
        return frozenset(key for key, flag in zip(pair.observed, flags, strict=True) if flag)

    return _Loss(
        what, label, those(score > 0 for score in pair.before), those(d < 0 for d in pair.d),
        those(d > 0 for d in pair.d),
    )  # fmt: skip


def _strata(pair: PairedScores) -> Iterator[tuple[str, Keys]]:
    """Yield each stratum's name and its observations; the values and tags of sealed cases are not named."""
    cases = pair.unit.cases
    if not pair.unit.sealed:
        by_value: dict[tuple[str, str], list[Case]] = {}
        for case in cases:
            for name, value, is_only in closed_values(case.check, case.expect):
                if is_only:
                    by_value.setdefault((name, value), []).append(case)
        for (name, value), those in by_value.items():
            yield value_stratum(name, value), _keys(those)
        for tag, those in tagged(pair.unit).items():
            yield tag_stratum(tag), _keys(those)
    yield from _by_slots(cases, pair.unit.check_kind.parts)
    yield from _by_length(cases)


def _keys(cases: Sequence[Case]) -> Keys:
    return frozenset(case.observation for case in cases)


def _by_slots(cases: Sequence[Case], rates: Mapping[str, str]) -> Iterator[tuple[str, Keys]]:
    """Yield the cases that expect so many values or more, and so many or fewer."""
    asked = [(case, len(_parts(case) - rates.keys())) for case in cases]
    numbers = sorted({number for _, number in asked})
    for number in numbers[1:]:
        plural = "" if number == 1 else "s"
        yield f"with {number} or more expected value{plural}", _keys([case for case, n in asked if n >= number])
    for number in numbers[:-1]:
        plural = "" if number == 1 else "s"
        yield f"with at most {number} expected value{plural}", _keys([case for case, n in asked if n <= number])


def _parts(case: Case) -> frozenset[str]:
    parts = getattr(case.check, "parts", None)
    return frozenset(parts(case.expect)) if parts else frozenset()


def _by_length(cases: Sequence[Case]) -> Iterator[tuple[str, Keys]]:
    """Yield the longest tenth of the inputs, and the longest, the shortest and the middle third, by characters.

    Equal lengths belong together, so that a stratum may have fewer cases than its name says, and never more.
    """
    lengths: dict[Hashable, int] = {}
    for case in cases:
        lengths[case.observation] = max(len(case.text), lengths.get(case.observation, 0))
    inorder, n = sorted(lengths.values()), len(lengths)
    tenth, third = n // 10, n // 3
    if not tenth:
        return

    def longer(count: int) -> Keys:
        return frozenset(key for key, length in lengths.items() if length > inorder[n - count - 1])

    shortest = frozenset(key for key, length in lengths.items() if length < inorder[third])
    middle = frozenset(lengths) - longer(third) - shortest
    yield "in the longest 10 % of inputs", longer(tenth)
    yield "in the longest third of inputs", longer(third)
    yield "in the shortest third of inputs", shortest
    if len(middle) <= n - 2 * third:
        yield "in the middle third of inputs by length", middle
