"""The estimated effort of a run, as people read it."""

from __future__ import annotations

import pytest

from tunegate.harness.models.evaluation.outlay import Outlay


@pytest.mark.parametrize(("cost", "shown"), [(1234.5, "1234"), (12.34, "12"), (0.0000123, "0.000012")])
def test_a_cost_has_no_powers_of_ten(cost, shown):
    assert str(Outlay("desk", 5, 0, 10, 10, cost, "USD")).endswith(f"; about {shown} USD at most")
