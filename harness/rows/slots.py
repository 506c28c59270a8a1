"""Slots: values of an output that stand in its input word for word; inputs of one task share the sentence around."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from tunegate.harness.rows.examples import parsed_output
from tunegate.harness.rows.normalize import is_fact, wording
from tunegate.harness.rows.texts import CLOSED, Held
from tunegate.harness.rows.thresholds import Near

Words = tuple[str, ...]
SENTENCE = range(2, 11)  # words outside the slots; a longer text with other names is an edited copy
MISSPELLED = 0.75  # of two words that are one, misspelled (difflib)


class Slots:
    """The slots that cases fill; `differ` is whether a row shares a case's sentence and none of its values."""

    def __init__(self, cases: Iterable[Held]) -> None:
        counts = Counter(value for case in cases for value in set(_filled(case.input, case.expect)))
        self._common = {value for value, count in counts.items() if count >= CLOSED}

    def differ(self, near: Near) -> bool:
        """Whether both inputs fill slots, around one short sentence, and every value of the row is another."""
        case, row = near.eval_text.case, near.row
        if near.text != row.input or near.eval_text.text != case.text:
            return False
        held, taught = (
            [value for value in _filled(text, answer) if value not in self._common]
            for text, answer in ((case.input, case.expect), (row.input, parsed_output(row.output)))
        )
        around = len(wording(case.input).plain) - sum(map(len, held))
        return (
            around in SENTENCE
            and all(any(not _is_number(value) for value in side) for side in (held, taught))
            and all(_is_another(one, other) for one in held for other in taught)
        )


def _is_number(words: Words) -> bool:
    return all(map(is_fact, words))


def _is_another(one: Words, other: Words) -> bool:
    """Whether two values differ in half of their words or more, and by more than a number in them or the spelling."""
    if _is_number(one) or _is_number(other):
        return one != other
    shared = set(one) & set(other)
    left, right = (tuple(word for word in words if word not in shared) for words in (one, other))
    if min(len(left), len(right)) < max(1, len(shared)) or _is_number(left) or _is_number(right):
        return False
    return not any(get_close_matches(word, right, 1, MISSPELLED) for word in left)


def _filled(text: str, output: Any) -> list[Words]:
    """The words of each value of an output or expectation that stands in the text."""
    words = wording(text).plain
    values = {wording(value).plain for value in _values(output)}
    return [value for value in sorted(values) if value and _stands(value, words)]


def _stands(value: Words, words: Sequence[str]) -> bool:
    return any(tuple(words[at : at + len(value)]) == value for at in range(len(words) - len(value) + 1))


def _values(answer: Any) -> Iterator[str]:
    if isinstance(answer, dict | list):
        for inner in answer.values() if isinstance(answer, dict) else answer:
            yield from _values(inner)
    elif isinstance(answer, str | int | float) and not isinstance(answer, bool):
        yield str(answer)
