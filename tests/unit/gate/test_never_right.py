"""Values of a closed set that cases expect and no answer has right stand in the verdict, whatever it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.records import units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.families import SLICE_LEVEL
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.evaluation.verdict import NeverRight
from tunegate.harness.models.replay import Replay
from tunegate.harness.statistics.paired import p_worse, tarone_holm

T = "desk/triage"
SCHEMA = {
    "type": "object",
    "properties": {
        "urgent": {"type": "boolean"},
        "note": {"type": "string"},
        "kinds": {"type": "array", "items": {"enum": ["leak", "noise"]}},
        "mood": {"anyOf": [{"enum": ["good", "bad"]}, {"type": "string"}]},
    },
}
TRUE, FALSE = {"urgent": True}, {"urgent": False}


@pytest.fixture
def compared(tmp_path):
    """The comparison of two rows of answers to a row of expectations."""

    def run(
        expected: list[Any], base: list[Any], tuned: list[Any], policy: dict[str, Any] | None = None, **unit: Any
    ) -> Any:
        write_desk(tmp_path, len(expected), case_keys=lambda index: {"expect": expected[index]},
                   check={"schema": SCHEMA, "score": "share"}, **unit)  # fmt: skip
        write_policy(tmp_path, triage={"margin": 0.4, **(policy or {})})
        tasks = load_tasks(tmp_path)
        (unit,) = units_of(tasks).values()

        def answered(answers: list[Any]) -> Any:
            given = {
                (case.key, 0): Completion(case.key, json.dumps(each))
                for case, each in zip(unit.cases, answers, strict=True)
            }
            who = Fingerprint({"model": "tiny-1", "rung": "as-is"}, {}, {"model": "tiny"})
            return replace(evaluate([unit], Replay(given, who), quiet()), sealed=unit.sealed)

        made = gate.compare(tasks, answered(tuned), {"baseline": answered(base)}, [])
        return made.verdicts[T], made.tasks["desk"].reason

    return run


def test_a_value_that_the_reference_has_right_and_the_candidate_never_blocks(compared):
    expected = [TRUE] * 39 + [FALSE] * 161
    verdict, _ = compared(expected, [TRUE] * 39 + ["x"] * 161, [FALSE] * 200)  # 122 more are right on the whole

    assert verdict.difference > 0.5
    assert (verdict.verdict, verdict.worse_slices, verdict.blocks) == ("regressed", (), True)
    assert "'urgent' is never right where true is expected: 0 of 39 cases, 39 in the baseline." in verdict.reason
    assert verdict.never_right == (NeverRight("urgent", "true", 39, 39, lost=True),)


@pytest.mark.parametrize("rates", [[3.0], [2.5] * 5, [1.5] * 20, [3.0, 3.0] + [1.25] * 38], ids=len)
def test_a_value_is_lost_by_chance_in_fewer_than_one_of_a_hundred_pairs_of_runs(rates):
    worlds, places = 4000, range(len(rates))
    draw = np.random.default_rng(0)
    # many cases, a value seldom right: no case has it right in both runs
    before, after = draw.poisson(rates, (2, worlds, len(rates)))

    def is_lost(world: int) -> bool:
        changes = [[-1.0] * before[world, at] + [1.0] * after[world, at] + [0.0] * 100 for at in places]
        values = [p_worse(each, seed=0, mid=False) for each in changes]
        flags = tarone_holm([each.p for each in values], [each.smallest for each in values], SLICE_LEVEL)
        return any(flag and not after[world, at] for at, flag in zip(places, flags, strict=True))

    possible = np.flatnonzero(((after == 0) & (before > 5)).any(axis=1))  # .5 ** 5 is more than the level
    alarms = sum(map(is_lost, possible)) / worlds

    assert 0 < alarms < 0.01


def test_a_value_that_few_lost_is_told_in_the_verdict_and_in_the_decision(compared):
    expected = [TRUE] * 39 + [FALSE] * 161
    verdict, decision = compared(expected, [TRUE] * 4 + [FALSE] * 196, [FALSE] * 200)

    assert (verdict.verdict, verdict.blocks) == ("held", False)
    assert "'urgent' is never right where true is expected: 0 of 39 cases, 4 in the baseline." in verdict.reason
    assert decision.endswith(" Never right: 'urgent' true of desk/triage (0 of 39).")


def test_a_value_that_is_right_less_often_does_not_block_by_itself(compared):
    expected = [TRUE] * 39 + [FALSE] * 161
    verdict, _ = compared(expected, [TRUE] * 200, [TRUE] * 10 + [FALSE] * 190)  # a base that always says true

    assert (verdict.never_right, verdict.blocks) == ((), False)


@pytest.mark.parametrize(("right", "says"), [(10, True), (19, True), (20, False)])
def test_a_value_that_half_of_its_cases_lost_is_named(compared, right, says):
    expected = [TRUE] * 39 + [FALSE] * 161
    verdict, decision = compared(expected, expected, [TRUE] * right + [FALSE] * (200 - right))

    told = f"'urgent' fell where true is expected: from 39 to {right} of 39 cases."
    assert (told in verdict.reason) == says
    assert (f"Fell, but not gated: 'urgent' true of desk/triage (39 to {right} of 39)." in decision) == says


def test_two_lost_cases_of_a_rare_value_are_silent(compared):
    expected = [TRUE] * 3 + [FALSE] * 197
    verdict, _ = compared(expected, expected, [TRUE] + [FALSE] * 199)

    assert "fell" not in verdict.reason


def test_outputs_that_are_the_same_are_counted_if_most_are_wrong(compared):
    expected = [TRUE] * 60 + [FALSE] * 40
    verdict, decision = compared(expected, ["x"] * 100, [FALSE] * 90 + [TRUE] * 10)

    assert verdict.difference > 0.3
    assert '90 of 100 outputs are the same: {"urgent": false}.' in verdict.reason
    assert 'One output for all cases, {"urgent": true}, would pass 60.0 %.' in verdict.reason
    assert "Outputs that are the same: 90 of 100 of desk/triage." in decision
    assert "No better than one output for all cases: desk/triage." in decision


@pytest.mark.parametrize(("expected", "found", "constant"), [
    ([TRUE] * 90 + [FALSE] * 10, [TRUE] * 100, True),  # the same, and most are right
    ([TRUE] * 60 + [FALSE] * 40, [TRUE] * 61 + [FALSE] * 39, False),  # 99 right
    ([TRUE] * 100, [FALSE] * 50 + [TRUE] * 50, False),  # all cases expect the same
    ([TRUE] * 5 + [FALSE] * 4, ["x"] * 9, False),  # too few cases
], ids=["right", "better", "one-value", "few"])  # fmt: skip
def test_other_outputs_are_not_called_the_same(compared, expected, found, constant):
    verdict, _ = compared(expected, ["y"] * len(expected), found)

    assert "outputs are the same" not in verdict.reason
    assert ("One output for all cases" in verdict.reason) == constant


def test_of_a_sealed_unit_no_value_is_named(compared):
    expected = [TRUE] * 60 + [FALSE] * 40
    verdict, decision = compared(expected, expected, [FALSE] * 70 + [TRUE] * 5 + [FALSE] * 25, sealed=True)

    assert "One output for all cases would pass 60.0 %." in verdict.reason
    assert "95 of 100 outputs are the same." in verdict.reason
    assert "true" not in verdict.reason + decision


def test_a_value_of_a_sealed_unit_that_fell_is_not_named(compared):
    expected = [TRUE] * 39 + [FALSE] * 161
    verdict, decision = compared(expected, expected, [TRUE] * 10 + [FALSE] * 190, sealed=True)

    assert "'urgent' fell where one of its values is expected: from 39 to 10 of 39 cases." in verdict.reason
    assert "Fell, but not gated" not in decision  # the unit blocks


def test_it_is_told_where_the_base_never_answered_it_either(compared):
    verdict, _ = compared([TRUE] * 39 + [FALSE] * 161, [FALSE] * 200, [FALSE] * 200)

    assert "'urgent' is never right where true is expected: 0 of 39 cases, none in the baseline." in verdict.reason


def test_where_the_unit_blocks_the_decision_does_not_tell_it_again(compared):
    verdict, decision = compared([TRUE] * 200, [TRUE] * 200, [FALSE] * 200)

    assert verdict.verdict == "regressed"
    assert "'urgent' is never right where true is expected: 0 of 200 cases" in verdict.reason
    assert "Never right" not in decision


def test_a_value_that_too_few_cases_expect_is_silent(compared):
    verdict, decision = compared([TRUE] * 2 + [FALSE] * 198, [FALSE] * 200, [FALSE] * 200)

    assert verdict.never_right == ()
    assert "never right" not in (verdict.reason + decision).lower()


def test_one_right_answer_is_enough(compared):
    verdict, _ = compared([TRUE] * 39 + [FALSE] * 161, [FALSE] * 200, [TRUE] + [FALSE] * 199)

    assert verdict.never_right == ()


@pytest.mark.parametrize("field", ["note", "mood"])
def test_an_open_text_is_silent(compared, field):
    verdict, _ = compared([{field: "good"}] * 100, [{field: "x"}] * 100, [{field: "x"}] * 100)

    assert verdict.never_right == ()


def test_answers_that_are_no_json_answer_nothing(compared):
    verdict, _ = compared([TRUE] * 39 + [FALSE] * 161, [FALSE] * 200, ["x"] * 200)

    assert [(each.value, each.n) for each in verdict.never_right] == [("false", 161), ("true", 39)]


def test_of_alternatives_none_is_expected_by_itself(compared):
    either = {"urgent": {"any_of": [True, False]}}

    verdict, _ = compared([either] * 100, [FALSE] * 100, [FALSE] * 100)
    other, _ = compared([TRUE] * 50 + [either] * 50, [FALSE] * 100, [FALSE] * 50 + [TRUE] * 50)

    assert verdict.never_right == ()
    assert other.never_right == ()  # it was answered, and was right


def test_of_a_list_each_value_counts(compared):
    both, taken = {"kinds": ["leak", "noise"]}, {"kinds": ["leak", "leak"]}

    verdict, _ = compared([both] * 100, [both] * 100, [taken] * 100)

    assert [(each.field, each.value, each.n) for each in verdict.never_right] == [("kinds[]", '"noise"', 100)]


def test_of_many_the_rest_is_counted(compared):
    expected = [
        {
            "urgent": index % 2 == 0,
            "kinds": ["leak"],
        }
        for index in range(50)
    ] + [{"kinds": ["noise"]}] * 50

    verdict, _ = compared(expected, ["x"] * 100, ["x"] * 100)

    assert verdict.reason.count("is never right where") == 3
    assert "1 other expected value is never right." in verdict.reason
