"""The records that a change brings, in service or as the base of an adapter: whether they are what the gate finds.

Later changes are compared with them, so a record that is lower than the truth would hide a loss. The stored scores
count for nothing: the outputs are scored again, and every case is compared with the gate's own run of it.

- An engine that repeats itself (float32 on a CPU): every case has the result that the gate finds.
- Any other engine varies. Where a case differs, the gate runs the unit once more. A true record is one more run: of
  three runs, each is then as likely as the others to be the one below (or above) both others on a case, whatever
  the chance of the case to flip. So the number of cases on which it is the record is binomial with a chance of a
  third, and no noise has to be known or believed. Beyond that, the means are within the margin of the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed, percent, plain
from tunegate.harness.core.progress import Watch
from tunegate.harness.history.baselines.diff import question_differences
from tunegate.harness.history.baselines.service import stored_record
from tunegate.harness.history.baselines.store import Baseline, as_reference, read_baseline
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.evaluation.engines import SAME_CONFIGURATION
from tunegate.harness.models.evaluation.noise import TOLERANCE, is_same_outcome
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.rescoring import score_again
from tunegate.harness.review.change.rules import RuleChanges, unit_of_file
from tunegate.harness.statistics.distributions import binom_beyond

BELOW, ABOVE = 0.04, 0.01  # error levels: a record that is too low hides a loss, one that is too high hides none
Results = Mapping[str, Result]


@dataclass(frozen=True)
class Brought:
    """A unit's record as the change brings it, and what the gate found: `found` are its outputs scored again."""

    record: Baseline
    theirs: Record
    found: Results

    @property
    def unit(self) -> str:
        """The key of the unit."""
        return self.record.unit

    @property
    def ours(self) -> Results:
        """What the gate finds, by case; of an earlier record, on its part of the cases."""
        found, part = self.theirs.of_unit(self.unit), self.record.shared
        return found if part is None else {case: result for case, result in found.items() if case in part}

    @property
    def others(self) -> list[str]:
        """The cases with another result than the gate finds."""
        cases = sorted({*self.found, *self.ours})
        return [case for case in cases if not _is_same(self.found.get(case), self.ours.get(case))]

    @property
    def where(self) -> str:
        """The record, in words."""
        return _where(self.record)


def _where(record: Baseline) -> str:
    return f"{record.unit}: the record of this change ({show_path(record.path)})"


def brought_records(root: Path, changes: RuleChanges) -> tuple[list[Baseline], list[str]]:
    """Return the records that a change brings in the folder of baselines `root`, and a line for each that is lost."""
    ledger, lost = read_ledger(root), []
    found: dict[Path, Baseline] = {}
    for unit, sha in changes.records.items():
        # a release of the same change may be in service by now
        event = next(each for each in ledger.in_order if each.kind == "serves" and each.files.get(unit) == sha)
        if record := stored_record(root, unit, event):
            found[record.path] = record
        else:
            lost.append(
                f"{unit}: the record that this change puts in service is not among its baselines; record it again"
            )
    for name in changes.beside:
        try:
            found.setdefault(root / name, read_baseline(root / name, unit_of_file(name)))
        except Refused as error:
            lost.append(str(error))
    return list(found.values()), lost


def untrue_records(
    records: Sequence[Baseline],
    evaluated: Sequence[Record],
    tasks: Sequence[Task],
    run_again: Callable[[Sequence[Baseline]], Record],
    watch: Watch,
) -> Iterator[str]:
    """Yield the records of a change that are not what the gate finds; a line each.

    `evaluated` is what the gate found by the change's rules, of its `tasks`. `run_again` evaluates what records of
    different units hold once more.
    """
    margins = {unit.key: task.policy.of(unit.name, unit.kind).margin for task in tasks for unit in task.units}
    units = {unit.key: unit for task in tasks for unit in task.units}
    pairs: list[tuple[Baseline, Record]] = []
    for record in records:
        if record.unit in units and record.shared is None and not _asks_as(units[record.unit], record):
            yield f"{_where(record)} names other questions than its cases ask; record it again: tunegate record"
        elif record.is_supplied:
            continue  # old and new outputs have one name; those of another configuration are rule changes
        elif theirs := next((each for each in evaluated if _is_of(record, each)), None):
            pairs.append((record, theirs))
        else:
            yield (
                f"{_where(record)} is of another configuration than this change runs; record it again: tunegate "
                "record, or leave it out of this change"
            )
    try:
        brought = list(_scored_again(pairs, units, watch))
    except Refused as error:
        yield "; ".join(str(error).splitlines())
        return
    yield from _untrue(brought, margins, units, run_again)


def _asks_as(unit: Unit, record: Baseline) -> bool:
    """Whether a record names the questions of a unit as they are: later, it is compared on those that are unchanged."""
    differs = question_differences(record.questions, unit.questions, unit, record.results)
    return not differs and record.case_questions == unit.case_questions


def _is_of(record: Baseline, evaluated: Record) -> bool:
    subject, unit = evaluated.fingerprint["subject"], record.unit
    same = all(record.subject.get(part) == subject.get(part) for part in SAME_CONFIGURATION)
    return same and unit in evaluated.units and evaluated.configurations[unit] == record.configuration


