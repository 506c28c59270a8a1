"""Where a proven loss is: form before field, and the stratum in which it is concentrated beyond chance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.support.records import units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay
from tunegate.harness.statistics.concentration import Counts, p_concentrated

T, N = "desk/triage", 97
SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["play", "stop", "remind"]}, "when": {"type": "string"}, "city": {"type": "string"},
    },
}  # fmt: skip
RIGHT = [{"intent": ("play", "stop")[index % 2], "city": f"city {index}"} for index in range(N)]
ELSEWHERE = {"city": "nowhere"}


@pytest.fixture
def compared(tmp_path):
    """The verdict on a candidate that is wrong in some of 97 cases; the last nine have the longest inputs."""

    def run(wrong: dict[int, Any], expected: list[Any] = RIGHT, base: dict[int, Any] | None = None, **keys: Any) -> Any:
        def case_keys(index: int) -> dict[str, Any]:
            own = {key: of(index) for key, of in keys.items()}
            return {"expect": expected[index], "input": f"message {index:03} {'x' * index}", **own}

        write_desk(tmp_path, N, case_keys=case_keys, check={"schema": SCHEMA})
        write_policy(tmp_path, triage={"margin": 0.05})
        tasks = load_tasks(tmp_path)
        (unit,) = units_of(tasks).values()

        def answered(other: dict[int, Any]) -> Any:
            texts = [other.get(index, each) for index, each in enumerate(expected)]
            given = {
                (case.key, 0): Completion(case.key, each if isinstance(each, str) else json.dumps(each))
                for case, each in zip(unit.cases, texts, strict=True)
            }
            who = Fingerprint({"model": "tiny-1", "rung": "as-is"}, {}, {"model": "tiny"})
            return evaluate([unit], Replay(given, who), quiet())

        return gate.compare(tasks, answered(wrong), {"baseline": answered(base or {})}, []).verdicts[T]

    return run


def fenced(places: Any) -> dict[int, str]:
    return {place: f"```json\n{json.dumps(RIGHT[place])}\n```" for place in places}


def codes(verdict: Any) -> list[str]:
    return [each.code for each in verdict.remarks if each.severity == "error"]


def test_the_form_that_is_lost_in_long_inputs_is_named_with_its_counts(compared):
    verdict = compared(fenced([89, 91, 93, 94, 95, 96]))

    assert verdict.verdict == "regressed"
    assert codes(verdict) == ["form-lost", "significantly-worse"]
    assert "the form is lost in the longest 10 % of inputs (6 of 9; 0 of 88 elsewhere)" in verdict.reason


def test_a_form_that_is_lost_anywhere_has_no_stratum(compared):
    verdict = compared(fenced(range(0, N, 10)))

    assert "the form is lost in 10 of 97 cases" in verdict.reason
    assert verdict.loss_place.stratum == ""


def test_a_field_is_named_and_the_tag_in_which_it_is_lost(compared):
    wrong = {place: RIGHT[place] | ELSEWHERE for place in range(0, 96, 8)}
    verdict = compared(wrong, tags=lambda index: {"language": "de" if index % 8 == 0 else "en"})

    assert codes(verdict)[0] == "field-lost"
    assert "'city' is lost in language=de (12 of 13; 0 of 84 elsewhere)" in verdict.reason


def test_a_value_is_a_stratum(compared):
    rare = [each | {"intent": "remind"} if index % 9 == 4 else each for index, each in enumerate(RIGHT)]
    wrong = {place: rare[place] | {"intent": "play"} for place in list(range(4, N, 9))[1:]}
    verdict = compared(wrong, rare)

    assert "'intent' is lost where 'intent' is \"remind\" (10 of 11; 0 of 86 elsewhere)" in verdict.reason


def test_the_number_of_expected_values_is_a_stratum(compared):
    more = [each | {"when": "noon"} if index % 8 == 3 else each for index, each in enumerate(RIGHT)]
    verdict = compared({place: ELSEWHERE for place in range(3, N, 8)}, more)

    assert "cases" in verdict.loss_place.what
    assert "with 3 or more expected values (12 of 12; 0 of 85 elsewhere)" in verdict.reason


def test_without_a_proven_loss_no_stratum_is_named(compared):
    verdict = compared(fenced([95, 96]))

    assert verdict.verdict == "inconclusive"
    assert verdict.loss_place is None


def test_p_is_that_of_fisher_and_rises_count_against_falls():
    assert p_concentrated(Counts(9, 5, 0), Counts(97, 5, 0)).p == pytest.approx(126 / 64_446_024, rel=1e-9)
    assert p_concentrated(Counts(10, 4, 4), Counts(100, 10, 4)).p == 1.0
    assert p_concentrated(Counts(10, 0, 0), Counts(10, 0, 0)).p == 1.0
    assert p_concentrated(Counts(9, 5, 0), Counts(97, 5, 0)).smallest == pytest.approx(126 / 64_446_024, rel=1e-9)


@pytest.mark.parametrize(("hard", "rate"), [(0.1, 0.4), (0.3, 0.2), (0.5, 0.1)], ids=["tenth", "third", "half"])
def test_falls_in_a_hard_stratum_without_a_loss_there_are_seldom_concentrated(hard, rate):
    draw, worlds, n = np.random.default_rng(0), 4000, 200
    inside = np.arange(n) < hard * n
    named = 0
    for _ in range(worlds):
        passes = draw.random(n) < np.where(inside, 0.5, 0.98)
        flips = draw.random(n) < np.where(inside, rate, 0.01)
        fell, rose = passes & flips, ~passes & flips
        one, every = (
            Counts(int((passes & which).sum()), int((fell & which).sum()), int((rose & which).sum()))
            for which in (inside, np.ones(n, bool))
        )
        named += p_concentrated(one, every).p <= 0.02
    assert named / worlds < 0.05
