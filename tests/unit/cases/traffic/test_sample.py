"""Which inputs are labelled, and what labels say of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.cases.model import Case, Decoding, LabelSource, Prompt, Unit
from tunegate.harness.cases.snapshot import input_digest
from tunegate.harness.cases.traffic.labels import Label, Labels
from tunegate.harness.cases.traffic.strata import earlier_pairs
from tunegate.harness.cases.traffic.units import ComparedOutput, disagreement, draw_from_strata, draw_sample
from tunegate.harness.checks.short_answer import QuestionCheck

INPUTS = [f"input {number}" for number in range(50)]


@given(st.permutations(INPUTS), st.integers(1, 60))
def test_the_sample_is_the_same_whatever_the_order(inputs, size):
    drawn = draw_sample("s", 1, inputs, size)
    assert drawn == draw_sample("s", 1, INPUTS, size)
    assert len(set(drawn)) == min(size, 50)


@given(st.sets(st.sampled_from(INPUTS), min_size=10), st.integers(1, 9))
def test_an_input_stays_in_the_sample_where_others_stop_to_differ(inputs, size):
    whole = draw_sample("s", 1, INPUTS, size)
    assert set(whole) & inputs <= set(draw_sample("s", 1, inputs, size))


@pytest.mark.parametrize("other", [("s", 2), ("t", 1)])
def test_another_try_and_another_snapshot_draw_anew(other):
    assert draw_sample("s", 1, INPUTS, 10) != draw_sample(*other, INPUTS, 10)


@given(st.dictionaries(st.sampled_from(INPUTS), st.sampled_from([-1, 0, 1]), min_size=1), st.integers(20, 40))
def test_of_each_stratum_the_same_are_drawn_as_of_a_plain_sample(strata, size):
    drawn = draw_from_strata("s", 1, strata, size)
    assert len(set(drawn)) == len(drawn) == min(size, len(strata))
    for name in set(strata.values()):
        inside = [each for each in drawn if strata[each] == name]
        assert inside == draw_sample("s", 1, [each for each, of in strata.items() if of == name], len(inside))


def unit(n: int, sample: int = 10) -> Unit:
    cases = tuple(
        Case(f"c{number}", "desk/production", f"input {number}", QuestionCheck(), Prompt(), Decoding())
        for number in range(n)
    )
    return Unit(
        "desk", "production", "retention", cases, "questions", traffic="s", labels=LabelSource(Path("a.jsonl"), sample)
    )


def outputs(*texts: str | None) -> dict[str, ComparedOutput]:
    """Outputs by case; None is one that its check rejects."""
    return {f"c{number}": ComparedOutput(text or "", text is None) for number, text in enumerate(texts)}


def said(number: int, output: str, right: bool) -> Label:
    return Label(input_digest(f"input {number}"), output, right, "anna")


def test_only_inputs_with_differing_outputs_are_drawn_and_labels_decide():
    labels = Labels(
        (said(1, "x", False), said(1, "y", True), said(2, "x", True), said(2, "y", False), said(3, "x", True))
    )

    found = disagreement(unit(4), outputs("x", "x", "x", "x"), outputs("x", "y", "y", "y"), labels, 1)

    assert (found.inputs, found.differing, found.better, found.worse) == (4, 3, ("c1",), ("c2",))
    assert [each.case for each in found.missing] == ["c3"], "both outputs need a label"


def test_a_rejected_output_needs_no_label():
    labels = Labels((said(0, "x", True),))

    found = disagreement(unit(2), outputs("x", None), outputs(None, None), labels, 1)

    assert (found.differing, found.worse, found.missing) == (1, ("c0",), ())


def test_a_label_stands_for_the_inputs_of_its_stratum():
    labels = Labels(tuple(said(number, text, text == "y") for number in range(60) for text in "xy"))
    strata = {f"c{number}": int(number < 6) for number in range(60)}

    found = disagreement(unit(60, 20), outputs(*"x" * 60), outputs(*"y" * 60), labels, 1, strata)

    assert sum(found.changes.values()) == pytest.approx(60)
    assert {found.changes[case] for case in found.changes if strata[case]} == {2.0}


def test_what_verdicts_are_worth_is_seen_outside_of_the_sample():
    labels = Labels(tuple(said(number, text, text == "y") for number in range(3) for text in "xy"))
    verdicts = {(input_digest(f"input {number}"), text): number == 0 for number in range(4) for text in "xy"}
    verdicts[input_digest("input 1"), "y"] = True

    assert list(earlier_pairs(labels, verdicts, {input_digest("input 0")})) == [(-1, -1), (-1, 0)]
