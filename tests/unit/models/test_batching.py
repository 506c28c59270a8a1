"""What the rows of a batch share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.models.local import batching as prefix


@given(st.lists(st.integers(0, 3), min_size=20), st.lists(st.lists(st.integers(0, 3), min_size=1), min_size=2))
def test_the_laws_of_what_rows_share(start, ends):
    rows = [[*start, *end] for end in ends]
    same = prefix.shared_prefix(rows)
    assert len({tuple(row[:same]) for row in rows}) == 1
    assert all(len(row) > same for row in rows)
    assert same >= len(start)
    longer = {tuple(row[: same + 1]) for row in rows}
    assert len(longer) > 1 or min(map(len, rows)) == same + 1, "and no more than that"


def test_little_and_one_prompt_alone_share_nothing():
    assert prefix.shared_prefix([[1] * 15 + [2], [1] * 15 + [3]]) == 0
    assert prefix.shared_prefix([[1] * 40]) == 0
