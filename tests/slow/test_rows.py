"""The committed rows, held against all fixtures, as a training does: none repeats one."""

from __future__ import annotations

import pytest

from tests.integration import test_demo_data as demo
from tests.integration import test_example as example
from tunegate.trainers.decontamination.check import decontaminate

pytestmark = pytest.mark.real


@pytest.mark.parametrize("data", [demo, example], ids=["demo", "example"])
def test_no_row_repeats_a_fixture(data) -> None:
    assert decontaminate(data.ROWS, data.TASKS).evidence()["pairs"] == {"refuse": 0, "review": 0}
