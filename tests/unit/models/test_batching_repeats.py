"""The batches of repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.cases.model import Decoding
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.batching import dealt


@given(st.lists(st.integers(1, 6), max_size=30), st.integers(0, 3))
def test_repeats_are_asked_in_batches_of_their_own_and_of_another_shape(sizes, repeat):
    asked = [Request("k", (("user", "?"),), Decoding(), repeat) for _ in range(sum(sizes))]
    indices = iter(range(sum(sizes)))
    batches = [[next(indices) for _ in range(size)] for size in sizes]

    parts = list(dealt(batches, asked))

    assert sorted(index for part in parts for index in part) == list(range(sum(sizes)))
    assert all(parts)
    assert (parts == batches) == (repeat == 0 or max(sizes, default=1) == 1)
