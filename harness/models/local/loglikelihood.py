"""The log-probability of each token of given texts, in padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunegate.harness.models.api import DECIMALS, LogProbs
from tunegate.harness.models.local.token_budget import TokenBudget, is_out_of_memory
from tunegate.harness.models.tokenizer import Encoded


def within_memory(model: Any, texts: Sequence[tuple[str, Encoded]], budget: TokenBudget) -> LogProbs:
    """As `log_probabilities`, of texts with their keys; in halves where all of them exhaust the memory.

    Raises:
        CouldNotRun: a single text exhausts it.
    """
    key, longest = max(texts, key=lambda text: _length(text[1]))
    held = _length(longest) * len(texts)
    if len(texts) == 1 or held <= budget.tokens or not budget.exhausted:
        try:
            found = log_probabilities(model, [text for _, text in texts])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(texts) == 1:
                raise budget.too_small(key, held) from error
        else:
            budget.grow(held)
            return found
        budget.halve(held)  # only here: the error holds what was computed
    half = len(texts) // 2
    return within_memory(model, texts[:half], budget) + within_memory(model, texts[half:], budget)


def _length(text: Encoded) -> int:
    return len(text[0]) + len(text[1])


def log_probabilities(model: Any, texts: Sequence[Encoded]) -> LogProbs:
    """The natural log-probabilities of each text's tokens, one tuple per text, with `DECIMALS` decimals."""
    import torch
    from torch.nn.functional import cross_entropy

    width = max(map(_length, texts))
    ids = torch.zeros((len(texts), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (before, text) in enumerate(texts):
        ids[row, : len(before) + len(text)] = torch.tensor([*before, *text])
        mask[row, : len(before) + len(text)] = 1
    with torch.inference_mode():  # padded on the right, which a causal model never sees
        ids, mask = ids.to(model.device), mask.to(model.device)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
        # in double on the CPU, since not every device has it
        lost = cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none").cpu().double()
    return tuple(
        # + 0.0: a probability of 1 is 0.0, never -0.0, which is another text in a baseline
        tuple(round(-value, DECIMALS) + 0.0 for value in lost[row, len(before) - 1 :][: len(text)].tolist())
        for row, (before, text) in enumerate(texts)
    )
