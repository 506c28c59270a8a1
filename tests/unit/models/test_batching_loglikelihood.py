"""In which batches likelihoods are asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.models.local.batching import LOGITS, plan_texts

encoded = st.tuples(st.lists(st.just(1), min_size=1, max_size=30), st.lists(st.just(2), min_size=1, max_size=300))


@given(st.lists(st.lists(encoded, min_size=1, max_size=2), max_size=40))
def test_the_laws_of_the_plan(requests: list[list[tuple[list[int], list[int]]]]) -> None:
    vocabulary = 49_152
    batches = list(plan_texts(requests, lambda: LOGITS // vocabulary))
    assert sorted(index for batch in batches for index in batch) == list(range(len(requests)))
    for batch in batches:
        texts = [text for index in batch for text in requests[index]]
        width = max(len(before) + len(text) for before, text in texts)
        assert len(batch) == 1 or len(texts) * width * vocabulary <= LOGITS
