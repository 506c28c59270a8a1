"""Tokens that vary between rows weigh more than those that all rows share."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.trainers.data.token_weights import weigh_tokens
from tunegate.trainers.data.tokenize import Tokens

END = 2


def rows(*outputs: Sequence[int]) -> list[Tokens]:
    """Rows with these outputs, and the end of turn."""
    return [Tokens([9, *output, END], [0] + [1] * (len(output) + 1)) for output in outputs]


def varying(*outputs: Sequence[int], row: int = 0) -> list[int]:
    """The places of a row's output that weigh more than the least."""
    weights = weigh_tokens(rows(*outputs), 5).of_output[(*outputs[row], END)]
    least = min(weight for each in weigh_tokens(rows(*outputs), 5).of_output.values() for weight in each)
    return [at for at, weight in enumerate(weights) if weight > least]


@pytest.mark.parametrize(("outputs", "found"), [
    ([[10, 11, 20, 12], [10, 11, 21, 12], [10, 11, 20, 12]], [2]),
    ([[10, 20, 30, 11, 12], [10, 21, 31, 11, 12]], [1, 2, 3]),  # 11 ends a value that no other row has
    ([[10, 20, 30, 11], [10, 20, 30, 11], [10, 21, 31, 11]], [1]),  # the rest of a label follows from its first token
    ([[10, 20, 11, 30], [10, 20, 11, 31], [10, 21, 11, 30], [10, 21, 11, 31]], [1, 3]),
    ([[20, 11], [20, 11], [21, 11]], [0]),
], ids=["closed-field", "open-values", "label-of-two-tokens", "two-fields", "first-token"])  # fmt: skip
def test_what_rows_put_in_the_same_place_varies_and_their_form_does_not(outputs, found):
    assert varying(*outputs) == found


def test_the_form_after_a_value_of_its_own_is_known_by_fewer_tokens():
    first, second = [10, 20, 21, 22, 23, 11, 12, 13], [10, 30, 31, 32, 33, 11, 12, 13]

    assert varying(first, second) == [1, 2, 3, 4, 5]  # 11 follows a token that no other row has


def test_a_row_without_another_varies_as_a_whole_and_so_weighs_the_same():
    assert set(weigh_tokens(rows([10, 11, 12]), 5).of_output[10, 11, 12, END]) == {1.0}


def test_rows_that_all_say_the_same_weigh_the_same():
    found = weigh_tokens(rows([10, 11], [10, 11]), 5)

    assert set(found.of_output[10, 11, END]) == {1.0}
    assert (found.tokens, found.varying) == (6, 0)


def test_what_the_weights_are_is_said():
    found = weigh_tokens(rows([10, 20], [10, 20], [10, 21], [10, 21]), 5)

    assert found.render() == (
        "weights in the loss: 2.14 for the 4 of 12 tokens that vary between rows, 0.43 for the others"
    )


@given(
    st.lists(st.lists(st.integers(10, 14), min_size=1, max_size=8), min_size=1, max_size=8),
    st.floats(1, 100),
)  # fmt: skip
def test_the_mean_weight_is_one_and_the_factor_is_kept(outputs, factor):
    data = rows(*outputs)
    found = weigh_tokens(data, factor)
    every = [weight for row in data for weight in found.of_output[row.output]]

    assert sum(every) / len(every) == pytest.approx(1)
    assert max(every) / min(every) == pytest.approx(factor if 0 < found.varying < found.tokens else 1)
