"""What a text states, and what of it its notes do not."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tunegate.harness.text.calendar import CALENDARS
from tunegate.harness.text.facts import MOST_OF_AN_ANSWER, facts, missing, stated, unfounded


def wrong(answer, notes, language="en"):
    return [fact.seen for fact in unfounded(answer, stated(notes, language), language)]


@pytest.mark.parametrize(
    ("notes", "answer"),
    [
        ("GBP 1,250", "£1250"),
        ("1250", "one thousand, 1,250.00"),
        ("Wed", "on Wednesday"),
        ("14:30", "at 2:30pm"),
        ("8:00", "at 8am"),
        ("nearer 5", "by 5pm"),
        ("HX-4417", "hx4417"),
        ("31/12/2026", "31 December 2026"),
        ("2026-12-31", "December 31st, 2026"),
        ("3 valves", "three valves"),
        ("10 yr", "ten years"),
        ("5-7pm", "between 5 and 7"),
        ("10.15", "at 10:15, and at 10.15."),
        ("dan", "and Dan's van"),
        ("", "You may ask. One of us will march in, and the sun is out."),
    ],
)
def test_a_fact_is_the_same_however_it_is_written(notes, answer):
    assert wrong(answer, notes) == []


@pytest.mark.parametrize(
    ("notes", "answer", "seen"),
    [
        ("£46", "it's £64", ["64"]),
        ("14:30", "at 3:30pm", ["3:30pm"]),
        ("Feb", "since March, in May", ["March", "May"]),
        ("HX-4417", "part HX-4471", ["HX-4471"]),
        ("Nina", "and Priya comes", ["Priya"]),
        ("1.2 bar", "1.3 bar", ["1.3"]),
        ("a@b.example", "to c@b.example", ["c@b.example"]),
        ("31/12/2026", "31/11/2026", ["31/11/2026"]),
    ],
)
def test_what_the_notes_do_not_have_is_seen(notes, answer, seen):
    assert wrong(answer, notes) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("de-AT", "1.250,50 EUR am Do", "1250,50 Euro am Donnerstag", []),
        ("de", "Do", "am Freitag", ["Freitag"]),
        ("fr", "janv., lun", "lundi, en janvier", []),
        ("fi", "ke", "keskiviikkona", []),
        ("fi", "ke", "torstaina", ["torstaina"]),
    ],
)
def test_the_words_are_those_of_the_language(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


def test_what_is_due_is_found_by_what_it_says():
    assert list(missing(["£46", "Friday", "Dan", "working days"], "46 pounds by Fri, says Dan.", "en")) == [
        "working days"
    ]


@settings(deadline=None)
@given(st.text(), st.sampled_from(sorted(CALENDARS)))
def test_a_text_states_nothing_that_it_does_not_have(text, language):
    assert wrong(text, text, language) == []


@pytest.mark.parametrize(("text", "seen"), [("Open 24/7.", ["24", "7"]), ("on 45/99.2020", ["45", "99.2020"])])
def test_what_looks_like_a_date_and_is_none_is_its_numbers(text, seen):
    assert [fact.seen for fact in facts(text, "en")] == seen


LIKE_FACTS = st.from_regex(r"([0-9]{1,4}|[./:',-]|[ap]m|[a-z]| |h|\u00ba|\u0663|@){0,30}", fullmatch=True)


@settings(deadline=None)
@given(st.text() | LIKE_FACTS, st.sampled_from(sorted(CALENDARS)) | st.text(max_size=5))
@example("24/7.", "en")
def test_any_text_of_any_language_can_be_read(text, language):
    assert {said for fact in facts(text, language) for said in fact.says} <= stated(text, language)


@pytest.mark.parametrize("text", ["a1" * 500_000, "1-" * 500_000, "1 " * 500_000, "A" + "\ufdfa" * 400_000])
def test_a_megabyte_is_read_in_part_and_the_rest_is_a_fact_that_no_notes_know(text):
    started = time.process_time()
    *_, rest = facts(text, "en")

    assert time.process_time() - started < 2
    assert rest.seen == f"{len(text) - MOST_OF_AN_ANSWER:,} more characters"
    assert unfounded(text, stated("1 a1", "en"), "en")[-1] == rest


@pytest.mark.parametrize("text", ["9" * 4_000, "a1-" * 1_300, "1." * 2_000, "a." * 2_000, "A " * 2_000, "1:0" * 1_300])
def test_hostile_texts_take_bounded_time(text):
    started = time.process_time()
    wrong(text, "nothing")

    assert time.process_time() - started < 0.5
