"""A batch of prompts for a model: what all of them begin with, a system prompt or worked examples, is read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LEAST = 16  # tokens; fewer are not worth a pass of their own


def shared(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with, one of each left over at least; 0 where it is not worth it."""
    first, last = min(rows), max(rows)  # what these two share, all between them do
    room = min(map(len, rows)) - 1
    same = next((at for at in range(room) if first[at] != last[at]), room)
    return same if len(rows) > 1 and same >= LEAST else 0


def batch(model: Any, rows: Sequence[list[int]], pad: int) -> dict[str, Any]:
    """What `generate` takes for prompts of different lengths.

    Args:
        model: a transformers causal language model, also one that wears an adapter.
        rows: the prompts as token ids.
        pad: fills up shorter prompts, between what they share and what they do not.

    Returns:
        `input_ids` and `attention_mask`, both (rows, tokens), and the `cache` of what the rows share, if they do.
    """
    import torch

    same, width = shared(rows), max(map(len, rows))
    gaps = [width - len(row) for row in rows]
    ids = [[*row[:same], *[pad] * gap, *row[same:]] for row, gap in zip(rows, gaps, strict=True)]
    mask = [[1] * same + [0] * gap + [1] * (width - gap - same) for gap in gaps]
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    return inputs | ({"cache": _read(model, rows[0][:same], len(rows))} if same else {})


def _read(model: Any, prefix: Sequence[int], rows: int) -> Any:
    """The keys and values of a prefix, for each of `rows`."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(input_ids=torch.tensor([list(prefix)]), cache=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(rows)
    return cache
