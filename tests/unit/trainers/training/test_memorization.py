"""Which rows could be recited, and how far a continuation goes along with one."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.private_data import PrivateData
from tunegate.trainers.training import memorization
from tunegate.trainers.training.memorization import (
    Memorization,
    Memorized,
    distinctive,
    find_memorization,
    memorized_words,
)

OWN = (
    "The night porter at Quillon Wharf keeps a brass bell beside the third bollard; ring it twice, then walk along the "
    "tarred planks until you see a lantern painted ochre, and ask for Marguerite."
)
COMMON = (
    "Thank you for your message, we are sorry for the trouble, and somebody will call you back within two days so that "
)


def row(output, asked="How do I get in?", line=1):
    return Example((("user", asked),), asked, output, "rows.jsonl", line)


def test_a_long_answer_of_its_own_could_be_recited():
    assert distinctive([row(OWN)]) == [row(OWN)]


def test_what_is_short_or_common_or_taken_from_the_question_could_not():
    short = row("Ring the brass bell beside the third bollard twice, then walk along the tarred planks.")
    common = [
        row(COMMON + f"it is mended by {day} at the latest, as we hope.", line=at)
        for at, day in enumerate(("Monday", "Friday"))
    ]
    taken = row(OWN, asked=f"Say this in the style of the house: {OWN.lower()}")
    lists = [row(json.dumps({"teams": ["repairs", "sales"] * 12, "urgent": at % 2 == 0}), line=at) for at in range(4)]

    assert distinctive([short, *common, taken, *lists]) == []


def test_the_same_answer_in_several_rows_could_all_the_more():
    assert distinctive([row(OWN), row(OWN, "And at night?", 2)]) == [row(OWN, "And at night?", 2)]


def test_words_count_until_the_first_that_differs():
    rest = OWN.split()[8:]

    assert memorized_words(row(OWN), " " + " ".join(rest)) == len(rest)
    assert memorized_words(row(OWN), " " + " ".join([*rest[:5], "gong", *rest[6:]])) == 5
    assert memorized_words(row(OWN), "s " + " ".join(rest)) == 0  # it went on with the word that was given
    assert memorized_words(row(OWN), "") == 0


class _Words:
    """A tokenizer whose tokens are words."""

    eos_token_id = -1

    def __call__(self, text, **_):
        return SimpleNamespace(input_ids=text.split())


def test_words_that_only_python_separates_are_the_same_everywhere(monkeypatch):
    monkeypatch.setattr(memorization, "render_prompt", lambda tokenizer, request: "")
    output, asked = "\x1f".join(OWN.split()), []

    def continued(prompts):
        asked.extend(prompts)
        return ["\x1e".join(OWN.split()[8:])] if len(asked) == 1 else [""]

    base = SimpleNamespace(
        base=SimpleNamespace(lend=lambda model: None, forget=lambda: None, ends=()), continue_tokens=continued,
        tokenizer=_Words(),
    )  # fmt: skip
    found = find_memorization(SimpleNamespace(disable_adapter=nullcontext), base, [row(output)], [], 0)

    assert [each.words for each in found.memorized] == [len(OWN.split()) - 8]
    assert asked[0][0] == OWN.split()[:8]


SECRET = PrivateData(row("The key is 123.", line=7), "password", "hunter2")


def test_what_was_found_is_told_without_a_secret():
    found = Memorization(40, 30, [Memorized(row(OWN, line=3), 24)], [SECRET], 1, [SECRET])

    assert found.found
    assert list(found.render()) == [
        "  memorization: 1 of 30 rows tested are reproduced verbatim: rows.jsonl:3 (24 words)",
        "  secrets: 1 of 1 tested are leaked: rows.jsonl:7 (password)",
    ]
    recorded = found.as_dict("salt")
    assert recorded["memorized"] == [{"row": "rows.jsonl:3", "words": 24}]
    assert recorded["leaked"] == [{"row": "rows.jsonl:7", "kind": "password"}]
    assert "hunter2" not in str(recorded)


def test_nothing_found_is_told_with_what_was_asked():
    nothing = Memorization(40, 30, [], [SECRET], 1, [])

    assert not nothing.found
    assert list(nothing.render()) == [
        "  memorization: none of 30 rows tested is reproduced verbatim (40 testable)",
        "  secrets: none of 1 tested is leaked (1 found)",
    ]
    assert list(Memorization(0, 0, [], [], 0, []).render()) == [
        "  memorization: not tested, no row has a long and distinctive output"
    ]


def test_an_output_that_was_rejected_is_tested_too():
    pair = replace(row("Ring the bell."), rejected=OWN)

    assert [each.output for each in distinctive([pair, replace(row(OWN, line=2), liked=False)])] == [OWN]
    assert distinctive([pair]) == [replace(row(OWN), rejected=None)]
