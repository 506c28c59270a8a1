"""The outputs of two records on one snapshot of traffic, as labels speak of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import canonical_output
from tunegate.harness.core.files import digest
from tunegate.harness.evaluation.record import Record
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import final
from tunegate.harness.traffic.labels import read_labels
from tunegate.harness.traffic.units import ComparedOutput, Disagreement, disagreement

REJECTED = ComparedOutput("", rejected=True)  # whatever its text: two rejected outputs are equally wrong


def labelled_outputs(unit: Unit, candidate: Record, reference: Record, number: int) -> Disagreement:
    """Return on which inputs of a unit the outputs of two records differ, and what labels say of the sample.

    Both records hold a scored output of every case. Of repeated outputs the first counts.

    Raises:
        AuthoringError: the labels file has mistakes.
    """
    if unit.labels is None:
        raise ValueError(f"{unit.key} has no labels")
    old, new = (_given(unit, record) for record in (reference, candidate))
    return disagreement(unit, old, new, read_labels(unit.labels.file), number)


def outputs_digest(unit: Unit, record: Record) -> str:
    """Return the digest (hex) of a record's outputs on a unit of labelled traffic, as they are compared."""
    return digest({case: list(each) for case, each in _given(unit, record).items()})


def _given(unit: Unit, record: Record) -> Mapping[str, ComparedOutput]:
    results, rung, found = record.of_unit(unit.key), cast("RungName", record.rung), dict[str, ComparedOutput]()
    for case in unit.cases:
        first = results[case.id].first
        text = canonical_output(case.check, final(rung, first.output or ""))
        found[case.id] = ComparedOutput(text) if first.passed else REJECTED
    return found
