"""The methods by TRL: on answers (SFT), on preferences (DPO), and on answers that are liked or not (KTO).

Direct preference optimisation is by Rafailov et al. 2023 (arXiv:2305.18290), KTO by Ethayarajh et al. 2024
(arXiv:2402.01306).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer
from trl.trainer import utils

from tunegate.trainers.config.recipe import DPO, KTO, Recipe


class OutputTrainer(SFTTrainer):  # type: ignore[misc]
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


class LabelTrainer(KTOTrainer):  # type: ignore[misc]
    """TRL's trainer, given token ids, for the same reason; its reference policy is that of `PairTrainer`."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:  # noqa: ARG002
        size = args.per_device_train_batch_size
        # as TRL does: in each batch a prompt with the answer to the one before, for the divergence from the reference
        return dataset.map(_mismatched, batched=True, batch_size=size)


def _mismatched(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    *others, last = batch["completion_ids"]
    return {**batch, "KL_completion_ids": [last, *others]}


def trainer_of(recipe: Recipe) -> type[SFTTrainer] | type[DPOTrainer] | type[KTOTrainer]:
    """The trainer of the recipe's method."""
    return {DPO: PairTrainer, KTO: LabelTrainer}.get(recipe.method, OutputTrainer)


def arguments_of(recipe: Recipe) -> Callable[..., Any]:
    """What makes the trainer's arguments: those of the method are set, those that all share remain."""
    # Grouped by length, one kind of row comes after the other: of the demo's 35 batches (280 rows, three kinds) 16
    # held six or more rows of one kind, sorted by length in runs, and the loss swung between 0.1 and 2.3 up to the
    # last step. At random it is 4 batches, for 14 % more tokens with the padding (45,000 against 39,400).
    drawn = {"train_sampling_strategy": "random"}
    if recipe.method == DPO:
        return functools.partial(DPOConfig, beta=recipe.dpo.beta, **drawn)
    if recipe.method == KTO:  # which were drawn before, see `unpaired`
        return functools.partial(KTOConfig, beta=recipe.kto.beta, train_sampling_strategy="sequential")
    # Packed, several rows share a sequence, and the probe has no row to hold it against. The loss on answers is said
    # outright: left to itself, TRL takes it on prompts as well where rows have no column `prompt`.
    return functools.partial(SFTConfig, packing=False, completion_only_loss=True, **drawn)
