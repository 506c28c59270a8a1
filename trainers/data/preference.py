"""Preferences: rows with a rejected answer, as token ids, and the probes on the batches that they are trained in."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import AuthoringError, Problem, Refused
from tunegate.trainers.config.recipe import DPO, KTO, PREFERENCE_METHODS, Recipe
from tunegate.trainers.data.examples import Example
from tunegate.trainers.data.tokenize import BATCH, VERSION, Tokens, check_batch, tokenize


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
        return {"prompt_ids": self.chosen.prompt, "chosen_ids": [*self.chosen.output],
                "rejected_ids": [*self.rejected.output]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LabelledExample:
    """An answer that is liked, or is not."""

    tokens: Tokens
    liked: bool

    @property
    def length(self) -> int:
        """Tokens that a step computes: those of the prompt with another's answer come on top."""
        return 2 * self.tokens.length

    def columns(self) -> dict[str, Any]:
        """As TRL's collator wants it."""
        return {"prompt_ids": self.tokens.prompt, "completion_ids": [*self.tokens.output], "label": self.liked}


Data = Sequence[Tokens | Preference | LabelledExample]  # what a method trains on


def for_method(rows: Sequence[Example], recipe: Recipe, say: Callable[[str], None]) -> list[Example]:
    """The rows as the recipe's method uses them: sft leaves rejected answers aside and says so.

    Raises:
        AuthoringError: every row without a rejected answer, where the method is dpo, or kto and there is none at all.
    """
    missing = [row for row in rows if row.rejected is None]
    if recipe.method == KTO and len(missing) < len(rows):
        return list(rows)
    if recipe.method in PREFERENCE_METHODS:
        if missing:
            raise AuthoringError([_missing(row, recipe.method) for row in missing])
        return list(rows)
    unused = sum(row.rejected is not None for row in rows)
    if unused:
        say(f"  rejected answers: {unused}, which method sft does not use")
    return [replace(row, rejected=None) for row in rows]


def _missing(row: Example, method: str) -> Problem:
    wanted = "as method dpo compares two" if method == DPO else "in one row at least with method kto"
    return Problem(Path(row.file), row.line, "", f"a `rejected` answer, {wanted}", "none",
                   "write the worse one, or train with method sft")  # fmt: skip


def tokenize_for(rows: Sequence[Example], tokenizer: Any, recipe: Recipe) -> Data:
    """The rows as token ids, as the recipe's method wants them; a row each, until they are `unpaired`.

    Raises:
        Refused: as `tokenize` does, for either answer.
    """
    chosen = tokenize(rows, tokenizer, recipe.optim.max_length)
    worse = [replace(row, output=row.rejected) for row in rows if row.rejected is not None]
    rejected = iter(tokenize(worse, tokenizer, recipe.optim.max_length))
    pairs = zip(rows, chosen, strict=True)
    return [tokens if row.rejected is None else Preference(tokens, next(rejected)) for row, tokens in pairs]


def unpaired(data: Data, recipe: Recipe) -> Data:
    """What is trained on: for kto each answer by itself, in an order that the seed draws; else the same."""
    if recipe.method != KTO:
        return data
    chosen, rejected = apart(data)
    liked = [LabelledExample(each, liked=True) for each in chosen]
    found = liked + [LabelledExample(each, liked=False) for each in rejected]
    # TRL takes them in this order, for it pairs each prompt of a step with the answer to the one before
    random.Random(recipe.seed).shuffle(found)  # noqa: S311
    return found


def apart(data: Data) -> tuple[list[Tokens], list[Tokens]]:
    """The rows with their answers, and the same with the rejected ones: none where the method compares none."""
    pairs = [row for row in data if isinstance(row, Preference)]
    rows = [row for row in data if not isinstance(row, LabelledExample)]
    chosen = [row.chosen if isinstance(row, Preference) else row for row in rows]
    return chosen, [pair.rejected for pair in pairs]


def check_pairs(batch: Any, data: Sequence[Preference]) -> None:
    """The template probe for preferences: both halves of a batch are what the rows say, and belong to one another.

    Args:
        batch: the collator's output: answers in its first half, rejected ones in its second, in the same order.
        data: the preferences, from which the batch was drawn.

    Raises:
        Refused: as `check_batch` does, or an answer stands beside another row's rejected one.
    """
    parts = zip(*(each.chunk(2) for each in _labelled(batch).values()), strict=True)
    halves = [dict(zip(BATCH, part, strict=True)) for part in parts]
    check_batch(halves[0], [pair.chosen for pair in data])
    check_batch(halves[1], [pair.rejected for pair in data])
    # each half may be right while the pairs are shuffled: dpo would then compare answers to different questions
    known = {(tuple(pair.chosen.input_ids), tuple(pair.rejected.input_ids)) for pair in data}
    if any(pair not in known for pair in zip(*map(_wholes, halves), strict=True)):
        raise Refused(f"template probe: a batch compares the answers of two rows; {VERSION}")


def check_labelled(batch: Any, data: Sequence[LabelledExample]) -> None:
    """The template probe for answers that are liked or not: each is what its row says, and counts as its row says.

    Raises:
        Refused: as `check_batch` does, or an answer counts as liked that is not, or the other way round.
    """
    labelled = _labelled(batch)
    check_batch(labelled, [each.tokens for each in data])
    known = {(tuple(each.tokens.input_ids), each.liked) for each in data}
    if any(pair not in known for pair in zip(_wholes(labelled), map(bool, batch["label"]), strict=True)):
        raise Refused(f"template probe: an answer counts as liked that is not, or the other way round; {VERSION}")


def _labelled(batch: Any) -> dict[str, Any]:
    # TRL's batches for dpo and kto have a mask and no labels: made here, so that one probe serves all methods
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    return dict(zip(BATCH, (batch["input_ids"], batch["attention_mask"], labels), strict=True))


def _wholes(half: Any) -> list[tuple[int, ...]]:
    return [
        tuple(token for token, mask in zip(ids, attended, strict=True) if mask)
        for ids, attended in zip(half["input_ids"].tolist(), half["attention_mask"].tolist(), strict=True)
    ]
