"""TRL's trainers as they are used here, on the tiny model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tunegate.harness.core.progress import quiet
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import Optim
from tunegate.trainers.data.tokenize import Tokens
from tunegate.trainers.training.trainers import build_trainer, quiet_libraries


def test_the_vocabulary_is_computed_only_for_tokens_that_carry_loss(tmp_path, tiny_model, monkeypatch):
    from trl import SFTTrainer
    from trl.trainer import utils

    recipe = Recipe(tmp_path / "recipe.yaml", "desk", (), tmp_path / "adapter", str(tiny_model), optim=Optim(batch=2))
    rows = [Tokens([*range(10, 30), 40, 2], [0] * 20 + [1] * 2), Tokens([10, 11, 50, 51, 2], [0] * 2 + [1] * 3)]
    with quiet_libraries():
        trainer = build_trainer(recipe, tiny_model, rows, tmp_path, quiet())
        (batch,) = trainer.get_train_dataloader()
    seen, usual = [], utils._ChunkedLogProbFunction.apply

    def spy(hidden, *rest):
        seen.append(len(hidden))
        return usual(hidden, *rest)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", SimpleNamespace(apply=spy))

    ours = trainer.compute_loss(trainer.model, dict(batch))
    plain = SFTTrainer.compute_loss(trainer, trainer.model, dict(batch))

    assert seen == [2 + 3, 2 * 21]  # TRL on a CPU: every token but the last of both rows, padding included
    assert ours.item() == pytest.approx(plain.item(), rel=1e-5)


@pytest.mark.parametrize(("optim", "warmup"), [({"epochs": 1}, 0), ({"epochs": 2, "warmup": 0.9}, 1), ({}, 0.05)])
def test_a_warmup_never_takes_all_steps(tmp_path, tiny_model, optim, warmup):
    chosen = Optim(batch=2, **optim)
    recipe = Recipe(tmp_path / "recipe.yaml", "desk", (), tmp_path / "adapter", str(tiny_model), optim=chosen)
    rows = [Tokens([10, 11, number, 51, 2], [0] * 2 + [1] * 3) for number in (50, 52)]
    with quiet_libraries():
        trainer = build_trainer(recipe, tiny_model, rows, tmp_path, quiet())
        trainer.train()

    assert trainer.args.warmup_steps == warmup
    assert max(each["learning_rate"] for each in trainer.state.log_history if "loss" in each) == chosen.lr
