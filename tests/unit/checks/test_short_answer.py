"""Short answers to general questions."""

from __future__ import annotations

from tests.unit.checks.test_loglikelihood import check
from tunegate.harness.checks.short_answer import KIND


def test_a_question_is_answered_by_a_word_of_its_own_in_a_short_answer() -> None:
    for output, passes in [
        ("Paris", True),
        ("The capital of France is PARIS.", True),
        ("paris!", True),
        ("It's l'île-de-Paris", True),
        ("Lyon", False),
        ("parisian", False),
        ("comparis on", False),
        ("", False),
        (" ".join(["Lyon, Nice, Lille, Paris,"] * 11), False),
    ]:
        outcome = check("retention/questions")(output, {"answer": ["Paris"]}, "")
        assert outcome.score == float(passes)
        assert bool(outcome.findings) != passes


def test_a_number_is_not_a_part_of_another_one() -> None:
    for output, answer, passes in [
        ("It takes 6 hours.", "6", True),
        ("6.", "6", True),
        ("6, I think", "6", True),
        ("6.5", "6", False),
        ("0.6", "6", False),
        ("12:30", "12", False),
        ("12:30", "30", False),
        ("12:30", "12:30", True),
        ("It comes to \u00a3203.", "\u00a3203", True),
        ("It comes to \u00a31,203.", "203", False),
        ("16", "6", False),
        ("-6", "6", False),
        ("x = \u22126", "6", False),
        ("It is (\u20136).", "6", False),
        ("-$6", "$6", False),
        ("-$6", "6", False),
        ("\u22126", "-6", True),
        ("8-6", "-6", False),
        ("6-8 weeks", "6", True),
        ("6\u20138 weeks", "8", True),
        ("1990 -2024", "2024", True),
        ("8 - 6", "6", True),
        ("- 6", "6", True),
        ("covid-6", "6", True),
        ("-6, no, 6", "6", True),
        ("1/2", "2", False),
        ("1/2", "1", False),
        ("2^10", "2", False),
        ("2^10", "10", False),
        ("1'203", "203", False),
        ("1'203", "1'203", True),
        (".5", "5", False),
        ("It is -.5", "5", False),
        ("Hmm...5", "5", True),
        ("The answer is.5", "5", True),
        ("1 203", "203", False),
        ("1\u202f203 km", "203", False),
        ("1 203 500", "203", False),
        ("20 000", "20", False),
        ("20 000", "20 000", True),
        ("In 2024 203 people came.", "203", True),
        ("In 2024 203 people came.", "2024", True),
        ("5 10-litre cans", "5", True),
    ]:
        assert check("retention/questions")(output, {"answer": [answer]}, "").score == float(passes)


def test_any_of_the_answers_counts_also_with_signs_in_it() -> None:
    questions = check("retention/questions")
    assert questions("about 7.5 %", {"answer": ["seven and a half", "7.5 %"]}, "").score == 1.0
    assert questions("17.5 %", {"answer": ["7.5 %"]}, "").score == 0.0
    assert questions("don\u2019t know", {"answer": ["don't"]}, "").score == 1.0
    assert questions("an X\u2011ray", {"answer": ["X-ray"]}, "").score == 1.0
    assert questions("two\u2010thirds", {"answer": ["two-thirds"]}, "").score == 1.0
    assert questions("\u00bd", {"answer": ["1/2"]}, "").score == 1.0
    assert questions("\u20116", {"answer": ["6"]}, "").score == 0.0


def test_an_answer_is_what_others_are_held_against_without_its_full_stop() -> None:
    for answer in ["Paris", "Paris.", " It is Paris! "]:
        questions = check("retention/questions")
        expect = KIND.expect_of(questions, answer)
        assert questions(answer, expect, "").score == 1.0
        assert questions("Lyon", expect, "").score == 0.0


def test_an_answer_without_a_letter_tells_nothing_to_expect() -> None:
    assert KIND.expect_of(check("retention/questions"), "...") is None
