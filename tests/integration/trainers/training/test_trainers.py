"""TRL's trainers as they are used here, on the tiny model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tunegate.harness.core.progress import quiet
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import Optim
from tunegate.trainers.data.token_weights import TokenWeights, weigh_tokens
from tunegate.trainers.data.tokenize import Tokens
from tunegate.trainers.training.methods import OutputTrainer, WeightedTrainer
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


WEIGHED = [Tokens([3, 4, 50, 60, 51, 2], [0, 0, 1, 1, 1, 1]), Tokens([3, 50, 61, 51, 2], [0, 1, 1, 1, 1])]


@pytest.fixture
def weighed(tmp_path, tiny_model):
    """A trainer with weights of tokens, and one batch of it."""
    optim = Optim(batch=2, varying_weight=5.0)
    recipe = Recipe(tmp_path / "recipe.yaml", "desk", (), tmp_path / "adapter", str(tiny_model), optim=optim)
    with quiet_libraries():
        trainer = build_trainer(recipe, tiny_model, WEIGHED, tmp_path, quiet())
    trainer.model.train()
    (batch,) = trainer.get_train_dataloader()
    return trainer, batch


def loss_of(trainer, batch, kind):
    """The loss of a batch as this class of trainers computes it, and its gradients."""
    trainer.model.zero_grad()
    loss = kind.compute_loss(trainer, trainer.model, dict(batch), num_items_in_batch=7)
    loss.backward()
    return loss.detach(), [each.grad.clone() for each in trainer.model.parameters() if each.grad is not None]


def test_with_weights_of_1_the_loss_is_that_of_trl_to_the_last_bit(weighed):
    trainer, batch = weighed
    trainer.token_weights = TokenWeights({row.output: [1.0] * 4 for row in WEIGHED}, 8, 0)

    (plain, plain_grads), (ours, our_grads) = (
        loss_of(trainer, batch, kind) for kind in (OutputTrainer, WeightedTrainer)
    )

    assert torch.equal(plain, ours)
    assert plain_grads
    assert all(map(torch.equal, plain_grads, our_grads))


def test_each_token_counts_by_its_weight(weighed):
    trainer, batch = weighed
    weights = weigh_tokens(WEIGHED, 5).of_output
    assert trainer.token_weights.of_output == weights

    with torch.no_grad():
        logits = trainer.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = 0.0
    for row, labels in enumerate(batch["labels"]):
        places = [at for at, label in enumerate(labels.tolist()) if label != -100]
        output = tuple(labels[places].tolist())
        for at, weight in zip(places, weights[output], strict=True):
            expected -= weight * logits[row, at - 1].log_softmax(-1)[labels[at]].item() / 7

    assert loss_of(trainer, batch, WeightedTrainer)[0].item() == pytest.approx(expected, rel=1e-3)
    assert loss_of(trainer, batch, WeightedTrainer)[0] != loss_of(trainer, batch, OutputTrainer)[0]


def test_the_validation_loss_has_no_weights(weighed):
    trainer, batch = weighed
    trainer.model.eval()

    with torch.no_grad():
        losses = [kind.compute_loss(trainer, trainer.model, dict(batch)) for kind in (OutputTrainer, WeightedTrainer)]

    assert torch.equal(*losses)
