"""The committed rows: none repeats a fixture, by all that a training compares, and each passes its unit's check."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration import test_demo_data as demo
from tests.integration import test_example as example
from tunegate.harness.cases.loader import find_unit
from tunegate.harness.cases.model import Unit
from tunegate.harness.rows.examples import Example
from tunegate.trainers.decontamination.check import decontaminate

pytestmark = pytest.mark.real


@pytest.mark.parametrize("data", [demo, example], ids=["demo", "example"])
def test_no_row_repeats_a_fixture(data) -> None:
    assert decontaminate(data.ROWS, data.TASKS).evidence()["pairs"] == {"refuse": 0, "review": 0}


def expectation(row: Example, unit: Unit) -> Any:
    return {
        "triage": None,
        "orders": None,
        "replies": {"says": row.output},
        "wording": {"terms": [], "wording": []},
        "questions": {"answer": [row.output]},
    }[unit.name]


def test_every_row_passes_its_own_units_check() -> None:
    for row in demo.ROWS:
        unit = find_unit(demo.TASKS, f"support/{row.unit}")
        outcome = unit.cases[0].check(row.output, expectation(row, unit), row.input)
        assert outcome.findings == (), f"{row.file}:{row.line}"
