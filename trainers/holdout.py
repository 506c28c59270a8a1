"""Proof that the fixtures are held out: no training row repeats a fixture's text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import regex

from harness.cases import Case, Task
from harness.errors import Refused
from trainers.rows import Row

LONG = 8  # words; shorter answers may come from a closed set, which every row shares with the fixtures
SHOWN = 5
_BETWEEN_WORDS = regex.compile(r"[\p{P}\p{Z}\p{C}]+")  # signs stay: an emoji may be all there is


def normalise(text: str) -> str:
    """A text without what a copy loses: case, white space, punctuation, compatibility forms.

    A text of punctuation alone keeps it: it would equal every other one.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _BETWEEN_WORDS.sub(" ", plain).strip() or " ".join(plain.split())


def check_holdout(rows: Sequence[Row], tasks: Iterable[Task]) -> dict[str, int]:
    """Refuse rows that repeat a fixture's input, context or reference answer, up to case, space and punctuation.

    Returns:
        What was compared, for the training record.

    Raises:
        Refused: names the first rows, each with the case that it repeats.
    """
    held = {
        normalise(text): case
        for task in tasks
        for unit in task.units
        if not unit.of  # its cases are another unit's
        for case in unit.cases
        for text in _texts(case)
    }
    found = {row: next((held[text] for text in _row_texts(row) if text in held), None) for row in rows}
    leaks = [(row, case) for row, case in found.items() if case]
    if leaks:
        lines = [f"  {row.file}:{row.line} repeats {case.key} ({case.place})" for row, case in leaks[:SHOWN]]
        more = f"\n  and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
        raise Refused(
            f"{len(leaks)} of {len(rows)} training rows repeat fixtures; a score on cases the model was trained on "
            "means nothing. Delete these rows:\n" + "\n".join(lines) + more
        )
    return {"rows": len(rows), "fixture_texts": len(held), "exact_matches": 0}


def _texts(case: Case) -> Iterator[str]:
    yield case.input
    yield case.prompt.fill(case.input, case.context)  # a row of messages holds the prompt filled in
    if case.context:
        yield case.context
    yield from (text for text in _strings(case.expect) if _is_long(text))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _row_texts(row: Row) -> Iterator[str]:
    yield normalise(row.input)
    yield from (normalise(text) for role, text in row.messages if role == "user")
    answers = [row.output, *(text for role, text in row.messages if role == "assistant")]
    yield from (normalise(text) for text in answers if _is_long(text))


def _is_long(text: str) -> bool:
    return len(text.split()) >= LONG
