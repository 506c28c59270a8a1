"""TRL's methods: on outputs (SFT), on preference pairs (DPO), and on liked and disliked outputs (KTO).

Sources: direct preference optimization, Rafailov et al. 2023 (arXiv:2305.18290); KTO, Ethayarajh et al. 2024
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
    """TRL's trainer, computing the logits only for tokens that carry loss.

    TRL does this by itself with Triton. On a CPU, it also computes them for prompts and padding, three quarters of the
    demo's tokens, for the loss and for its gradient, and multiplies them by zero.
    """

    def compute_loss(self, *args: Any, **more: Any) -> Any:
        """The same loss, without the logits it does not depend on."""
        # `utils` uses this only to decide what to skip; the kernels check their own module. No setting does it.
        with patch.object(utils, "_use_triton", new=lambda _: True, create=True):
            return super().compute_loss(*args, **more)


class PairTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer, given token ids.

    TRL would tokenize prompt and output as one text, where a token may span the boundary. The template probe checks
    that the batches hold the given ids.

    The reference policy is the base or, if the model already has an adapter, a frozen copy of that adapter, which TRL
    names "ref".
    """

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


class LabelTrainer(KTOTrainer):  # type: ignore[misc]
    """TRL's trainer, given token ids, for the same reason; the reference policy is as in `PairTrainer`."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:  # noqa: ARG002
        size = args.per_device_train_batch_size
        # as in TRL: each prompt with the output of the previous row of its batch, for the divergence estimate
        return dataset.map(_mismatched, batched=True, batch_size=size)


def _mismatched(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    *others, last = batch["completion_ids"]
    return {**batch, "KL_completion_ids": [last, *others]}


def trainer_of(recipe: Recipe) -> type[SFTTrainer] | type[DPOTrainer] | type[KTOTrainer]:
    """The trainer class of the recipe's method."""
    return {DPO: PairTrainer, KTO: LabelTrainer}.get(recipe.method, OutputTrainer)


def arguments_of(recipe: Recipe) -> Callable[..., Any]:
    """The constructor of the trainer's arguments, with the method's own arguments set."""
    # Grouping by length puts rows of one kind together: of the demo's 35 batches (280 rows, three kinds), 16 held six
    # or more rows of one kind, and the loss swung between 0.1 and 2.3 up to the last step. In random order it is 4
    # batches, for 14 % more tokens with the padding (45,000 against 39,400).
    drawn = {"train_sampling_strategy": "random"}
    if recipe.method == DPO:
        return functools.partial(DPOConfig, beta=recipe.dpo.beta, **drawn)
    if recipe.method == KTO:  # shuffled already, see `unpaired`
        return functools.partial(KTOConfig, beta=recipe.kto.beta, train_sampling_strategy="sequential")
    # With packing, several rows share a sequence, which the probe cannot check. `completion_only_loss` is explicit:
    # by default, TRL computes the loss on prompts as well if rows have no column `prompt`.
    return functools.partial(SFTConfig, packing=False, completion_only_loss=True, **drawn)
