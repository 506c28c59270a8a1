"""In which batches a model is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.fixtures.model import Decoding
from tunegate.harness.models.api import Request
from tunegate.harness.models.batching import TOKEN_BUDGET, dealt, plan_prompts

# the plan

DECODINGS = st.builds(
    Decoding, max_new_tokens=st.sampled_from([1, 64, 512, 9000]), temperature=st.sampled_from([0.0, 0.0, 0.7])
)


def planned(decodings, lengths, openings=None):
    """Batches for prompts that begin with `openings`, by default all alike."""
    openings = openings or ["Sort."] * len(lengths)
    asked = [
        Request("k", (("system", opening), ("user", "?")), decoding)
        for decoding, opening in zip(decodings, openings, strict=True)
    ]
    return plan_prompts(asked, lengths)


@given(st.lists(st.tuples(DECODINGS, st.integers(1, 6000), st.sampled_from(["Sort.", "Reply."])), max_size=60))
def test_the_laws_of_the_plan(asked):
    decodings, lengths, openings = ([each[part] for each in asked] for part in range(3))

    batches = planned(decodings, lengths, openings)

    assert sorted(index for batch in batches for index in batch) == list(range(len(asked)))
    for batch in batches:
        (decoding,) = {decodings[index] for index in batch}
        assert len({openings[index] for index in batch}) == 1
        width = max(lengths[index] for index in batch) + decoding.max_new_tokens
        assert len(batch) == 1 or (width * len(batch) <= TOKEN_BUDGET and not decoding.temperature)


@given(st.lists(st.integers(1, 600), max_size=40))
def test_the_plan_does_not_depend_on_the_order_of_the_questions(lengths):
    def widths(asked):
        return [[asked[index] for index in batch] for batch in planned([Decoding()] * len(asked), asked)]

    assert widths(lengths) == widths(lengths[::-1])


def test_longest_prompts_come_first_and_batches_are_filled():
    assert planned([Decoding(max_new_tokens=1000)] * 5, [10, 3000, 1000, 1000, 20]) == [[1, 2], [3, 4, 0]]


@given(st.lists(st.integers(1, 6), max_size=30), st.integers(0, 3))
def test_repeats_are_asked_in_batches_of_their_own_and_of_another_shape(sizes, repeat):
    asked = [Request("k", (("user", "?"),), Decoding(), repeat) for _ in range(sum(sizes))]
    indices = iter(range(sum(sizes)))
    batches = [[next(indices) for _ in range(size)] for size in sizes]

    parts = list(dealt(batches, asked))

    assert sorted(index for part in parts for index in part) == list(range(sum(sizes)))
    assert all(parts)
    assert (parts == batches) == (repeat == 0 or max(sizes, default=1) == 1)


def test_repeats_of_a_greedy_answer_never_share_a_batch():
    asked = [Request("k", (("user", "?"),), Decoding(), repeat) for repeat in (0, 1, 0, 1)]

    assert plan_prompts(asked, [10, 10, 10, 10]) == [[0, 2], [1, 3]]
