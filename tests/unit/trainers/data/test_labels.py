"""Labels that lose many rows."""

from __future__ import annotations

import json

from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.labels import render_lost_labels


def row(number: int, **output: object) -> Example:
    return Example((("user", f"q{number}"),), f"q{number}", json.dumps(output), "rows.jsonl", number + 1)


def test_a_label_that_falls_by_half_is_named_and_texts_are_not():
    rows = [row(n, urgent=n % 4 == 0, intent="abc"[n % 3], text=f"text {n}", at={"day": "mo"}) for n in range(48)]
    kept = [each for n, each in enumerate(rows) if n % 4 or n < 16]
    assert list(render_lost_labels(rows, kept)) == [
        "  warning: urgent = true falls from 12 to 4 rows; write further rows for it"
    ]
    assert list(render_lost_labels(rows, rows)) == []


def test_many_labels_are_counted_and_other_outputs_have_none():
    rows = [row(n, intent=f"i{n % 10}") for n in range(60)]
    lines = list(render_lost_labels(rows, rows[:10]))
    assert len(lines) == 9
    assert lines[-1] == "  warning: 2 more labels keep at most half of their rows"
    prose = [Example((), f"q{n}", "Yes, of course.", "rows.jsonl", n) for n in range(40)]
    odd = [Example((), "q", "[" * 100_000, "rows.jsonl", 1)]
    assert list(render_lost_labels([*prose, *odd], prose[:2])) == []
