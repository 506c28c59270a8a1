"""The outputs of two records on one labelled unit, as labels speak of them."""

from __future__ import annotations

from typing import cast

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.cases.traffic.units import ComparedOutput, Outputs
from tunegate.harness.checks.base import canonical_output
from tunegate.harness.core.files import digest
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import final

REJECTED = ComparedOutput("", rejected=True)  # whatever its text: two rejected outputs are equally wrong


def supplied_digest(unit: Unit, record: Record) -> str:
    """Return the digest (hex) of a record's outputs on a labelled unit, as they are compared."""
    return digest({case: list(each) for case, each in compared_outputs(unit, record).items()})


def compared_outputs(unit: Unit, record: Record) -> Outputs:
    """Return a record's outputs on a labelled unit, by case id; of repeated outputs the first counts."""
    firsts = {case: result.first for case, result in record.of_unit(unit.key).items()}
    return {
        case.id: compared_output(case, record.rung, firsts[case.id].passed, firsts[case.id].output)
        for case in unit.cases
    }


def compared_output(case: Case, rung: str, passed: bool | None, output: str | None) -> ComparedOutput:
    """Return an output as it is compared; `passed` says whether its check accepts it, as far as it needs no label."""
    text = canonical_output(case.check, final(cast("RungName", rung), output or ""))
    return ComparedOutput(text) if passed and text.strip() else REJECTED
