"""The divergence of a model in training from its base, a measure of forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunegate.harness.models.tokenizer import Encoded


def mean_divergence(model: Any, texts: Sequence[Encoded]) -> float:
    """The mean KL divergence of a tuned model from its base, in nats per token.

    With the base's distribution over the vocabulary p and the tuned model's q, after the prompt x and the tokens of a
    completion y before it, a token's divergence is

        KL(p || q) = sum over v of p(v | x, y<t) (log p(v | x, y<t) - log q(v | x, y<t)),

    computed exactly, over the whole vocabulary. Its mean over the tokens of completions that the base itself sampled
    for the task's prompts estimates the forward KL divergence, E over x of KL(p(. | x) || q(. | x)), per token, which
    predicts forgetting on other tasks (Shenfeld, Pari and Agrawal 2025, "RL's Razor", arXiv:2509.04259).

    Args:
        model: a PEFT model, in evaluation mode; without its adapter it is the base.
        texts: the prompts and completions as token ids.

    Returns:
        The mean over all tokens of the completions; NaN if there are none.
    """
    import torch

    total, tokens = 0.0, 0
    with torch.no_grad():
        for prompt, completion in texts:
            ids = torch.tensor([[*prompt, *completion]], device=model.device)
            tuned = _log_probabilities(model, ids, len(completion))
            with model.disable_adapter():
                base = _log_probabilities(model, ids, len(completion))
            total += float((base.exp() * (base - tuned)).sum())
            tokens += len(completion)
    return total / tokens if tokens else float("nan")


def _log_probabilities(model: Any, ids: Any, last: int) -> Any:
    """Log-probabilities of the whole vocabulary at each of the last tokens: float32, of shape (last, vocabulary)."""
    logits = model(input_ids=ids, use_cache=False).logits[0, -last - 1 : -1]
    return logits.float().log_softmax(-1)
