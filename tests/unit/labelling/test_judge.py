"""What a judge model said, as a verdict."""

from __future__ import annotations

import pytest

from tunegate.harness.labelling.judge import judge_verdict


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("RIGHT", True),
        ("Wrong.", False),
        ("The date would be right, but the topic is another.\n\nWRONG", False),
        ("It is not wrong to call this a fault: RIGHT", True),
        ("I cannot say.", None),
        ("Rightly so", None),
    ],
)
def test_the_last_word_is_the_verdict(said, right):
    assert judge_verdict(said) is right
