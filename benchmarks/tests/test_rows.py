"""The benchmark of rows, on the tiny model and messages made here."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from benchmarks import rows
from benchmarks.foreign_data import Example
from benchmarks.rows import LABELS, NOISY, WHOLE, at_least, divide, measure, report, spoil, write_project
from tunegate.harness.core.progress import quiet

MESSAGES = [Example(f"Message {number}.", {"mood": LABELS[number % 3]}) for number in range(60)]


@pytest.fixture(autouse=True)
def messages(monkeypatch):
    monkeypatch.setattr(rows, "moods", lambda folder: MESSAGES)
    usual = write_project

    def long(folder, *more):
        usual(folder, *more)
        recipe = json.loads((folder / rows.RECIPE).read_text())
        recipe["optim"]["max_length"] = 4096  # the tiny model's tokens are bytes
        (folder / rows.RECIPE).write_text(json.dumps(recipe))

    monkeypatch.setattr(rows, "write_project", long)


def test_every_beginning_of_the_rows_has_its_share_of_each_label():
    cases, found = divide(MESSAGES, 9, 30)

    assert not {each.text for each in cases} & {each.text for each in found}
    for part in (cases, found[:12], found):
        assert set(Counter(each.answer["mood"] for each in part).values()) == {len(part) // 3}
    with pytest.raises(ValueError, match="expected 69 examples, a third of each label, found fewer"):
        divide(MESSAGES, 9, 60)


def test_noise_changes_the_labels_of_its_share_of_the_rows():
    spoilt = spoil(MESSAGES, 0.3)

    assert [each.text for each in spoilt] == [each.text for each in MESSAGES]
    assert sum(one != other for one, other in zip(spoilt, MESSAGES, strict=True)) == 18


def test_each_way_is_trained_and_asked(tiny_model):
    found = measure(str(tiny_model), [12], 6, 2, 0.5, 1, quiet())

    assert [(each.way, each.rows) for each in found.trained] == [(way, 12) for way in rows.LR]
    assert set(found.base) == {"as-is", "few-shot"}
    by_way = {each.way: each for each in found.trained}
    assert by_way[WHOLE].size > by_way[NOISY].size > 0
    said = report(found, "made so.")
    assert said.count("\n| all weights, clean rows | 12 |") == 1


def test_the_lower_bound_is_that_of_clopper_and_pearson():
    assert at_least(1.0, 300) == pytest.approx(0.05 ** (1 / 300))
    assert at_least(0.0, 300) == 0
