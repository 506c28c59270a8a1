"""Tokenize rows with the same prompt tokens that the suites send, including the end of turn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunegate.harness.core.errors import Refused
from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.writer import Writer

BATCH = ("input_ids", "attention_mask", "labels")
VERSION = "is this a version of trl that Tunegate supports?"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row as token ids; `completion_mask` is 1 for tokens with loss: the output and its end of turn."""

    input_ids: list[int]
    completion_mask: list[int]

    @property
    def length(self) -> int:
        """Number of tokens that a step computes."""
        return len(self.input_ids)

    @property
    def prompt(self) -> list[int]:
        """The tokens before the output."""
        return self.input_ids[: self.completion_mask.index(1)]

    @property
    def output(self) -> tuple[int, ...]:
        """The tokens with loss."""
        return tuple(token for token, mask in zip(self.input_ids, self.completion_mask, strict=True) if mask)

    def columns(self) -> dict[str, list[int]]:
        """The columns that TRL's collator expects."""
        return asdict(self)


def tokenize(rows: Sequence[Example], writer: Writer, max_length: int) -> list[Tokens]:
    """Tokenize every row: the prompt as the suites render it, the output, then the end-of-turn token.

    Raises:
        Refused: a row is longer than `max_length` tokens, which would cut its end of turn, contains one in its
            output, or does not fit the chat template.
    """
    found = [_tokens(row, writer) for row in rows]
    long = [
        (row, len(each.input_ids)) for row, each in zip(rows, found, strict=True) if len(each.input_ids) > max_length
    ]
    if long:
        row, length = long[0]
        raise Refused(
            f"{row.place}: expected at most optim.max_length = {max_length} tokens, found {length} "
            f"({len(long)} such rows); raise max_length or shorten them: a truncated row never teaches to stop"
        )
    return found


def _tokens(row: Example, writer: Writer) -> Tokens:
    before, completion = writer.prompt(row), writer.completion(row)
    return Tokens([*before, *completion], [0] * len(before) + [1] * len(completion))


def check_batch(batch: Any, rows: Sequence[Tokens]) -> None:
    """The template probe: refuse a batch of the trainer that does not match the rows from which it was drawn.

    Each row must be complete, its prompt must match the suites' prompt token for token, and the
    loss must cover its whole output, including the end of turn, and no other token. If the pad
    token is the end token, a collator that masks all pad labels masks the end of turn too. The
    collator's `input_ids`, `attention_mask` and `labels` are each of shape (rows, tokens); labels
    without loss are -100.
    """
    # by the attention mask, not by the pad token, which may be the row's own end token
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
            f"template probe: a training batch holds {len(seen)} of a row's {len(longer)} tokens: with truncated rows, "
            f"the tuned model would never stop; {VERSION}"
        )
    raise Refused(
        f"template probe: the tokens of a training batch differ from those of its row, whose prompt is the suites' "
        f"prompt; {VERSION}"
    )


def _check_labels(trained: tuple[int, ...], outputs: Collection[tuple[int, ...]]) -> None:
    if trained in outputs:
        return
    if any(output[:-1] == trained for output in outputs):
        raise Refused(
            "template probe: the end-of-turn token has no loss in a training batch: the tuned model would never "
            f"stop; {VERSION}"
        )
    raise Refused(
        f"template probe: the loss in a training batch covers other tokens than a row's output ({len(trained)} "
        f"tokens); {VERSION}"
    )
