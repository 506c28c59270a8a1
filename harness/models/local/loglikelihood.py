"""The log-probability of each token of given texts, in padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunegate.harness.models.api import LogProbs
from tunegate.harness.models.local.batching import Encoded

DECIMALS = 4  # stored, in nats: further digits may change with the number of threads


def encode(tokenizer: Any, prompt: str | None, text: str) -> Encoded:
    """The tokens before a text, which are given, and those of the text, which are scored.

    A text by itself is scored from its first token on: the begin or end token of texts comes before it.
    """
    if prompt is None:
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        before = [start]
    else:
        before = tokenizer(prompt, add_special_tokens=False).input_ids
    # encoded separately: together, a token may span the border, and other tokens would be scored
    return before, tokenizer(text, add_special_tokens=False).input_ids


def log_probabilities(model: Any, texts: Sequence[Encoded]) -> LogProbs:
    """The natural log-probabilities of each text's tokens, one tuple per text, with `DECIMALS` decimals."""
    import torch
    from torch.nn.functional import cross_entropy

    width = max(len(before) + len(text) for before, text in texts)
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
