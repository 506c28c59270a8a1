from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.text.near_copies import grams
from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.duplicates import NEAR, find_duplicates


def row(asked: str, line: int, output: str = "boiler", unit: str = "triage", system: str = "Sort it.") -> Example:
    return Example((("system", system), ("user", asked)), asked, output, "rows.jsonl", line, unit)


def found(*rows: Example) -> list[tuple[int, int, bool]]:
    return [(pair.first.line, pair.second.line, pair.agrees) for pair in find_duplicates(rows)]


LONG = "the boiler in the cellar has been making a noise like a kettle since Tuesday"


def test_the_same_up_to_case_and_space_is_a_duplicate():
    assert found(row("It drips.", 1), row("it  DRIPS.\n", 2), row("It leaks.", 3)) == [(1, 2, True)]


def test_two_answers_to_one_question_disagree():
    assert found(row("It drips.", 1), row("It drips.", 2, "radiator")) == [(1, 2, False)]


def test_an_edited_copy_is_nearly_the_same_and_comes_after_the_exact_ones():
    rows = [row(LONG, 1), row(LONG.replace("Tuesday", "Monday"), 2), row("It drips.", 3), row("It drips.", 4)]

    assert found(*rows) == [(3, 4, True), (1, 2, True)]


def test_another_unit_or_another_context_is_another_question():
    assert found(row("It drips.", 1), row("It drips.", 2, unit="orders")) == []


def test_texts_too_short_for_a_gram_are_the_same_only_when_equal():
    assert found(row("no", 1), row("yes", 2), row("No", 3)) == [(1, 3, True)]


@given(st.lists(st.text("ab ", min_size=1, max_size=30), min_size=2, max_size=12))
def test_the_filter_loses_no_pair_that_comparing_all_with_all_finds(texts):
    rows = [row(text, line) for line, text in enumerate(dict.fromkeys(" ".join(text.split()) for text in texts))]

    def alike(one: Example, other: Example) -> float:
        mine, others = grams(one.input), grams(other.input)
        return len(mine & others) / len(mine | others)

    expected = {
        second.line for index, second in enumerate(rows) if any(alike(first, second) >= NEAR for first in rows[:index])
    }

    assert {pair.second.line for pair in find_duplicates(rows)} == expected
