"""The kind of check: what it finds, what it refuses, and what it hands to Tunegate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunegate import AuthoringError, Document
from tunegate_facts.calendar import CALENDARS
from tunegate_facts.check import EXPECT, KIND, OPTIONS, load

DOCUMENT = Document(Path("stays.yaml"), {"check": {"language": "en"}}, {})
STAY = (
    "Customer: what will it come to?\n"
    "Notes: 2 nights from Fri 5 Feb, £44/night, arrive 15:00-17:00, gate K7 QX2, flats A, B and C, "
    "weekdays only, closed 24 Dec"
)


def check(**options):
    return load({"language": "en", **options}, DOCUMENT, ("check",))


def found(output, expect=None, **options):
    return [str(each) for each in check(**options)(output, expect, STAY).findings]


@pytest.mark.parametrize(
    ("output", "findings"),
    [
        ("Two nights from Friday 5 February at £44 make £88: you leave on Sunday the 7th.", []),
        ("From Friday, that's £98.", ["unfounded: '98' stands nowhere in its case"]),
        ("Two nights from Friday, and you leave on Tuesday.", ["unfounded: 'Tuesday' stands nowhere in its case"]),
        ("On Friday the two hours from three to five are yours.", []),
        ("Friday from three, for four hours.", ["unfounded: 'four' stands nowhere in its case"]),
        ("Friday. The gate is K7QX2.", []),
        ("Friday. The gate is K7QX3.", ["unfounded: 'K7QX3' stands nowhere in its case"]),
        ("Friday. We're open Monday to Friday.", []),
        ("Friday. We're closed on Christmas Eve. Merry Christmas!", []),
        ("Ask Priya or Priya's sister on Friday.", ["unfounded: 'Priya' stands nowhere in its case"]),
        ("You'll be welcome.", ["missing: 'Friday' is not stated"]),
        (" \n", ["empty: the output is empty"]),
    ],
)
def test_what_an_output_states_is_held_against_its_case(output, findings):
    assert found(output, {"facts": ["Friday"]}) == findings
    assert check()(output, {"facts": ["Friday"]}, STAY).score == float(not findings)


def test_what_is_due_and_what_is_allowed_needs_no_place_in_the_notes():
    output = "Gwendolyn Shaw waits in Hearth House at 46 Elm Row."
    assert found(output)
    assert found(output, {"facts": ["46 Elm Row"], "also": ["Hearth House"]}, also=["Gwendolyn Shaw"]) == []


def test_a_case_may_expect_nothing():
    assert found("See you on Friday.") == []
    assert found("See you on Saturday.") == ["unfounded: 'Saturday' stands nowhere in its case"]


def test_other_options_are_other_references():
    given = [check(), check(also=["Hearth"]), check(also=["Hearth", "House"]), check(language="de")]
    assert len({each.references for each in given}) == len(given)


def test_the_languages_of_the_options_are_those_that_can_be_read():
    assert OPTIONS["properties"]["language"]["enum"] == sorted(CALENDARS)


def test_options_that_cannot_be_used_are_refused():
    with pytest.raises(AuthoringError, match=r"check\.language: expected one of .*, found 'it'"):
        KIND.read({"language": "it"}, DOCUMENT, ("check",))


def test_a_fact_that_no_output_can_state_is_refused():
    problems = check().expect_problems({"facts": ["£46", "!?"]}, DOCUMENT, ("expect",))
    assert [(each.where, each.found) for each in problems] == [("expect.facts[1]", "'!?'")]
    assert check().expect_problems({}, DOCUMENT, ("expect",)) == []


def test_every_key_that_people_write_says_what_it_is():
    keys = {**OPTIONS["properties"], **EXPECT["properties"]}
    assert [name for name, key in keys.items() if not key.get("description")] == []


@pytest.mark.parametrize(
    "output", ["9" * 200_000, "\0\x1b[31m\u202e", "\N{PILE OF POO}" * 9_000, "]" * 100_000, '{"a": [[[['],
    ids=["digits", "controls", "emoji", "brackets", "half of JSON"],
)  # fmt: skip
def test_no_output_ends_a_run(output):
    assert 0.0 <= check()(output, {"facts": ["Friday"]}, STAY).score <= 1.0
