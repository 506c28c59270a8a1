"""The two methods by TRL: fine-tuning on answers, and direct preference optimisation (Rafailov et al. 2023)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer import utils

from tunegate.trainers.config.recipe import DPO, Recipe


class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer, which computes the chances of the whole vocabulary only for tokens that carry loss.

    TRL does so by itself where Triton is. On a CPU it computes them for the prompts and the padding too, three quarters
    of the demo's tokens, for the loss and again for its gradient, and multiplies all that by zero.
    """

    def compute_loss(self, *args: Any, **more: Any) -> Any:
        """The same loss, without what it does not depend on."""
        # `utils` asks this only to decide what to leave out; the kernels ask their own module. No setting does it.
        with patch.object(utils, "_use_triton", new=lambda _: True, create=True):
            return super().compute_loss(*args, **more)


class PairTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer, given token ids.

    It would tokenize texts itself, prompt and answer as one, where a token may reach across the border. The probe
    proves that its batches hold the ids as they were given.

    Its reference policy is the base or, where the model already has an adapter, a frozen copy of that adapter, which
    it names "ref".
    """

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


def trainer_of(recipe: Recipe) -> type[SFTTrainer] | type[DPOTrainer]:
    """The trainer of the recipe's method."""
    return PairTrainer if recipe.method == DPO else AnswerTrainer


def arguments_of(recipe: Recipe) -> Callable[..., Any]:
    """What makes the trainer's arguments: those of the method are set, those that both share remain."""
    if recipe.method == DPO:
        return functools.partial(DPOConfig, beta=recipe.dpo.beta)
    # Packed, several rows share a sequence, and the probe has no row to hold it against. The loss on answers is said
    # outright: left to itself, TRL takes it on prompts as well where rows have no column `prompt`.
    return functools.partial(SFTConfig, packing=False, completion_only_loss=True)
