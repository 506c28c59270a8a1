"""Rows to token ids, so that what is trained is what the suites will ask: same prompt tokens, end of turn included."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.api import Request
from tunegate.harness.models.tokenizer import render_prompt
from tunegate.trainers.data.examples import Example

BATCH = ("input_ids", "attention_mask", "labels")
VERSION = "is this a version of trl that Tunegate supports?"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row as token ids; `completion_mask` is 1 where the loss is taken: the answer and its end of turn."""

    input_ids: list[int]
    completion_mask: list[int]

    @property
    def length(self) -> int:
        """Tokens that a step computes."""
        return len(self.input_ids)

    @property
    def prompt(self) -> list[int]:
        """The tokens before the answer."""
        return self.input_ids[: self.completion_mask.index(1)]

    @property
    def output(self) -> tuple[int, ...]:
        """The tokens on which the loss is taken."""
        return tuple(token for token, mask in zip(self.input_ids, self.completion_mask, strict=True) if mask)

    def columns(self) -> dict[str, list[int]]:
        """As TRL's collator wants it."""
        return asdict(self)


def tokenize(rows: Sequence[Example], tokenizer: Any, max_length: int) -> list[Tokens]:
    """Tokenize every row: the prompt as the suites render it, the answer, then the end-of-turn token.

    Args:
        rows: what to train on.
        tokenizer: as `tunegate.harness.models.local.huggingface.load_tokenizer` gives it.
        max_length: tokens a row may have.

    Raises:
        Refused: a row is longer than `max_length` (its end of turn would be cut), holds an end of turn inside its
            answer, or does not fit the chat template.
    """
    found = [_tokens(row, tokenizer, tokenizer.eos_token_id) for row in rows]
    long = [
        (row, len(each.input_ids)) for row, each in zip(rows, found, strict=True) if len(each.input_ids) > max_length
    ]
    if long:
        row, length = long[0]
        raise Refused(
            f"{row.place}: expected at most optim.max_length = {max_length} tokens, found {length} "
            f"({len(long)} such rows); raise max_length or shorten them: a cut row never learns to stop"
        )
    return found


def _tokens(row: Example, tokenizer: Any, end: int) -> Tokens:
    # By the very code that asks: a second way to build the prompt would drift from it, and the training aim elsewhere.
    prompt = render_prompt(tokenizer, Request(row.place, row.messages, Decoding()))
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    # Apart from the prompt, for together a token may reach across the border: a prompt that ends in it is never sent.
    completion = tokenizer(row.output, add_special_tokens=False).input_ids
    if end in completion:
        raise Refused(f"{row.place}: expected an answer alone, found {tokenizer.eos_token} in it; the trainer adds it")
    return Tokens([*before, *completion, end], [0] * len(before) + [1] * (len(completion) + 1))


def check_batch(batch: Any, rows: Sequence[Tokens]) -> None:
    """The template probe: refuse a batch, as the trainer will see it, that is not what the rows say.

    Each row must be whole, its prompt token for token the one that the suites send, and the loss must be on its whole
    answer, end of turn included, and on nothing else. The trap: where the pad token is the end token, a collator that
    masks every pad label masks the end of turn too.

    Args:
        batch: the collator's output: `input_ids`, `attention_mask` and `labels`, each of shape (rows, tokens); -100
            where no loss is taken.
        rows: the rows, from which the batch was drawn.
    """
    # by what the mask attends to, not by the pad token: that may be the end token, which belongs to the row
    wholes = {tuple(row.input_ids) for row in rows}
    outputs = {row.output for row in rows}
    for ids, attended, labels in zip(*(batch[name].tolist() for name in BATCH), strict=True):
        seen = tuple(token for token, mask in zip(ids, attended, strict=True) if mask)
        _check_whole(seen, wholes)
        _check_labels(tuple(token for token in labels if token != -100), outputs)


def _check_whole(seen: tuple[int, ...], wholes: Collection[tuple[int, ...]]) -> None:
    if seen in wholes:
        return
    longer = next((whole for whole in wholes if whole[: len(seen)] == seen), None)
    if longer:
        raise Refused(
            f"template probe: a training batch holds {len(seen)} of a row's {len(longer)} tokens: cut like this, the "
            f"tuned model would never stop; {VERSION}"
        )
    raise Refused(
        f"template probe: a training batch holds other tokens than its row, whose prompt is the one that the suites "
        f"send; {VERSION}"
    )


def _check_labels(trained: tuple[int, ...], outputs: Collection[tuple[int, ...]]) -> None:
    if trained in outputs:
        return
    if any(output[:-1] == trained for output in outputs):
        raise Refused(
            "template probe: the end-of-turn token carries no loss in a training batch: the tuned model would never "
            f"stop; {VERSION}"
        )
    raise Refused(
        f"template probe: a training batch takes the loss on other tokens than a row's answer ({len(trained)} of "
        f"them); {VERSION}"
    )
