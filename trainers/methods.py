"""The two methods by TRL: fine-tuning on answers, and direct preference optimisation (Rafailov et al. 2023)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from trainers.recipe import DPO, Recipe


class PairTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer, given token ids.

    It would tokenize texts itself, prompt and answer as one, where a token may reach across the border. The probe
    proves that its batches hold the ids as they were given.

    Its reference policy is the base or, where the model already wears an adapter, a frozen copy of that adapter, which
    it names "ref".
    """

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


def trainer_of(recipe: Recipe) -> type[SFTTrainer] | type[DPOTrainer]:
    """The trainer of the recipe's method."""
    return PairTrainer if recipe.method == DPO else SFTTrainer


def arguments_of(recipe: Recipe) -> Callable[..., Any]:
    """What makes the trainer's arguments: those of the method are set, those that both share remain."""
    if recipe.method == DPO:
        return functools.partial(DPOConfig, beta=recipe.dpo.beta)
    return functools.partial(SFTConfig, packing=False, completion_only_loss=True)
