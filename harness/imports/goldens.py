"""Goldens of deepeval: a data set in JSON, JSONL or CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import text_of
from tunegate.harness.core.escaping import shown
from tunegate.harness.imports.model import (
    Imported,
    ImportedCase,
    LeftOut,
    Tally,
    case_name,
    made_cases,
    objects_of,
    plain_tags,
    prompt_of,
)
from tunegate.harness.imports.targets import Match, targets_of
from tunegate.harness.imports.templates import recorded_output

TOOL = "deepeval"
ACTUAL = "actual"  # the model's name of outputs that goldens hold
_OTHER_NAMES = {
    "actualOutput": "actual_output", "expectedOutput": "expected_output", "retrievalContext": "retrieval_context",
    "additionalMetadata": "additional_metadata", "toolsCalled": "tools_called", "expectedTools": "expected_tools",
    "sourceFile": "source_file", "expectedOutcome": "expected_outcome",
}  # fmt: skip
_MARKS = frozenset({"expected_output", "actual_output", "retrieval_context", "expected_tools"})
_CONVERSATION = frozenset({"scenario", "expected_outcome"})
_USED = frozenset({"input", "actual_output", "expected_output", "context", "name", "additional_metadata"})
_SPLIT = "|"  # between the passages of a cell of CSV


def is_golden(row: Any) -> bool:
    """Whether a row is a golden, or one of a conversation."""
    keys = _renamed(row).keys() if isinstance(row, Mapping) else set()
    return ("input" in keys and bool(_MARKS & keys)) or keys >= _CONVERSATION


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {_OTHER_NAMES.get(str(key), str(key)): value for key, value in row.items()}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without the keys that deepeval writes without a value."""
    return {key: value for key, value in _renamed(row).items() if value not in (None, "", [], {})}


def read_goldens(path: Path, rows: list[Any], match: str | None) -> Imported:
    """Import goldens: `--match`, by default `exact`, as deepeval's ExactMatchMetric.

    Raises:
        Refused: no golden can be used, or their expected outputs are prose.
    """
    tally, how = Tally(), Match(match, "exact", "deepeval's ExactMatchMetric")
    plain = [_plain(row) for row in objects_of(rows, tally)]
    how.check_prose(path, [[text_of(row["expected_output"])] for row in plain if "expected_output" in row])
    cases = made_cases(plain, lambda row: _case(row, how, tally), tally, "golden", "expected_output")
    return Imported(TOOL, path, cases, tally, notes=how.notes)


def _case(row: Mapping[str, Any], how: Match, tally: Tally) -> ImportedCase:
    if "input" not in row:
        raise LeftOut("a conversation that a model simulates" if "scenario" in row else "without an input")
    if "expected_output" not in row:
        raise LeftOut("without an expected output")
    asked, targets = prompt_of(row["input"], tally), targets_of(row["expected_output"])
    unused = sorted(row.keys() - _USED)
    tally.unused("key {}", unused, "no check here uses it")
    return ImportedCase(
        asked, case_name(row.get("name")), (how.rule(targets),), context=_passage(row.get("context")),
        tags=plain_tags(row.get("additional_metadata")),
        comments=tuple(shown(f"left out: {key}: {text_of(row[key], 100)}") for key in unused),
        outputs=recorded_output(ACTUAL, row.get("actual_output")),
    )  # fmt: skip


def _passage(context: Any) -> str | None:
    """The passages of a golden as one text."""
    if isinstance(context, str):
        context = context.split(_SPLIT)
    texts = [each for each in (context if isinstance(context, list) else []) if isinstance(each, str) and each.strip()]
    return "\n\n".join(texts) or None
