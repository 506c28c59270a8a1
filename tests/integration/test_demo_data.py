"""The demo's own data: enough of it, varied, and no sentence shared between what is trained and what is asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from tests.support.paths import ROOT
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.text.phrases import Phrases
from tunegate.harness.checks.text.reading import read
from tunegate.harness.checks.vocabulary.terms import forms_of
from tunegate.harness.cli.demo import copy_units
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.history.baselines.diff import question_differences
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.models.prompts import requests
from tunegate.harness.release.diagnosis.diagnosis import read_diagnosis
from tunegate.harness.release.diagnosis.eligibility import find_diagnosis
from tunegate.harness.rows.examples import read_examples
from tunegate.harness.rows.normalize import normalise

TASKS = load_tasks(ROOT / "fixtures")
ROWS = read_examples(sorted((ROOT / "trainers/recipes/rows").glob("*.jsonl")), TASKS[0])
LEAST_CASES = {
    "support/triage": 200,
    "support/orders": 100,
    "support/replies": 120,
    "support/wording": 120,
    "support/word-choice": 60,
    "support/passages": 120,
    "support/questions": 60,
    "support/triage-cost": 200,
    "support/orders-cost": 100,
}
LEAST_SEALED = {"support/triage-sealed": 100, "support/replies-sealed": 30, "support/word-choice-sealed": 16}
LEAST_ROWS = {"triage": 300, "orders": 100, "replies": 200, "wording": 250, "questions": 100}
MESSAGES = [f"support/{unit}" for unit in ("triage", "orders", "replies", "wording", "word-choice")]
MESSAGES += LEAST_SEALED
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def test_there_are_enough_cases() -> None:
    least = LEAST_CASES | LEAST_SEALED
    assert [unit for unit, count in least.items() if len(find_unit(TASKS, unit).cases) < count] == []


def test_there_are_enough_rows_of_each_kind() -> None:
    per_unit = Counter(row.unit for row in ROWS)
    assert set(per_unit) == set(LEAST_ROWS)
    assert all(per_unit[unit] >= least for unit, least in LEAST_ROWS.items())


def test_the_references_are_as_many_as_they_should_be() -> None:
    refs = ROOT / "fixtures/support/refs"
    pairs = read_yaml(refs / "voice.yaml").data["pairs"]
    terms = read_yaml(refs / "terms.yaml").data
    assert len(pairs) >= 80
    assert 6 * sum(pair.get("subtle", False) for pair in pairs) >= len(pairs)
    assert len(terms["terms"]) >= 40
    assert len(terms["wording"]) >= 10


def sentences(text: str) -> Iterator[str]:
    for sentence in SENTENCE.split(text):
        plain = normalise(sentence)
        if len(plain.split()) >= 5:
            yield plain


def texts(case: Case) -> Iterator[str]:
    yield case.input
    if isinstance(case.expect, dict):
        yield from (case.expect[key] for key in ("says", "preferred", "other") if key in case.expect)


def test_no_row_shares_a_sentence_with_a_fixture() -> None:
    units = [unit for task in TASKS for unit in task.units]
    held = {
        sentence: case.key
        for unit in units
        for case in unit.cases
        for text in texts(case)
        for sentence in sentences(text)
    }
    written = [(row, f"{row.input}\n{row.output}\n{row.rejected or ''}") for row in ROWS]
    shared = [(row.file, row.line, held[s]) for row, text in written for s in sentences(text) if s in held]
    assert shared == []


def opening(text: str) -> str:
    first = text.removeprefix("Customer:").split()
    return " ".join(first[:2]).casefold()


def test_messages_are_varied() -> None:
    for unit in MESSAGES:
        messages = [case.input for case in find_unit(TASKS, unit).cases]
        assert max(Counter(map(opening, messages)).values()) <= 4, unit
        lengths = sorted(len(message.split()) for message in messages)
        assert lengths[-1] >= 1.5 * lengths[len(lengths) // 20], unit
        assert len({word for message in messages for word in message.casefold().split()}) >= 5 * len(messages), unit


def test_passages_are_of_many_genres_and_lengths() -> None:
    cases = find_unit(TASKS, "support/passages").cases
    genres = Counter(case.tags["genre"] for case in cases)
    assert len(genres) >= 10
    assert max(genres.values()) <= 2 * min(genres.values())
    assert max(Counter(opening(case.input) for case in cases).values()) <= 4
    lengths = sorted(len(case.input.split()) for case in cases)
    assert lengths[0] >= 40
    assert lengths[-1] >= 1.5 * lengths[0]


def test_a_pair_differs_in_its_term_alone_and_the_terms_are_the_houses() -> None:
    terms = read_yaml(ROOT / "fixtures/support/refs/terms.yaml").data
    forms = forms_of(terms)
    banned = {term["id"]: Phrases(term["banned"], forms) for term in terms["terms"] if term.get("banned")}
    for case in [*find_unit(TASKS, "support/word-choice").cases, *find_unit(TASKS, "support/word-choice-sealed").cases]:
        preferred, other = read(case.expect["preferred"], "en"), read(case.expect["other"], "en")
        assert [name for name, phrases in banned.items() if any(phrases.find(preferred))] == [], case.key
        assert len([name for name, phrases in banned.items() if any(phrases.find(other))]) == 1, case.key


def test_the_committed_baseline_asks_what_the_fixtures_ask() -> None:
    for unit in LEAST_CASES:
        (path,) = (ROOT / "baselines").glob(f"smollm2-*/{unit}.json")
        baseline, asked = read_baseline(path, unit), find_unit(TASKS, unit)
        assert question_differences(baseline.questions, asked.questions, asked, baseline.results) == [], unit


def test_the_committed_diagnosis_asks_what_the_fixtures_ask() -> None:
    (path,) = (ROOT / "baselines").glob("smollm2-*/support/diagnosis.json")

    find_diagnosis(ROOT / "baselines", TASKS[0], read_diagnosis(path).subject)  # or tunegate train refuses every recipe


def test_the_margin_of_cost_is_about_an_eighth_of_what_the_base_costs() -> None:
    policy = TASKS[0].policy
    assert policy.prices
    for name in ("triage", "orders"):
        (path,) = (ROOT / "baselines").glob(f"smollm2-*/support/{name}.json")
        read, written = read_baseline(path, f"support/{name}").summary.tokens or (0, 0)
        assert find_unit(TASKS, f"support/{name}-cost").of == f"support/{name}"
        margin = policy.of(f"{name}-cost", "continuous").margin or 0
        assert 7 < policy.prices.price.of(read, written) / margin < 9, name


def test_every_open_unit_that_generates_can_be_asked_with_examples() -> None:
    units = [unit for unit in TASKS[0].units if not unit.sealed]
    asked = list(requests(units, "few-shot"))  # refused where a unit has none
    assert len(asked) == sum(len(unit.cases) for unit in units if not unit.of)


def test_every_target_has_a_sealed_unit_that_asks_as_it_does_and_nothing_that_it_asks() -> None:
    units, policies = {unit.key: unit for unit in TASKS[0].units}, TASKS[0].policies
    sealed = {f"support/{policy['seals']}": units[key] for key, policy in policies.items() if policy["seals"]}
    assert sealed.keys() == {key for key, policy in policies.items() if policy["role"] == "target"} - {
        unit.key for unit in sealed.values()
    }
    for key, unit in sealed.items():
        of_open, of_sealed = units[key].cases, unit.cases
        assert unit.sealed
        assert {case.prompt for case in of_open} == {case.prompt for case in of_sealed}
        assert {case.check.references for case in of_open} == {case.check.references for case in of_sealed}
        assert not {normalise(case.text) for case in of_open} & {normalise(case.text) for case in of_sealed}


def test_triage_labels_are_spread() -> None:
    labels = [case.expect for case in find_unit(TASKS, "support/triage").cases]
    for values in (
        Counter(label["product"] for label in labels),
        Counter(label["request"]["kind"] for label in labels),
        Counter(label["request"]["urgency"] for label in labels),
        Counter(label["callback"] for label in labels),
    ):
        assert min(values.values()) >= 25


def test_an_orders_expectation_is_a_whole_answer() -> None:
    for case in find_unit(TASKS, "support/orders").cases:
        assert case.check(json.dumps(case.expect), case.expect, case.input).findings == (), case.key
        invented = {**case.expect, "items": [{**case.expect["items"][0], "note": "x"}, *case.expect["items"][1:]]}
        assert case.check(json.dumps(invented), case.expect, case.input).rates["exact"] is False


def test_optional_parts_of_an_order_are_there_and_not_there() -> None:
    orders = [case.expect for case in find_unit(TASKS, "support/orders").cases]
    for key in ("size", "deliver", "reference"):
        there = sum(key in order or any(key in item for item in order["items"]) for order in orders)
        assert 25 <= there <= len(orders) - 20, key
    assert len({len(order["items"]) for order in orders}) >= 3


def test_the_short_demo_is_a_task_with_a_target_its_sealed_unit_and_guards(tmp_path):
    left_out = copy_units(ROOT / "fixtures/support", tmp_path / "support")
    (task,) = load_tasks(tmp_path)
    (whole,) = TASKS
    kept = {unit.key: [case.id for case in unit.cases] for unit in task.units}
    assert kept == {unit.key: [case.id for case in unit.cases] for unit in whole.units if unit.name not in left_out}
    assert {name: held.role for name, held in task.policy.units.items()} == {
        "replies": "target", "replies-sealed": "target", "questions": "guard", "passages": "guard",
    }  # fmt: skip
    assert [name for name, held in task.policy.units.items() if held.seals] == ["replies-sealed"]
