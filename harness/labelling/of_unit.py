"""What people are asked about a unit of labelled traffic: the sample of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.reading import read_object
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.evaluation.sidecar import read_sidecar
from tunegate.harness.gate.labelled_outputs import compared_output, compared_outputs
from tunegate.harness.labelling.questions import Question
from tunegate.harness.traffic.labels import Labels
from tunegate.harness.traffic.units import Differing, disagreement


def newest_record(runs: Path, unit: str) -> Record:
    """Return the newest record in a folder of runs that compared a unit of labelled traffic.

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
    """Return a question for each input of the sample that a record's verdict rests on, beside every reference.

    Raises:
        Refused: the record did not compare the unit on this snapshot, or its sidecar is gone.
    """
    found, contexts = record.verdicts.get(unit.key, {}).get("labelled"), read_sidecar(record)
    if not found or found["snapshot"] != unit.traffic or not contexts:
        name = show_path(record.path) if record.path else "the record"
        raise Refused(f"{name}: expected a run that compared {unit.key} on its traffic, with its sidecar; run it again")
    names = dict.fromkeys(name for case in unit.cases for name in contexts[case.key].before)
    questions: dict[str, Question] = {}
    for name in names:
        old = {
            case.id: compared_output(case, record.rung, before.passed, before.output)
            for case in unit.cases
            for before in [contexts[case.key].before[name]]
        }
        drawn = disagreement(unit, old, compared_outputs(unit, record), Labels(), found["number"]).sample
        questions |= {each.digest: each for each in _questions(unit, drawn)}
    return list(questions.values())


def _questions(unit: Unit, drawn: Sequence[Differing]) -> list[Question]:
    cases = {case.id: case for case in unit.cases}
    return [
        Question(cases[each.case].written, outputs, cases[each.case].context)
        for each in drawn
        # an output that its check rejects is wrong anyway
        if (outputs := tuple(side.output for side in (each.before, each.after) if not side.rejected))
    ]
