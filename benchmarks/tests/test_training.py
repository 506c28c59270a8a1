"""The benchmark of training, on the tiny model, a step each."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import training_child
from benchmarks.frame import ROOT
from benchmarks.training import OURS, SETTINGS, TRL, Run, broken, report, train
from benchmarks.training_child import PLAIN
from tunegate.trainers.config.recipe import read_recipe


def run(what: str, seed: int, seconds: float = 10.0, loss: float = 1.0) -> Run:
    return Run(what, seed, 1000, 250, seconds, 20.0, 3000.0, loss, "bfloat16")


def runs(*theirs: float) -> list[Run]:
    """Ours takes 10 s with each seed, TRL's `theirs`; every changed setting 20 s."""
    pairs = [each for seed, took in enumerate(theirs) for each in (run(OURS, seed), run(TRL, seed, took, 1.5))]
    return [*pairs, *(run(what, 0, 20.0) for what in SETTINGS if what not in (OURS, TRL))]


def test_both_train_on_the_same_rows_and_are_told_apart(tmp_path, tiny_model):
    ours, theirs = (train(tmp_path, str(tiny_model), 1, what, 0) for what in (OURS, TRL))

    assert (ours.what, theirs.what) == (OURS, TRL)
    assert (ours.tokens, ours.answers) == (theirs.tokens, theirs.answers)
    assert ours.tokens > ours.answers > 0
    assert min(ours.seconds, theirs.seconds, ours.peak, theirs.peak) > 0
    assert ours.loss == pytest.approx(theirs.loss, rel=0.2)


@pytest.mark.parametrize("what", [what for what, settings in SETTINGS.items() if settings is not None])
def test_a_changed_setting_reaches_the_trainer(tmp_path, tiny_model, monkeypatch, what):
    from trl import SFTTrainer

    from tunegate.trainers.training import methods

    for name in ("arguments_of", "trainer_of"):
        monkeypatch.setattr(methods, name, getattr(methods, name))  # put back afterwards
    recipe = read_recipe(ROOT / "trainers/recipes/support.yaml")
    rows = training_child.rows_of(recipe, tiny_model)[:4]

    trainer = training_child.build(SETTINGS[what], recipe, tiny_model, rows, tmp_path)

    changed = dict(SETTINGS[what])
    assert (type(trainer) is SFTTrainer) == changed.pop(PLAIN, False)
    for name, value in changed.items():
        assert getattr(trainer.args, name) == value
    assert trainer.args.learning_rate == recipe.optim.lr


def test_trl_is_left_as_it_comes(tmp_path, tiny_model):
    recipe = read_recipe(ROOT / "trainers/recipes/support.yaml")
    rows = training_child.rows_of(recipe, tiny_model)[:4]

    trainer = training_child.trl_defaults(recipe, tiny_model, rows, Path(tmp_path))

    assert (trainer.args.bf16, trainer.args.gradient_checkpointing, trainer.args.max_length) == (True, True, 1024)


def test_the_report_says_how_much_faster_and_at_which_loss():
    said = report(runs(20.0, 30.0), "made so.")

    assert "- Ours is 2.00 to 3.00 times as fast as TRL's defaults, at 3,000 MB against 3,000 MB at the peak." in said
    assert "- The loss afterwards: 1.000 against 1.500, over 2 seeds." in said
    assert "- Gradient checkpointing on: 0.50 times as fast, +0 MB, loss 1.000" in said
    assert "| TRL's defaults | 1 | 33 | 50 | 3,000 | 1.500 |" in said


def test_to_be_slower_than_the_defaults_breaks_the_promise():
    assert list(broken(runs(11.0, 10.0))) == []
    assert list(broken(runs(11.0, 9.0))) == ["with seed 1 ours took 10 s, TRL's defaults 9 s"]
