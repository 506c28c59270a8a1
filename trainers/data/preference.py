"""Preferences: rows with a rejected answer, as token ids, and the probe on the batches that they are trained in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import AuthoringError, Problem, Refused
from tunegate.trainers.config.recipe import DPO, Recipe
from tunegate.trainers.data.examples import Example
from tunegate.trainers.data.tokenize import VERSION, Tokens, check_batch, tokenize


@dataclass(frozen=True, slots=True)
class Preference:
    """One prompt with its answer and the rejected one, each as a whole row of token ids."""

    chosen: Tokens
    rejected: Tokens

    @property
    def length(self) -> int:
        """Tokens that a step computes: the prompt counts twice."""
        return self.chosen.length + self.rejected.length

    def columns(self) -> dict[str, list[int]]:
        """As TRL's collator wants it."""
        return {"prompt_ids": self.chosen.prompt, "chosen_ids": [*self.chosen.answer],
                "rejected_ids": [*self.rejected.answer]}  # fmt: skip


Data = Sequence[Tokens] | Sequence[Preference]  # what a method trains on


def for_method(rows: Sequence[Example], recipe: Recipe, say: Callable[[str], None]) -> list[Example]:
    """The rows as the recipe's method uses them: sft leaves rejected answers aside and says so.

    Raises:
        AuthoringError: every row without a rejected answer, where the method is dpo.
    """
    if recipe.method == DPO:
        missing = [row for row in rows if row.rejected is None]
        if missing:
            raise AuthoringError([_missing(row) for row in missing])
        return list(rows)
    unused = sum(row.rejected is not None for row in rows)
    if unused:
        say(f"  rejected answers: {unused}, which method sft does not use")
    return [replace(row, rejected=None) for row in rows]


def _missing(row: Example) -> Problem:
    return Problem(Path(row.file), row.line, "", "a `rejected` answer, as method dpo compares two", "none",
                   "write the worse one, or train with method sft")  # fmt: skip


def tokenize_for(rows: Sequence[Example], tokenizer: Any, recipe: Recipe) -> Data:
    """The rows as token ids, as the recipe's method wants them.

    Raises:
        Refused: as `tokenize` does, for either answer.
    """
    chosen = tokenize(rows, tokenizer, recipe.optim.max_length)
    if recipe.method != DPO:
        return chosen
    worse = [replace(row, output=row.rejected or "") for row in rows]
    rejected = tokenize(worse, tokenizer, recipe.optim.max_length)
    return [Preference(*pair) for pair in zip(chosen, rejected, strict=True)]


def apart(data: Data) -> tuple[list[Tokens], list[Tokens]]:
    """The rows with their answers, and the same with the rejected ones: none where the method compares none."""
    pairs = [row for row in data if isinstance(row, Preference)]
    chosen = [row.chosen if isinstance(row, Preference) else row for row in data]
    return chosen, [pair.rejected for pair in pairs]


def check_pairs(batch: Any, data: Sequence[Preference]) -> None:
    """The template probe for preferences: both halves of a batch are what the rows say, and belong to one another.

    Args:
        batch: the collator's output: answers in its first half, rejected ones in its second, in the same order.
        data: the preferences, from which the batch was drawn.

    Raises:
        Refused: as `check_batch` does, or an answer stands beside another row's rejected one.
    """
    # TRL's batches for dpo have a mask and no labels: made here, so that one probe serves both methods
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    halves = [
        dict(zip(("input_ids", "attention_mask", "labels"), parts, strict=True))
        for parts in zip(
            *(each.chunk(2) for each in (batch["input_ids"], batch["attention_mask"], labels)), strict=True
        )
    ]
    check_batch(halves[0], [pair.chosen for pair in data])
    check_batch(halves[1], [pair.rejected for pair in data])
    # each half may be right while the pairs are shuffled: dpo would then compare answers to different questions
    known = {(tuple(pair.chosen.input_ids), tuple(pair.rejected.input_ids)) for pair in data}
    if any(pair not in known for pair in zip(*map(_wholes, halves), strict=True)):
        raise Refused(f"template probe: a batch compares the answers of two rows; {VERSION}")


def _wholes(half: Any) -> list[tuple[int, ...]]:
    return [
        tuple(token for token, mask in zip(ids, attended, strict=True) if mask)
        for ids, attended in zip(half["input_ids"].tolist(), half["attention_mask"].tolist(), strict=True)
    ]
