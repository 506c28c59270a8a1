"""The loss of rows under an adapter and under its base."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.local.batching import Encoded, plan_texts
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.local.loglikelihood import encode, within_memory
from tunegate.harness.models.local.token_budget import budget_for_texts
from tunegate.harness.models.tokenizer import render_prompt
from tunegate.trainers.data.examples import Example

LONGEST = 2048  # tokens of a row; longer ones are not sampled


def sampled(rows: Sequence[Example], base: Local, count: int) -> list[tuple[Example, Encoded]]:
    """The same `count` rows every time, each encoded as the suites send it; of the liked outputs, not the longest."""
    found = list[tuple[Example, Encoded]]()
    for row in sorted(rows, key=lambda row: digest([0, row.messages, row.output])):
        if len(found) < count and row.liked and row.output:
            before, text = encode(base.tokenizer, render_prompt(base.tokenizer, row.request), row.output)
            if len(before) + len(text) < LONGEST:
                found.append((row, (before, [*text, base.tokenizer.eos_token_id])))
    return found


def losses(model: Any, texts: Sequence[Encoded], watch: Watch, name: str) -> list[float]:
    """The mean loss of each text per token, in nats."""
    found: list[float] = [0.0] * len(texts)
    budget = budget_for_texts(model)
    with watch(f"Computing the loss of {name}", len(texts)) as done:
        for indices in plan_texts([[text] for text in texts], lambda: budget.tokens):
            asked = [(f"row {index + 1} of the sample", texts[index]) for index in indices]
            for index, values in zip(indices, within_memory(model, asked, budget), strict=True):
                found[index] = -statistics.fmean(values)
            done(len(indices))
    return found
