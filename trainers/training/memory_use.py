"""The memory that a training needs, estimated before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.core.errors import show_path
from tunegate.harness.models.memory import BYTES, StoredTensor, check_memory, stored_tensors
from tunegate.harness.models.resolve import loaded_weights
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.preference import Data

ADAM = 4  # float32 numbers for each weight of the adapter: itself, its gradient, and two moments
# For each input and output of a linear layer, the backward pass keeps so many bytes, and so many numbers in the type of
# the products. Fitted to the embedded model, whose 210 linear layers have 305,280 inputs and outputs: each more token
# took 1.07 to 1.16 MB with products in bfloat16, and 1.78 MB in float32. Steps of 1,024 tokens came to 2.11 GB (weights
# in float32), 1.65 GB (in bfloat16) and 2.49 GB (products in float32, too); estimated: 2.11, 1.63 and 2.59 GB.
KEPT_BYTES, KEPT_NUMBERS = 1.5, 1.1
BUFFERS = 130_000_000  # of the libraries: logits by parts, steps of the optimizer
NOT_ADAPTED = ("embed", "wte", "wpe", "lm_head")  # in the names of matrices that carry no adapter


def training_memory(
    recipe: Recipe, base: Path, data: Data, weights: str, products: str, processes: int = 1
) -> list[tuple[float, str]]:
    """The bytes that a training needs, and what they hold.

    `weights` and `products` are the types of the base's weights and of matrix products, such as
    `float32`. Each step's rows are shared by so many `processes`.
    """
    tensors = list(stored_tensors(loaded_weights(base)))
    matrices = [each for each in tensors if len(each.shape) == 2]
    linear = [each for each in matrices if not any(part in each.name for part in NOT_ADAPTED)]
    adapted = [each for each in linear if recipe.lora.target == "all-linear" or _module(each) in recipe.lora.target]
    rows, longest = recipe.optim.batch // processes, max(row.length for row in data)
    copied = sum(each.size for each in linear) if BYTES[weights] > BYTES[products] else 0  # autocast keeps them
    kept = (KEPT_BYTES + KEPT_NUMBERS * BYTES[products]) * sum(_widths(linear))
    return [
        (BYTES[weights] * sum(each.size for each in tensors), f"of weights in {weights}"),
        (BYTES[products] * copied, f"of their copies in {products}"),
        (ADAM * BYTES["float32"] * recipe.lora.r * sum(_widths(adapted)), "of adapter and optimizer"),
        (kept * rows * longest, f"of activations for {rows} rows of up to {longest} tokens"),
        (BUFFERS, "of buffers"),
    ]


def check_training_memory(
    recipe: Recipe, base: Path, data: Data, weights: str, products: str, processes: int = 1, free: int | None = None
) -> None:
    """Refuse a training that does not fit into the free memory; arguments as in `training_memory`.

    Raises:
        CouldNotRun: names what it needs, what is free, and what to do.
    """
    less = "--dtype bfloat16, " if weights == "float32" else ""
    check_memory(
        f"{show_path(recipe.path)}: training", training_memory(recipe, base, data, weights, products, processes),
        f"use {less}a smaller optim.batch, or shorter rows (optim.max_length refuses longer ones)", free,
    )  # fmt: skip


def _module(tensor: StoredTensor) -> str:
    return tensor.name.split(".")[-2]


def _widths(tensors: list[StoredTensor]) -> Iterator[int]:
    """Inputs plus outputs of each layer."""
    return (sum(each.shape) for each in tensors)
