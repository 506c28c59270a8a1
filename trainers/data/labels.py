"""The labels that rows teach, and which of them lose many rows to what is left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tunegate.harness.checks.outputs.message import read_output
from tunegate.harness.core.escaping import shown
from tunegate.harness.rows.examples import Example, parsed_output

ROWS_PER_VALUE = 4  # on average, of a field whose values are labels
FEWEST = 4  # rows of a label that may be warned about
MOST = 8  # labels shown
TOOL = "tool"  # the field of the tools that are called

Label = tuple[str, str]  # the field's path, and its value as JSON


def render_lost_labels(before: Sequence[Example], after: Sequence[Example]) -> Iterator[str]:
    """Yield a warning for each label that keeps at most half of its rows, the largest losses first.

    Labels are the values of fields whose values repeat: in outputs that are JSON objects, each in four rows on average.
    """
    known, kept = (_counted(rows) for rows in (before, after))
    values, rows_of = Counter(field for field, _ in known), Counter[str]()
    for (field, _), count in known.items():
        rows_of[field] += count
    halved = [
        label for label, count in known.items()
        if rows_of[label[0]] >= ROWS_PER_VALUE * values[label[0]] and count >= FEWEST and kept[label] <= count / 2
    ]  # fmt: skip
    halved.sort(key=lambda label: kept[label] - known[label])
    for field, value in halved[:MOST]:
        fall = f"from {known[field, value]} to {kept[field, value]} rows"
        yield f"  warning: {shown(field)} = {shown(value)} falls {fall}; write further rows for it"
    if len(halved) > MOST:
        yield f"  warning: {len(halved) - MOST} more labels keep at most half of their rows"


def _counted(rows: Sequence[Example]) -> Counter[Label]:
    return Counter(label for row in rows for label in set(_labels(row)))


def _labels(row: Example) -> Iterator[Label]:
    """The labels of an output: of one with tools, those that it calls, or that it calls none."""
    if row.tools:
        calls = read_output(row.output).calls
        yield from ((TOOL, call.name) for call in calls) if calls else ((TOOL, "none"),)
    else:
        yield from _leaves("", parsed_output(row.output))


def _leaves(path: str, value: Any) -> Iterator[Label]:
    """Yield the texts and truth values of an object, by their paths."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), each)
    elif path and isinstance(value, str | bool):
        yield path, json.dumps(value, ensure_ascii=False)
