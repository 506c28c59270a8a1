"""Rows to token ids, so that what is trained is what the suites will ask: same prompt tokens, end of turn included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Decoding
from harness.errors import Refused
from harness.local import render
from harness.subject import Request
from trainers.rows import Row


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row as token ids; `completion_mask` is 1 where the loss is taken: the answer and its end of turn."""

    input_ids: list[int]
    completion_mask: list[int]


def tokenize(rows: Sequence[Row], tokenizer: Any, max_length: int) -> list[Tokens]:
    """Tokenize every row: the prompt as the suites render it, the answer, then the end-of-turn token.

    Raises:
        Refused: a row is longer than `max_length` (its end of turn would be cut), or the tokenizer has no end token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise Refused("expected a tokenizer with an end-of-turn token (eos), found none: the model would never stop")
    found = [_tokens(row, tokenizer, end) for row in rows]
    long = [
        (row, len(each.input_ids)) for row, each in zip(rows, found, strict=True) if len(each.input_ids) > max_length
    ]
    if long:
        row, length = long[0]
        raise Refused(
            f"{row.file}:{row.line}: expected at most optim.max_length = {max_length} tokens, found {length} "
            f"({len(long)} such rows); raise max_length or shorten them: a cut row never learns to stop"
        )
    return found


def _tokens(row: Row, tokenizer: Any, end: int) -> Tokens:
    prompt = render(tokenizer, Request("", row.messages, Decoding()))
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    answer = [*tokenizer(row.output, add_special_tokens=False).input_ids, end]
    return Tokens([*before, *answer], [0] * len(before) + [1] * len(answer))


def check_labels(batch: Any, end: int) -> None:
    """Refuse a batch, as the trainer will see it, in which a row's end of turn carries no loss.

    The trap: where the pad token is the end token, a collator that masks every pad label masks the end of turn too.

    Args:
        batch: the collator's output, with `labels` of shape (rows, tokens), -100 where no loss is taken.
        end: the end-of-turn token's id.
    """
    for labels in batch["labels"].tolist():
        trained = [token for token in labels if token != -100]
        if not trained or trained[-1] != end:
            raise Refused("the end-of-turn token carries no loss in a training batch: the tuned model would never stop")
