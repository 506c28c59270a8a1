"""Which requests go through a model together, and what a batch of them is; what all prompts begin with is read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from tunegate.harness.models.api import Request

# A batch's shape can change a greedy answer, so how batches are made belongs to the engine that a baseline names: raise
# this number when it changes, and baselines are recorded again. TOKEN_BUDGET stands there by itself.
PLANNER = "2"
TOKEN_BUDGET = 8192  # tokens of a batch, prompt and answer, padding included
LOGITS = 100_000_000  # numbers that a batch may produce: rows x width x vocabulary, 400 MB in float32
LEAST = 16  # tokens; fewer are not worth a pass of their own

Encoded = tuple[list[int], list[int]]


def shared_prefix(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with, one of each left over at least; 0 where it is not worth it."""
    first, last = min(rows), max(rows)  # what these two share, all between them do
    # one token of each row is left over: `generate` begins with the logits of what is not in the cache
    room = min(map(len, rows)) - 1
    same = next((at for at in range(room) if first[at] != last[at]), room)
    return same if len(rows) > 1 and same >= LEAST else 0


def batch(model: Any, rows: Sequence[list[int]], pad: int) -> dict[str, Any]:
    """What `generate` takes for prompts of different lengths.

    Args:
        model: a transformers causal language model, also one with an adapter.
        rows: the prompts as token ids.
        pad: fills up shorter prompts, between what they share and what they do not.

    Returns:
        `input_ids` and `attention_mask`, both (rows, tokens), and the `cache` of what the rows share, if they do.
    """
    import torch

    # The padding stands behind what is shared: so one cache fits every row, and each prompt ends at the right edge,
    # where `generate` goes on. The outputs are the same, few-shot 1.5 to 2.3 times as fast
    # (benchmarks/results/prefix.md).
    same, width = shared_prefix(rows), max(map(len, rows))
    there = partial(torch.tensor, device=model.device)
    gaps = [width - len(row) for row in rows]
    ids = [[*row[:same], *[pad] * gap, *row[same:]] for row, gap in zip(rows, gaps, strict=True)]
    mask = [[1] * same + [0] * gap + [1] * (width - gap - same) for gap in gaps]
    inputs = {"input_ids": there(ids), "attention_mask": there(mask)}
    return inputs | ({"cache": _read(model, rows[0][:same], len(rows))} if same else {})


def _read(model: Any, prefix: Sequence[int], rows: int) -> Any:
    """The keys and values of a prefix, for each of `rows`."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        # only keys and values are wanted, not a row of the vocabulary's size for each token of the prefix
        ids = torch.tensor([list(prefix)], device=model.device)
        model(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(rows)
    return cache


def plan_prompts(requests: Sequence[Request], lengths: Sequence[int]) -> list[list[int]]:
    """Batches of request indices: one decoding, opening and repeat each, longest first, within the token budget.

    The opening is every message but the last. A sampled answer would depend on its neighbours in a batch, so it gets
    none.
    """
    kinds = [(str(request.decoding), str(request.messages[:-1]), request.repeat) for request in requests]
    batches: list[list[int]] = []
    # Rows of like length share a batch, since the longest decides what all of them cost. The index comes last in the
    # key, so that the same requests always make the same batches.
    for index in sorted(range(len(lengths)), key=lambda index: (kinds[index], -lengths[index], index)):
        decoding = requests[index].decoding
        current = batches[-1] if batches else []
        fits = current and kinds[current[0]] == kinds[index] and not decoding.temperature
        widest = lengths[current[0]] if current else 0
        if fits and (widest + decoding.max_new_tokens) * (len(current) + 1) <= TOKEN_BUDGET:
            current.append(index)
        else:
            batches.append([index])
    return batches


def dealt(batches: Iterable[list[int]], requests: Sequence[Request]) -> Iterator[list[int]]:
    """The batches of repeats in parts, more of them for each later one: in the same ones they would answer the same."""
    for each in batches:
        parts = requests[each[0]].repeat + 1
        yield from (each[part::parts] for part in range(min(parts, len(each))))


def plan_texts(requests: Sequence[Sequence[Encoded]], vocabulary: int) -> Iterator[list[int]]:
    """Batches of request indices, longest texts first; the texts of one request stay together."""
    widths = [max(len(before) + len(text) for before, text in request) for request in requests]
    batch: list[int] = []
    rows = 0
    for index in sorted(range(len(requests)), key=lambda index: (-widths[index], index)):
        more = len(requests[index])
        if batch and (rows + more) * widths[batch[0]] * vocabulary > LOGITS:
            yield batch
            batch, rows = [], 0
        batch.append(index)
        rows += more
    if batch:
        yield batch
