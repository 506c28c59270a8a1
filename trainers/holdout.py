"""Proof that the fixtures are held out: no training row repeats a fixture's text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness.cases import Case, Task
from harness.errors import Refused
from trainers.rows import Row

LONG = 8  # words; shorter answers may come from a closed set, which every row shares with the fixtures
SHOWN = 5
_NOT_A_WORD = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """A text without what a copy loses: case, white space, punctuation, compatibility forms."""
    return _NOT_A_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def check_holdout(rows: Sequence[Row], tasks: Iterable[Task]) -> dict[str, int]:
    """Refuse rows that repeat a fixture's input, context or reference answer, up to case, space and punctuation.

    Returns:
        What was compared, for the training record.

    Raises:
        Refused: names the first rows, each with the case that it repeats.
    """
    held = {
        normalise(text): case for task in tasks for unit in task.units for case in unit.cases for text in _texts(case)
    }
    leaks = [(row, held[text]) for row in rows for text in _row_texts(row) if text in held]
    if leaks:
        lines = [f"  {row.file}:{row.line} repeats {case.key} ({case.place})" for row, case in leaks[:SHOWN]]
        more = f"\n  and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
        raise Refused(
            f"{len(leaks)} training rows repeat fixtures; a score on cases the model was trained on means nothing. "
            "Delete these rows:\n" + "\n".join(lines) + more
        )
    return {"rows": len(rows), "fixture_texts": len(held), "exact_matches": 0}


def _texts(case: Case) -> Iterator[str]:
    yield case.input
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
    if _is_long(row.output):
        yield normalise(row.output)


def _is_long(text: str) -> bool:
    return len(text.split()) >= LONG
