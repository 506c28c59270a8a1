"""Of which metrics more or less is better: a few well-known names, read word by word. Any other is asked for.

A rise of `failed` or `refusals` that were taken for a gain would be held.
"""

from __future__ import annotations

import re
from typing import Literal

Better = Literal["higher", "lower"]
HIGHER: Better = "higher"
LOWER: Better = "lower"
BY_NAME = "by its name"
#: Shares of what went well.
RIGHT = frozenset({
    "pass", "passed", "pass rate", "pass 1", "success", "success rate", "correct", "is correct", "correctness", "score",
    "accuracy", "acc", "acc norm", "exact match", "exact", "em", "f 1", "f 1 score", "precision", "recall", "win rate",
    "bleu", "chrf", "rouge", "rouge 1", "rouge 2", "rouge l",
})  # fmt: skip
#: Amounts, which have no upper bound: an average cost below 1 is no share.
AMOUNTS = frozenset({
    "cost", "costs", "price", "latency", "duration", "runtime", "elapsed", "perplexity", "ppl", "loss", "nll",
    "bits per byte", "response time", "wall time", "completion time", "total time", "time to first token", "ttft",
    "tokens", "total tokens", "edit distance", "mae", "mse", "rmse",
})  # fmt: skip
#: Shares of what went wrong.
ERRORS = frozenset({
    "error rate", "failure rate", "hallucination rate", "refusal rate", "toxicity rate", "wer", "cer", "ter",
    "brier", "brier score", "toxicity", "word error rate", "character error rate",
})  # fmt: skip
_UNITS = frozenset({"ms", "s", "sec", "secs", "seconds", "millis", "milliseconds", "usd", "eur", "dollars"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def words_of_metric(name: str) -> str:
    """The words of a name, without the unit behind them: `latencyMs`, `latency_ms` and `Latency (ms)` alike."""
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[-1] in _UNITS:
        words.pop()
    return " ".join(words)


def is_amount(name: str) -> bool:
    """Whether a metric is, by its name, an amount of which less is better."""
    words = words_of_metric(name)
    return words in AMOUNTS or words.rpartition(" ")[2] in {"cost", "latency", "perplexity", "duration"}


def is_lower_better(name: str) -> bool:
    """Whether less of a metric is better by its name."""
    return is_amount(name) or words_of_metric(name) in ERRORS


def better_by_name(name: str) -> Better | None:
    """Whether more or less of a metric is better by its name; None if that is not certain."""
    if is_lower_better(name):
        return LOWER
    return HIGHER if words_of_metric(name) in RIGHT else None
