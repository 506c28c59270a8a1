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

    @property
    def answer(self) -> tuple[int, ...]:
        """The tokens on which the loss is taken."""
        return tuple(token for token, mask in zip(self.input_ids, self.completion_mask, strict=True) if mask)


def tokenize(rows: Sequence[Row], tokenizer: Any, max_length: int) -> list[Tokens]:
    """Tokenize every row: the prompt as the suites render it, the answer, then the end-of-turn token.

    Args:
        rows: what to train on.
        tokenizer: as `harness.base.load_tokenizer` gives it.
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
            f"{row.file}:{row.line}: expected at most optim.max_length = {max_length} tokens, found {length} "
            f"({len(long)} such rows); raise max_length or shorten them: a cut row never learns to stop"
        )
    return found


def _tokens(row: Row, tokenizer: Any, end: int) -> Tokens:
    place = f"{row.file}:{row.line}"
    prompt = render(tokenizer, Request(place, row.messages, Decoding()))
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    answer = tokenizer(row.output, add_special_tokens=False).input_ids
    if end in answer:
        raise Refused(f"{place}: expected an answer alone, found {tokenizer.eos_token} in it; the trainer adds it")
    return Tokens([*before, *answer, end], [0] * len(before) + [1] * (len(answer) + 1))


def check_labels(batch: Any, rows: Sequence[Tokens]) -> None:
    """Refuse a batch, as the trainer will see it, in which a row's loss is not on its whole answer and nothing else.

    The trap: where the pad token is the end token, a collator that masks every pad label masks the end of turn too.

    Args:
        batch: the collator's output, with `labels` of shape (rows, tokens), -100 where no loss is taken.
        rows: the rows, from which the batch was drawn.
    """
    answers = {row.answer for row in rows}
    for labels in batch["labels"].tolist():
        trained = tuple(token for token in labels if token != -100)
        if trained in answers:
            continue
        if any(answer[:-1] == trained for answer in answers):
            raise Refused("the end-of-turn token carries no loss in a training batch: the tuned model would never stop")
        raise Refused(
            f"a training batch takes the loss on other tokens than a row's answer ({len(trained)} of them); "
            "is this a version of trl that Tunegate supports?"
        )
