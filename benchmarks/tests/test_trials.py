"""The benchmarks of trials and of checkpoints, on the tiny model."""

from __future__ import annotations

import pytest

from benchmarks import checkpoints, trials
from benchmarks.small_trainings import write_training
from tunegate.harness.core.progress import quiet

LONG = {"max_length": 4096}  # the tiny model's tokens are bytes


@pytest.fixture(autouse=True)
def long_rows(monkeypatch):
    for module in (trials, checkpoints):
        monkeypatch.setattr(module, "OPTIM", {**module.OPTIM, **LONG})


def test_sealed_rows_are_not_among_those_that_are_trained_on(tmp_path):
    place = write_training(tmp_path / "triage", "triage", 10, 5)

    rows, sealed = ((place.folder / name).read_text().splitlines() for name in ("rows.jsonl", "sealed.jsonl"))

    assert (len(rows), len(sealed), set(rows) & set(sealed)) == (10, 5, set())


def test_a_search_is_told_beside_one_training(tiny_model):
    found = trials.measure(str(tiny_model), "triage", 10, 2, 3, quiet())

    assert (found.rows, len(found.trials), found.trials[0]["lr"]) == ((8, 2, 2), 3, trials.OPTIM["lr"])
    said = trials.report(found, "made so.")
    assert "- On 2 sealed rows the recipe as it stands scores 0.000, the best of 3 trials 0.000 (the base" in said
    assert said.count("\n| 1 | 8.0e-04 | cosine | 16 | 2 | 7 |") == 1


def test_both_choices_are_told_for_each_seed(tiny_model, tmp_path):
    found = checkpoints.measure(str(tiny_model), (10, 2), 2, 3, tmp_path, quiet())

    assert [(each.by, each.seed) for each in found] == [
        ("base", None), ("score", 7), ("loss", 7), ("score", 8), ("loss", 8),
    ]  # fmt: skip
    assert set(found[0].kept) == {"passages", "questions"}
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == ["checkpoints-7.svg", "checkpoints-8.svg"]
    said = checkpoints.report(found, "made so.")
    assert "- Seed 7: the score and the loss choose" in said
