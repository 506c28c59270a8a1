"""The example repository: enough of it, varied, labelled as its rules say, and no row near a case."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from tests.support.example import EXAMPLE, cases
from tests.support.paths import ROOT
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.history.baselines.diff import question_differences
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.review.lint.rules import lint_fixtures
from tunegate.harness.rows.examples import read_examples
from tunegate.harness.rows.normalize import normalise
from tunegate.trainers.config.recipe import read_recipe

TASKS = load_tasks(EXAMPLE / "fixtures")
ROWS = read_examples(sorted((EXAMPLE / "recipes" / "rows").glob("*.jsonl")), TASKS[0])
CASES = cases("intake")
CASE_MESSAGES = [case.input for case in CASES]
ROW_MESSAGES = [row.input for row in ROWS if row.unit == "intake"]
RULES = (EXAMPLE / "fixtures" / "returns" / "README.md").read_text("utf-8")
FIELD = json.loads((EXAMPLE / "fixtures/returns/refs/intake.schema.json").read_text("utf-8"))["properties"]["items"]
VALUES = {name: field["enum"] for name, field in FIELD["items"]["properties"].items()}


def test_there_is_enough_of_it() -> None:
    assert len(CASES) >= 80
    assert len(ROW_MESSAGES) >= 220
    assert sum(case.critical for case in CASES) >= 8
    assert len(cases("questions")) >= 30


def test_lint_has_nothing_to_say() -> None:
    found = lint_fixtures(EXAMPLE / "fixtures", EXAMPLE / "baselines")

    assert found.mistakes == ()
    assert found.warnings == ()


def test_the_rules_explain_every_label() -> None:
    for field, values in VALUES.items():
        [section] = re.findall(rf"^## {field}: .*?(?=^## |\Z)", RULES, re.MULTILINE | re.DOTALL)
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == values


ANSWERS = {
    "cases": [case.expect for case in CASES],
    "rows": [json.loads(row.output) for row in ROWS if row.unit == "intake"],
}


def test_every_label_comes_up_often_enough_and_none_nearly_always() -> None:
    for answers in ANSWERS.values():
        for field, values in VALUES.items():
            labels = Counter(item[field] for answer in answers for item in answer["items"])
            assert set(labels) == set(values)
            assert min(labels.values()) >= 8
            assert max(labels.values()) <= sum(labels.values()) / 2


def test_some_messages_hold_nothing_and_some_several_things() -> None:
    for answers in ANSWERS.values():
        sizes = Counter(len(answer["items"]) for answer in answers)
        assert sizes[0] >= 3
        assert sum(count for size, count in sizes.items() if size > 1) >= 15


def test_the_tag_for_several_products_is_there_where_they_are() -> None:
    for case in CASES:
        assert (case.tags.get("products") == "several") is (len(case.expect["items"]) > 1), case.key
        assert case.tags["channel"] in {"email", "chat", "form"}, case.key


def test_an_expectation_is_a_whole_answer() -> None:
    for case in CASES:
        assert case.check(json.dumps(case.expect), case.expect, case.input).findings == (), case.key


def test_every_row_passes_the_check_of_its_unit() -> None:
    for row in ROWS:
        case = find_unit(TASKS, f"returns/{row.unit}").cases[0]
        expect = None if row.unit == "intake" else {"answer": [row.output]}
        assert case.check(row.output, expect, row.input).findings == (), f"{row.file}:{row.line}"


def test_messages_are_written_one_by_one() -> None:
    for messages in (CASE_MESSAGES, ROW_MESSAGES):
        assert max(Counter(" ".join(each.casefold().split()[:2]) for each in messages).values()) <= 3
        lengths = sorted(len(each.split()) for each in messages)
        assert lengths[0] <= 7
        assert lengths[-1] >= 60
    phrases = Counter(phrase for each in CASE_MESSAGES + ROW_MESSAGES for phrase in four_words(each))
    assert max(phrases.values()) <= 5, phrases.most_common(3)


def four_words(text: str) -> set[str]:
    words = normalise(text).split()
    return {" ".join(words[start : start + 4]) for start in range(len(words) - 3)}


def sentences(text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        plain = normalise(sentence)
        if len(plain.split()) >= 4:
            yield plain


def test_no_row_shares_a_sentence_with_a_case() -> None:
    held = {sentence for unit in TASKS[0].units for case in unit.cases for sentence in sentences(case.input)}

    assert [(row.line, each) for row in ROWS for each in sentences(row.input) if each in held] == []


def test_the_recipe_names_all_rows_and_this_task() -> None:
    recipe = read_recipe(EXAMPLE / "recipes" / "returns.yaml")

    assert recipe.task == TASKS[0].name
    assert sum(len(path.read_text("utf-8").splitlines()) for path in recipe.rows) == len(ROWS)


def test_the_baseline_asks_what_the_fixtures_ask() -> None:
    for unit in ("intake", "questions"):
        [path] = (EXAMPLE / "baselines").glob(f"smollm2-*/returns/{unit}.json")
        asked = find_unit(TASKS, f"returns/{unit}")
        baseline = read_baseline(path, asked.key)
        assert question_differences(baseline.questions, asked.questions, asked, baseline.results) == [], unit


def test_nothing_of_this_repository_is_needed_there() -> None:
    for path in EXAMPLE.rglob("*"):
        if path.is_file() and path.suffix in {".yaml", ".yml", ".toml", ".md", ".jsonl"}:
            text = path.read_text("utf-8")
            assert "../.." not in text, path
            assert "tunegate.harness" not in text, path
    assert not (EXAMPLE / "conftest.py").exists()
    assert ROOT in EXAMPLE.parents
