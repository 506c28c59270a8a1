"""The demo's own data: enough of it, varied, and no sentence shared between what is trained and what is asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.baselines import read_baseline
from harness.cases import Case, Unit, find_unit, load_tasks
from harness.changes import question_differences
from trainers.holdout import check_holdout, normalise
from trainers.rows import Row, read_rows

ROOT = Path(__file__).parent.parent
TASKS = load_tasks(ROOT / "fixtures")
ROWS = read_rows(sorted((ROOT / "trainers/rows").glob("*.jsonl")), TASKS[0])
LEAST_CASES = {"support/triage": 120, "support/replies": 60, "support/wording": 60}
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@pytest.mark.parametrize(("unit", "least"), LEAST_CASES.items())
def test_there_are_enough_cases(unit: str, least: int) -> None:
    assert len(find_unit(TASKS, unit).cases) >= least


def test_there_are_about_two_hundred_rows_over_the_three_units() -> None:
    per_unit = Counter(row.unit for row in ROWS)
    assert set(per_unit) == {"triage", "replies", "wording"}
    assert 200 <= sum(per_unit.values()) <= 320


def test_no_row_repeats_a_fixture() -> None:
    assert check_holdout(ROWS, TASKS)["exact_matches"] == 0


def sentences(text: str) -> Iterator[str]:
    for sentence in SENTENCE.split(text):
        plain = normalise(sentence)
        if len(plain.split()) >= 5:
            yield plain


def texts(case: Case) -> Iterator[str]:
    yield case.input
    if isinstance(case.expect, dict) and "says" in case.expect:
        yield case.expect["says"]


def test_no_row_shares_a_sentence_with_a_fixture() -> None:
    units = [unit for task in TASKS for unit in task.units]
    held = {
        sentence: case.key
        for unit in units
        for case in unit.cases
        for text in texts(case)
        for sentence in sentences(text)
    }
    shared = [
        (row.file, row.line, held[s]) for row in ROWS for s in sentences(f"{row.input}\n{row.output}") if s in held
    ]
    assert shared == []


def opening(text: str) -> str:
    first = text.removeprefix("Customer:").split()
    return " ".join(first[:2]).casefold()


@pytest.mark.parametrize("unit", LEAST_CASES)
def test_messages_are_varied(unit: str) -> None:
    messages = [case.input for case in find_unit(TASKS, unit).cases]
    assert max(Counter(map(opening, messages)).values()) <= 4
    lengths = sorted(len(message.split()) for message in messages)
    assert lengths[-1] >= 1.5 * lengths[len(lengths) // 20]
    assert len({word for message in messages for word in message.casefold().split()}) >= 6 * len(messages)


def expectation(row: Row, unit: Unit) -> Any:
    return {"triage": None, "replies": {"says": row.output}, "wording": {"terms": [], "wording": []}}[unit.name]


@pytest.mark.real
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{Path(row.file).stem}-{row.line}")
def test_every_row_passes_its_own_units_check(row: Row) -> None:
    unit = find_unit(TASKS, f"support/{row.unit}")
    outcome = unit.cases[0].check(row.output, expectation(row, unit), row.input)
    assert outcome.findings == ()


@pytest.mark.parametrize("unit", LEAST_CASES)
def test_the_committed_baseline_asks_what_the_fixtures_ask(unit: str) -> None:
    (path,) = (ROOT / "baselines").glob(f"smollm2-*/{unit}.json")
    baseline = read_baseline(path, unit)

    asked = find_unit(TASKS, unit)
    assert question_differences(baseline.questions, asked.questions, asked, baseline.results) == []


def test_triage_labels_are_spread() -> None:
    labels = [case.expect for case in find_unit(TASKS, "support/triage").cases]
    for values in (
        Counter(label["product"] for label in labels),
        Counter(label["request"]["kind"] for label in labels),
        Counter(label["request"]["urgency"] for label in labels),
        Counter(label["callback"] for label in labels),
    ):
        assert min(values.values()) >= 16
