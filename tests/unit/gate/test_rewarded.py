"""An adapter that a check rewarded: released only on evidence that its reward did not see."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import ENGINE, LOCAL, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.cases.rewarding import RewardingCheck, rewarding_check, targets_with_evidence
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record, parse_record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.evaluation.verdict import TaskDecision
from tunegate.harness.models.replay import Replay

PRODUCTS = ("boiler", "radiator")
TARGET, GUARD = {"role": "target", "margin": 0.1}, {"role": "guard", "margin": 0.1}
Answer = Callable[[Case], str]


def outputs_of(tasks, answer: Answer, **more: Any) -> Record:
    """The scored outputs of a model that answers each case so; `more` replaces parts of the record."""
    units = [unit for task in tasks for unit in task.units]
    cases = [case for unit in units if not unit.of for case in unit.cases]
    made = {(case.key, 0): Completion(case.key, answer(case), 20, 4) for case in cases}
    found = evaluate(
        units, Replay(made, Fingerprint(LOCAL | {"adapter": "a" * 64}, ENGINE, {"model": "tiny"})), quiet()
    )
    policies = {key: policy for task in tasks for key, policy in task.policies.items()}
    return replace(found, policies=policies, **more)


def prose(case: Case) -> str:
    return "I would say that this is about our products, but it is hard to tell."


def form(case: Case) -> str:
    return '{"product": "boiler"}'


def right(case: Case) -> str:
    return json.dumps(case.expect or {"product": "boiler"})


@pytest.fixture
def gated(tmp_path):
    """The decision on a model's outputs, beside a base that writes prose, with the checks that rewarded it."""

    def run(answer: Answer, *rewards: RewardingCheck, **more: Any) -> TaskDecision:
        tasks = load_tasks(tmp_path)
        candidate = outputs_of(tasks, answer, rewards=rewards, **more)
        found = gate.compare(tasks, candidate, {"baseline": outputs_of(tasks, prose)}, ["desk"])
        assert gate.blocked(found) == (found.tasks["desk"].decision == "block")
        return found.tasks["desk"]

    return run


def varied(index: int) -> dict[str, Any]:
    return {"expect": {"product": PRODUCTS[index % 3 == 0]}}


def unlabelled(index: int) -> dict[str, Any]:
    return {"expect": None}


def reward_of(tmp_path, unit: str = "triage", expectations: bool = False) -> RewardingCheck:
    [found] = [each for task in load_tasks(tmp_path) for each in task.units if each.name == unit]
    return rewarding_check(found, expectations)


def write_plain(tmp_path, n: int = 40) -> None:
    """A target whose check sees the form alone."""
    write_desk(tmp_path, n, case_keys=unlabelled)
    write_policy(tmp_path, triage=TARGET)


def test_a_gain_that_the_rewarding_check_alone_shows_blocks(gated, tmp_path):
    write_plain(tmp_path)
    assert gated(form).decision == "release"

    found = gated(form, reward_of(tmp_path))
    assert (found.decision, found.rewarded) == ("block", ("desk/triage",))
    assert found.reason == (
        "Blocked: desk/triage (0.0 % -> 100.0 %) improved; but the adapter's reward saw that gain: desk/triage (its "
        "schema check was the reward, and 40 of its 40 cases have no `expect`). Show one by another kind of check, or "
        "by cases with an `expect` that the reward did not see. No guard: nothing but the target was tested."
    )


def test_the_sealed_counterpart_has_the_same_check_and_is_no_evidence(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=unlabelled)
    write_desk(tmp_path, 60, "final", sealed=True, case_keys=lambda index: {"expect": None, "input": f"new {index}"})
    write_policy(tmp_path, triage=TARGET, final=TARGET | {"seals": "triage"})

    found = gated(form, reward_of(tmp_path))
    assert (found.decision, found.rewarded) == ("block", ("desk/final",))


def test_expectations_that_the_reward_did_not_see_are_evidence(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=varied)
    write_policy(tmp_path, triage=TARGET)

    assert gated(right, reward_of(tmp_path)).decision == "release"
    seen = gated(right, reward_of(tmp_path, expectations=True))
    assert "desk/triage (its schema check was the reward)" in seen.reason


def test_one_case_without_an_expectation_takes_the_evidence_from_its_unit(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=lambda index: varied(index) if index else {"expect": None})
    write_policy(tmp_path, triage=TARGET)

    assert "1 of its 40 cases have no `expect`" in gated(right, reward_of(tmp_path)).reason


def test_one_output_for_every_input_is_no_evidence_where_some_expectations_are_met(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=varied)
    write_policy(tmp_path, triage=TARGET)

    assert gated(form).decision == "release"
    found = gated(form, reward_of(tmp_path))
    assert found.decision == "block"
    assert "outputs meet the `expect` of other cases as often as their own" in found.reason


