"""The forgetting meter on the tiny model."""

from __future__ import annotations

import math

import pytest

from tunegate.harness.models.local.huggingface import load_base
from tunegate.trainers.training.divergence import mean_divergence

TEXTS = [([5, 6, 7], [8, 9]), ([10, 11], [12])]


@pytest.fixture
def tuned(tiny_model):
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(load_base(tiny_model), lora).eval()


def move(tuned, by: float) -> None:
    """Give the second matrices, which begin at zero, some weight."""
    import torch

    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.add_(by)


def test_an_adapter_that_does_nothing_yet_is_where_its_base_is(tuned):
    assert mean_divergence(tuned, TEXTS) == 0.0


def test_it_is_the_mean_over_tokens_of_the_exact_divergence_of_the_tuned_model_from_the_base(tuned):
    import torch
    from torch.distributions import Categorical, kl_divergence

    move(tuned, 0.05)

    each = []
    for prompt, completion in TEXTS:
        ids = torch.tensor([prompt + completion])
        with torch.no_grad():
            q = tuned(ids).logits[0]
            with tuned.disable_adapter():
                p = tuned(ids).logits[0]
        predicting = slice(len(prompt) - 1, -1)  # each place predicts the next token
        each += kl_divergence(Categorical(logits=p[predicting]), Categorical(logits=q[predicting])).tolist()

    assert mean_divergence(tuned, TEXTS) == pytest.approx(sum(each) / 3, rel=1e-4)
    assert min(each) > 0


def test_it_grows_with_the_distance_and_leaves_the_adapter_as_trainable_as_it_was(tuned):
    def trainable():
        return [name for name, weight in tuned.named_parameters() if weight.requires_grad]

    before, found = trainable(), []
    for _ in range(3):
        move(tuned, 0.02)
        found.append(mean_divergence(tuned, TEXTS))

    assert found == sorted(found)
    assert trainable() == before != []


def test_of_nothing_there_is_none(tuned):
    assert math.isnan(mean_divergence(tuned, []))
