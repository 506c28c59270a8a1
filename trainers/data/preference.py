"""Preferences: rows with a rejected output as token ids, and the template probes on their training batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.rows.examples import Example
from tunegate.trainers.config.recipe import DPO, KTO, PREFERENCE_METHODS, Recipe
from tunegate.trainers.data.tokenize import BATCH, VERSION, Tokens, check_batch, tokenize
from tunegate.trainers.data.writer import Writer


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with its output and the rejected one, each as a complete row of token ids."""

    chosen: Tokens
    rejected: Tokens

    @property
    def length(self) -> int:
        """Number of tokens that a step computes; the prompt counts twice."""
        return self.chosen.length + self.rejected.length

    def columns(self) -> dict[str, list[int]]:
        """The columns that TRL's collator expects."""
        return {"prompt_ids": self.chosen.prompt, "chosen_ids": [*self.chosen.output],
                "rejected_ids": [*self.rejected.output]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LabelledExample:
    """An output that is liked or disliked."""

    tokens: Tokens
    liked: bool

    @property
    def length(self) -> int:
        """Number of tokens that a step computes, including the prompt paired with another row's output."""
        return 2 * self.tokens.length

    def columns(self) -> dict[str, Any]:
        """The columns that TRL's collator expects."""
        return {"prompt_ids": self.tokens.prompt, "completion_ids": [*self.tokens.output], "label": self.liked}


WANTED = {
    DPO: "a `rejected` output, since method dpo compares two",
    KTO: "a `rejected` output, or a `label: false`, in at least one row with method kto",
}
KINDS: Mapping[str, Callable[[Example], bool]] = {
    "a liked output": lambda row: row.liked,
    "a worse output (`rejected`, or `label: false`)": lambda row: row.rejected is not None or not row.liked,
}  # kto needs each in at least one row
Data = Sequence[Tokens | Preference | LabelledExample]  # a method's training data


def for_method(rows: Sequence[Example], recipe: Recipe, say: Callable[[str], None]) -> list[Example]:
    """The rows as the recipe's method uses them; sft ignores rejected outputs and prints a note.

    Raises:
        AuthoringError: rows lack a rejected output and the method is dpo, or all rows do and the method is kto; or
            a row's own output is not liked, which only kto can use.
    """
    missing = [row for row in rows if row.rejected is None]
    disliked = [row for row in rows if not row.liked]
    if recipe.method == KTO:
        if len(disliked) == len(rows):
            hint = "kto learns what to prefer from both"
            raise AuthoringError([_problem(rows[0], "label", "true in at least one row", "false in all", hint)])
        if disliked or len(missing) < len(rows):
            return list(rows)
    elif disliked:
        expected = f"true, since method {recipe.method} learns each output"
        hint = "train with method kto, or delete the row"
        raise AuthoringError([_problem(row, "label", expected, "false", hint) for row in disliked])
    if recipe.method in PREFERENCE_METHODS:
        if missing:
            expected, hint = WANTED[recipe.method], "write a worse output, or train with method sft"
            raise AuthoringError([_problem(row, "", expected, "none", hint) for row in missing])
        return list(rows)
    unused = sum(row.rejected is not None for row in rows)
    if unused:
        say(f"  rejected outputs: {unused}, ignored by method sft")
    return [replace(row, rejected=None) for row in rows]


def check_left(rows: Sequence[Example], kept: Sequence[Example], given: Sequence[Example], recipe: Recipe) -> None:
    """Check that the rows to train on still have what method kto compares.

    `given` are all rows that were read, and `kept` those that were not dropped.

    Raises:
        Refused: no liked or no worse output is left.
    """
    for what, has in KINDS.items() if recipe.method == KTO else ():
        if not any(map(has, rows)):
            gone, there = [row.place for row in given if has(row)], {row.place for row in kept}
            dropped = _counted("dropped", [place for place in gone if place not in there])
            aside = _counted("set aside for validation", [place for place in gone if place in there])
            raise Refused(
                f"{show_path(recipe.path)}: method kto: expected {what} in at least one row to train on, found none: "
                f"{dropped}, {aside}; write further rows, or train with method sft"
            )


def _counted(what: str, places: Sequence[str]) -> str:
    return f"{len(places)} {what}" + (f" ({listed(places)})" if places else "")


def _problem(row: Example, key: str, expected: str, found: str, hint: str) -> Problem:
    return Problem(Path(row.file), row.line, key, expected, found, hint)


def tokenize_for(rows: Sequence[Example], writer: Writer, recipe: Recipe) -> Data:
    """Tokenize the rows for the recipe's method, one entry per row; see `unpaired` for kto.

    Raises:
        Refused: as in `tokenize`, for either output.
    """
    chosen = tokenize(rows, writer, recipe.optim.max_length)
    worse = [replace(row, output=row.rejected) for row in rows if row.rejected is not None]
    rejected = iter(tokenize(worse, writer, recipe.optim.max_length))
    return [_datum(row, tokens, rejected) for row, tokens in zip(rows, chosen, strict=True)]


def _datum(row: Example, tokens: Tokens, rejected: Iterator[Tokens]) -> Tokens | Preference | LabelledExample:
    if not row.liked:
        return LabelledExample(tokens, liked=False)
    return tokens if row.rejected is None else Preference(tokens, next(rejected))


def unpaired(data: Data, recipe: Recipe) -> Data:
    """The training data: for kto each output as its own example, shuffled by the seed; otherwise unchanged."""
    if recipe.method != KTO:
        return data
    chosen, rejected = apart(data)
    liked = [LabelledExample(each, liked=True) for each in chosen]
    found = liked + [LabelledExample(each, liked=False) for each in rejected]
    # TRL must keep this order, since it pairs each prompt of a step with the output of the previous one
    random.Random(recipe.seed).shuffle(found)  # noqa: S311
    return found


def apart(data: Data) -> tuple[list[Tokens], list[Tokens]]:
    """The rows with outputs to learn, and those with rejected or disliked ones; the latter are empty for sft."""
    chosen = [
        row.chosen if isinstance(row, Preference) else row for row in data if isinstance(row, Preference | Tokens)
    ]
    worse = [row for row in data if isinstance(row, Preference | LabelledExample)]
    return chosen, [row.rejected if isinstance(row, Preference) else row.tokens for row in worse]


def check_pairs(batch: Any, data: Sequence[Preference]) -> None:
    """The template probe for preferences: both halves of a batch match the rows, and each other.

    The collator's `batch` has outputs in the first half and rejected ones in the second, in the
    same order.

    Raises:
        Refused: as in `check_batch`, or an output is paired with another row's rejected output.
    """
    parts = zip(*(each.chunk(2) for each in _labelled(batch).values()), strict=True)
    halves = [dict(zip(BATCH, part, strict=True)) for part in parts]
    check_batch(halves[0], [pair.chosen for pair in data])
    check_batch(halves[1], [pair.rejected for pair in data])
    # with shuffled pairs, each half may be right, but dpo would compare outputs for different prompts
    known = {(tuple(pair.chosen.input_ids), tuple(pair.rejected.input_ids)) for pair in data}
    if any(pair not in known for pair in zip(*map(_wholes, halves), strict=True)):
        raise Refused(f"template probe: a batch compares the outputs of two rows; {VERSION}")


def check_labelled(batch: Any, data: Sequence[LabelledExample]) -> None:
    """The template probe for kto: each output matches its row, and so does its label.

    Raises:
        Refused: as in `check_batch`, or an output has the wrong label.
    """
    labelled = _labelled(batch)
    check_batch(labelled, [each.tokens for each in data])
    known = {(tuple(each.tokens.input_ids), each.liked) for each in data}
    if any(pair not in known for pair in zip(_wholes(labelled), map(bool, batch["label"]), strict=True)):
        raise Refused(f"template probe: a disliked output is labelled as liked, or the other way round; {VERSION}")


def _labelled(batch: Any) -> dict[str, Any]:
    # TRL's batches for dpo and kto have a mask and no labels; with labels, one probe serves all methods
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    return dict(zip(BATCH, (batch["input_ids"], batch["attention_mask"], labels), strict=True))


def _wholes(half: Any) -> list[tuple[int, ...]]:
    return [
        tuple(token for token, mask in zip(ids, attended, strict=True) if mask)
        for ids, attended in zip(half["input_ids"].tolist(), half["attention_mask"].tolist(), strict=True)
    ]