def _scored_again(
    pairs: Sequence[tuple[Baseline, Record]], units: Mapping[str, Unit], watch: Watch
) -> Iterator[Brought]:  # fmt: skip
    """Yield the records with the present scores of their outputs; those of one run together, as costs need outputs.

    Raises:
        Refused: a record does not match its own outputs.
    """
    for theirs in {id(each): each for _, each in pairs}.values():
        for records in batches([record for record, each in pairs if each is theirs]):
            known = [units[record.unit] for record in records]
            again = score_again(known, as_reference(records), "the record of this change", watch).record
            yield from (Brought(record, theirs, again.of_unit(record.unit)) for record in records)


def _untrue(
    brought: Sequence[Brought],
    margins: Mapping[str, float | None],
    units: Mapping[str, Unit],
    run_again: Callable[[Sequence[Baseline]], Record],
) -> Iterator[str]:
    doubtful = []
    for each in brought:
        if not each.others:
            continue
        elif each.theirs.run_by.repeats_itself or not is_near(each.found, each.ours, margins[each.unit]):
            yield _other(each)
        elif disarmed := _disarmed(each, units[each.unit]):
            # a critical case that its record fails does not count in later comparisons
            yield f"{each.where} fails the critical cases {listed(disarmed)}, which pass here; record it again"
        else:
            doubtful.append(each)
    for batch in batches([each.record for each in doubtful]):
        again = run_again(batch)
        those = (each for each in doubtful if each.record in batch)
        yield from (line for each in those for line in _unlikely(each, again.of_unit(each.unit)))


def batches(records: Sequence[Baseline]) -> list[list[Baseline]]:
    """Return records in lists that hold one of each unit at most, as one run does."""
    found: list[list[Baseline]] = []
    for record in records:
        free = next((batch for batch in found if all(each.unit != record.unit for each in batch)), None)
        found.append([record]) if free is None else free.append(record)
    return found


def is_near(found: Results, ours: Results, margin: float | None) -> bool:
    """Whether the means are within the margin, which no noise may exceed; without one, losses block nothing."""
    if any(each.score is None for each in found.values()):
        return False
    one, other = _mean(found), _mean(ours)
    return one is not None and other is not None and (margin is None or abs(one - other) <= margin + 1e-9)


def _disarmed(brought: Brought, unit: Unit) -> list[str]:
    critical = [case.id for case in unit.cases if case.critical]
    return [case for case in critical if brought.ours[case].passed and not brought.found[case].passed]


def _other(brought: Brought) -> str:
    others = brought.others
    found, ours = (_shown(_mean(each)) for each in (brought.found, brought.ours))
    engine, here = brought.record.engine, brought.theirs.fingerprint["engine"]
    elsewhere = sorted(part for part in {*engine, *here} if engine.get(part) != here.get(part))
    where = f", on another engine ({', '.join(elsewhere)})" if elsewhere else ""
    return (
        f"{brought.where} has {found}, and the gate finds {ours}: another result in {len(others)} of "
        f"{len(brought.ours)} cases ({listed(others)}){where}; record it again{' there' if where else ''}: "
        "tunegate record --fresh"
    )


def _unlikely(brought: Brought, again: Results) -> Iterator[str]:
    """Yield how a record on an engine that varies differs from two runs of the gate, if by more than their noise."""
    runs = _in_three(brought, again)
    for word, sign, level in (("below", -1, BELOW), ("above", 1, ABOVE)):
        odd = odd_runs(sign, runs)
        if is_more_than_noise(odd[0], sum(odd), level):
            yield (
                f"{brought.where} is {word} both runs of the gate in {odd[0]} of {len(brought.ours)} cases, and one of "
                f"these runs {word} the others in {sum(odd[1:])}: more than the noise of the engine; record it again: "
                "tunegate record --fresh"
            )


def _in_three(brought: Brought, again: Results) -> list[tuple[Result, ...]]:
    """The results of each case in the record and in both runs of the gate, where all have a score."""
    runs = [(brought.found[case], ours, again[case]) for case, ours in brought.ours.items()]
    return [each for each in runs if all(one.score is not None for one in each)]


def odd_runs(sign: int, cases: Sequence[Sequence[Result]]) -> list[int]:
    """Count, for each of three runs, the cases on which only it is below (`sign` -1) or above both others.

    A run is below where its score is, or a part of it. Cases on which two runs are below in one part each are left out.
    """
    alone = [_odd_one(sign, runs) for runs in cases]
    return [alone.count(run) for run in range(3)]


def is_more_than_noise(by_record: int, by_any: int, level: float) -> bool:
    """Whether a true record would be the odd one on so many of `by_any` cases with a chance of at most `level`."""
    return float(binom_beyond(by_record - 1, by_any, 1 / 3)) <= level


def _odd_one(sign: int, runs: Sequence[Result]) -> int | None:
    parts = [{"": each.score or 0.0, **each.parts} for each in runs]
    names = {name for each in parts for name in each}
    values = [[sign * each.get(name, 0.0) for each in parts] for name in names]
    odd = [number for number in range(len(runs)) if any(_is_beyond(number, each) for each in values)]
    return odd[0] if len(odd) == 1 else None


def _is_beyond(number: int, values: Sequence[float]) -> bool:
    others = [value for other, value in enumerate(values) if other != number]
    return values[number] > max(others) + TOLERANCE * max(1.0, abs(values[number]))


def _is_same(one: Result | None, other: Result | None) -> bool:
    return one is not None and other is not None and is_same_outcome(one, other) and one.parts == other.parts


def _mean(results: Results) -> float | None:
    scores = [each.score for each in results.values() if each.score is not None]
    return sum(scores) / len(scores) if scores else None


def _shown(value: float | None) -> str:
    if value is None:
        return "no score"
    return percent(value) if 0 <= value <= 1 else plain(value)
