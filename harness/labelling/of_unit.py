"""What people are asked about a unit with labels: the sample of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.cases.snapshot import input_digest
from tunegate.harness.cases.traffic.labels import Pair
from tunegate.harness.cases.traffic.strata import labelled_disagreement
from tunegate.harness.cases.traffic.units import Outputs
from tunegate.harness.checks.base import IsLabelled
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.reading import read_object
from tunegate.harness.gate.labelled_outputs import compared_output, compared_outputs
from tunegate.harness.labelling.questions import MOST_OUTPUTS, Question
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.evaluation.sidecar import read_sidecar


def newest_record(runs: Path, unit: str) -> Record:
    """Return the newest record in a folder of runs that compared a unit with labels.

    Raises:
        Refused: there is none.
    """
    for path in sorted(runs.glob("*.json"), reverse=True):
        if read_object(path, "a record").get("verdicts", {}).get(unit, {}).get("labelled"):
            return read_record(path)
    raise Refused(
        f"{show_path(runs)}: expected a run that compared {unit}, found none; run the gate first: tunegate gate"
    )


def unit_questions(unit: Unit, record: Record) -> list[Question]:
    """Return the questions about the sample that a record's verdict rests on; each output of an input is in only one.

    With two references an input can have three different outputs. An output that is shown twice is the candidate's.

    Raises:
        Refused: the record did not compare the unit on this snapshot, its sidecar is gone, or its judge comes first.
    """
    number, margin, level = _try_on(unit, record)
    outputs: dict[str, dict[str, None]] = {}
    for part, old, new in _sides(unit, record):
        found = labelled_disagreement(part, old, new, number, margin, level)
        if found.judge and found.judge.missing:
            raise Refused(
                f"{unit.key}: expected verdicts of its judge on all outputs that differ, since they may decide what is "
                f"labelled, found none on {found.judge.missing} inputs; run tunegate label {unit.key} --judge MODEL"
            )
        for each in found.sample:
            # an output that its check rejects is wrong anyway
            accepted = [side.output for side in (each.before, each.after) if not side.rejected]
            outputs.setdefault(each.case, {}).update(dict.fromkeys(accepted))
    return list(_questions(unit, outputs))


def differing_outputs(unit: Unit, record: Record) -> dict[Pair, Case]:
    """Return all outputs that a record compared and that differ, with their cases: what a judge is asked about.

    Raises:
        Refused: the record did not compare the unit on this snapshot, or its sidecar is gone.
    """
    found: dict[Pair, Case] = {}
    for part, old, new in _sides(unit, record):
        for case in part.cases:
            sides = old[case.id], new[case.id]
            if sides[0].output != sides[1].output:
                sha = input_digest(case.written, case.context)
                found |= {(sha, side.output): case for side in sides if not side.rejected}
    return found


def _try_on(unit: Unit, record: Record) -> tuple[int, float, float]:
    """Return the number of a record's try on a unit's snapshot, its margin and its level."""
    verdict = record.verdicts.get(unit.key)
    found = verdict.labelled if verdict else None
    if (
        not verdict
        or not found
        or found.snapshot != unit.traffic
        or record.questions.get(unit.key) != unit.questions
        or verdict.margin is None
        or verdict.level is None
    ):
        raise _not_compared(unit, record)
    return found.number, verdict.margin, verdict.level


def _not_compared(unit: Unit, record: Record) -> Refused:
    name = show_path(record.path) if record.path else "the record"
    return Refused(f"{name}: expected a run that compared {unit.key}, with its sidecar; run it again")


def _sides(unit: Unit, record: Record) -> Iterator[tuple[Unit, Outputs, Outputs]]:
    """Yield for every reference the unit's cases that both have, its outputs, and those of the record."""
    _try_on(unit, record)
    if not (contexts := read_sidecar(record)):
        raise _not_compared(unit, record)
    new = compared_outputs(unit, record)
    for name in dict.fromkeys(name for case in unit.cases for name in contexts[case.key].before):
        rung = _rung_of(record, name)
        before = [(case, old) for case in unit.cases if (old := contexts[case.key].before.get(name))]
        part = unit.with_cases([case.id for case, _ in before])
        yield part, {case.id: compared_output(case, rung, old.passed, old.output) for case, old in before}, new


def _rung_of(record: Record, reference: str) -> str:
    """Return the prompting strategy of a reference. Parity names no references: both its sides have the same one."""
    known = record.references.get(reference)
    return str(known.subject.get("rung", "as-is")) if known else record.rung


def case_note(case: Case) -> str:
    """Return what is known of the right outputs of a case in particular; often nothing."""
    return case.check.label_note(case.expect) if isinstance(case.check, IsLabelled) else ""


def _questions(unit: Unit, outputs: Mapping[str, Iterable[str]]) -> Iterator[Question]:
    """Yield questions about different outputs by case id, with at most two of them each."""
    for case in unit.cases:
        asked = tuple(outputs.get(case.id, ()))
        note = "\n\n".join(filter(None, [unit.labels.rubric if unit.labels else "", case_note(case)]))
        for at in range(0, len(asked), MOST_OUTPUTS):
            yield Question(case.written, asked[at : at + MOST_OUTPUTS], case.context, note)
