"""The leak benchmark: its texts are what they claim to be, and the copies it derives are all found."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from benchmarks.leak_disguises import BULK, disguised
from benchmarks.leak_rows import (
    BY_HAND,
    KINDS,
    WRAPPINGS,
    by_hand,
    edit,
    innocent,
    leaks,
    respaced,
    tasks_as_they_were,
    wrap,
)
from benchmarks.leaks import SURE, nearness
from tests.support.paths import ROOT
from tunegate.harness.core.progress import quiet
from tunegate.trainers.decontamination.normalize import normalise
from tunegate.trainers.decontamination.search import search

RESULT = ROOT / "benchmarks/results/leaks.md"


def no_meaning(texts):
    """Embeddings that make no two texts alike: what is found then, the wording gave away."""
    return np.zeros((len(texts), 1), dtype=np.float32)


def test_there_are_enough_leaks_of_each_kind_and_enough_innocent_rows():
    kinds = Counter(each.kind for each in leaks())

    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 40
    assert sum(kinds.values()) >= 200
    assert sum(len(group.rows) for group in innocent()) >= 2000


@pytest.mark.parametrize(("file", "ours", "theirs"), [("paraphrases", "paraphrase", "fixture"),
                                                      ("fresh_paraphrases", "paraphrase", "fixture"),
                                                      ("same_answers", "question", "answer")])  # fmt: skip
def test_texts_written_by_hand_name_cases_and_are_no_copies(file, ours, theirs):
    cases = {case.key for task in tasks_as_they_were() for unit in task.units for case in unit.cases}
    entries = by_hand(file)

    assert {each["case"] for each in entries} <= cases
    assert len({normalise(each[ours]) for each in entries}) == len({each["case"] for each in entries}) == len(entries)
    assert all(normalise(each[ours]) != normalise(each[theirs]) for each in entries)


def test_no_fixture_is_said_again_in_both_sets_of_paraphrases():
    first, fresh = ({each["case"] for each in by_hand(name)} for name in BY_HAND.values())

    assert not first & fresh


def test_a_respaced_text_is_another_and_says_the_same():
    text = "My boiler drips, and it's cold."
    made = [respaced(text, random.Random(seed)) for seed in range(9)]

    assert text not in made
    assert {normalise(each) for each in made} == {normalise(text)}


def test_an_edited_text_has_other_numbers_days_and_names():
    text, changed = edit("So Owen comes Friday at 10.", ["Owen", "Raj", "Nia"], random.Random(1))

    assert changed == 3
    assert not {"Owen", "Friday", "10"} & set(text.rstrip(".").split())


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_exact_and_respaced_copies_are_refused_by_their_wording_alone(wrapping):
    planted = [each for each in leaks() if each.kind in SURE[:2]][::4]
    around = next(iter(innocent())).rows[::4]
    rows = wrap([*(each.row for each in planted), *around], wrapping)

    worst = nearness(rows, search(rows, tasks_as_they_were(), quiet(), no_meaning, no_meaning))

    assert {worst.get(at) for at in range(len(planted))} == {"refuse"}
    assert "refuse" not in {worst.get(at) for at in range(len(planted), len(rows))}


def test_disguised_leaks_are_many_and_of_every_kind():
    planted = disguised()

    assert len(planted) + 2 * BULK >= 200
    assert min(Counter(each.kind for each in planted).values()) >= 10


def test_every_disguise_but_a_translation_is_seen_through_by_the_wording_alone():
    planted = [each for each in disguised() if each.kind != "translation"][::6]
    rows = [each.row for each in planted]

    worst = nearness(rows, search(rows, tasks_as_they_were(), quiet(), no_meaning, no_meaning))

    assert [each.kind for at, each in enumerate(planted) if worst.get(at) != "refuse"] == []


def test_the_committed_result_keeps_its_promises():
    text = RESULT.read_text("utf-8")

    assert text.count("(kept)") == 3
    assert "BROKEN" not in text