def test_expectations_that_decide_nothing_are_no_evidence(gated, tmp_path):
    ignoring = {"schema": "refs/product.schema.json", "fields": {"product": {"ignore": True}}}
    write_desk(tmp_path, 40, case_keys=varied, check=ignoring)
    write_policy(tmp_path, triage=TARGET)

    assert gated(form, reward_of(tmp_path)).decision == "block"


def test_an_edited_schema_is_no_other_check(gated, tmp_path):
    write_plain(tmp_path)
    reward = reward_of(tmp_path)
    schema = tmp_path / "desk" / "refs" / "product.schema.json"
    schema.write_text(json.dumps(json.loads(schema.read_text()) | {"description": "another digest"}))

    assert reward != reward_of(tmp_path)
    assert gated(form, reward).decision == "block"


def write_words(tmp_path, n: int = 40) -> None:
    """A vocabulary unit beside the other, which a model that writes JSON passes, too."""
    refs = tmp_path / "desk" / "refs"
    terms = [{"id": "boiler", "preferred": "boiler", "banned": ["products"]}]
    (refs / "terms.yaml").write_text(json.dumps({"version": 1, "language": "en", "terms": terms}))
    cases = [{"id": f"w{index}", "input": f"word {index}", "expect": {"terms": ["boiler"]}} for index in range(n)]
    words = {"version": 1, "suite": "vocabulary", "unit": "words", "check": {"terms": "refs/terms.yaml"}}
    (tmp_path / "desk" / "words.yaml").write_text(json.dumps(words | {"cases": cases}))


def test_another_kind_of_check_is_evidence_and_what_the_reward_saw_is_named(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=unlabelled)
    write_words(tmp_path)
    write_policy(tmp_path, triage=TARGET, words=TARGET)

    found = gated(form, reward_of(tmp_path))
    assert found.decision == "release"
    assert " Not evidence: desk/triage (its schema check was the reward, and 40 of its 40 cases" in found.reason
    assert targets_with_evidence(load_tasks(tmp_path)[0], [reward_of(tmp_path)]) == ["desk/words"]


def test_a_guard_by_another_check_is_no_gain(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=unlabelled)
    write_words(tmp_path)
    write_policy(tmp_path, triage=TARGET, words=GUARD)

    assert gated(form, reward_of(tmp_path)).decision == "block"


def test_under_a_warning_for_inconclusive_units_the_reward_still_blocks_and_is_named(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=unlabelled)
    write_words(tmp_path, 4)  # too few to hold
    write_policy(tmp_path, triage=TARGET, words=GUARD)
    tasks = load_tasks(tmp_path)
    candidate = outputs_of(tasks, form, rewards=(reward_of(tmp_path),))
    found = gate.compare(tasks, candidate, {"baseline": outputs_of(tasks, form_of_words)}, ["desk"])

    assert found.verdicts["desk/words"].verdict == "inconclusive"
    assert gate.blocked(found, "warn")
    assert (
        "Blocked: desk/words inconclusive (100.0 % -> 100.0 %). Not evidence: desk/triage (its schema"
        in found.tasks["desk"].reason
    )


def form_of_words(case: Case) -> str:
    return form(case) if "words" in case.unit else prose(case)


def test_a_lower_price_counts_as_the_unit_that_is_priced(gated, tmp_path):
    write_desk(tmp_path, 40, case_keys=unlabelled)
    cost = {"version": 1, "suite": "cost", "of": "triage"}
    (tmp_path / "desk" / "cost.yaml").write_text(json.dumps(cost))
    policy = {"version": 1, "units": {"triage": GUARD | {"reason": "a test"}, "cost": {
        "role": "target", "margin": 1e-6, "reason": "a test"}}, "prices": {
        "currency": "USD", "input_per_million": 1, "output_per_million": 1, "reason": "a test"}}  # fmt: skip
    (tmp_path / "desk" / "task.yaml").write_text(json.dumps(policy))

    assert targets_with_evidence(load_tasks(tmp_path)[0], []) == ["desk/cost"]
    assert targets_with_evidence(load_tasks(tmp_path)[0], [reward_of(tmp_path)]) == []


def test_a_reward_of_another_task_says_nothing_here(gated, tmp_path):
    write_plain(tmp_path)
    other = RewardingCheck("other/unit", "voice", "0" * 64)

    assert gated(form, other).decision == "release"


def test_a_record_keeps_the_checks_that_rewarded_its_adapter(tmp_path):
    write_plain(tmp_path, 4)
    tasks = load_tasks(tmp_path)
    made = outputs_of(tasks, form, rewards=(reward_of(tmp_path),))

    assert parse_record(json.loads(json.dumps(made.as_dict())), tmp_path / "record.json").rewards == made.rewards
