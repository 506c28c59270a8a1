"""From units and a model to a record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.records import write_desk
from tests.support.tools import TOOLS, output, ticket
from tests.support.units import write_outputs
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import Check, FieldCount, Finding, Outcome
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.progress import quiet
from tunegate.harness.core.reading import read_json
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay, read_replay

RIGHT, WRONG = '{"product": "boiler"}', '{"product": "radiator"}'
T = "desk/triage"


@pytest.fixture
def units(tmp_path):
    """Reads the units of the fixtures written so far."""
    return lambda: [unit for task in load_tasks(tmp_path) for unit in task.units]


def answers(*given: Completion) -> Replay:
    fingerprint = Fingerprint({"model": "x", "rung": "as-is"}, {"backend": "replay"}, {"model": "x"})
    return Replay({(each.key, each.repeat): each for each in given}, fingerprint)


def test_every_completion_is_scored_by_its_own_case(tmp_path, units):
    write_desk(tmp_path, 3)
    outputs = {f"{T}/c000": RIGHT, f"{T}/c001": WRONG, f"{T}/c002": "It is the boiler."}
    model = read_replay(write_outputs(tmp_path / "o.jsonl", outputs), dict.fromkeys(outputs, 0))
    made = evaluate(units(), model, quiet())
    assert {key: result.passed for key, result in made.cases.items()} == {
        f"{T}/c000": True, f"{T}/c001": False, f"{T}/c002": False,
    }  # fmt: skip
    summary = made.units[T]
    assert (summary.n, summary.mean) == (3, pytest.approx(1 / 3))
    assert summary.rates == {"adherence": pytest.approx(2 / 3), "exact": pytest.approx(1 / 3)}


class Quotes(Check):
    """Quotes half a character everywhere."""

    def __call__(self, *_: object) -> Outcome:
        half = "boil\ud83d"
        fields = {half: FieldCount(0, 1, 1, (("boiler", half),))}
        return Outcome(0.0, (Finding(half, half, half),), {half: True}, fields)


def test_half_a_character_that_a_check_quotes_can_be_stored_and_read(tmp_path, units):
    write_desk(tmp_path, 1)
    [unit] = units()
    unit = replace(unit, cases=tuple(replace(each, check=Quotes()) for each in unit.cases))
    made = evaluate([unit], answers(Completion(f"{T}/c000", RIGHT)), quiet())
    made.write(tmp_path / "record.json")

    [found] = read_json(tmp_path / "record.json")["cases"].values()
    assert found["findings"] == [dict.fromkeys(("rule", "message", "path"), "boil\ufffd")]


def test_no_answer_is_unscored_never_zero(tmp_path, units):
    write_desk(tmp_path, 3)
    model = answers(Completion(f"{T}/c000", RIGHT), Completion(f"{T}/c001", None))
    made = evaluate(units(), model, quiet())
    assert [result.score for result in made.cases.values()] == [1.0, None, None]
    assert [str(finding) for finding in made.cases[f"{T}/c001"].findings] == ["unscored: no output for this case"]
    assert (made.units[T].unscored, made.units[T].mean) == (2, 1.0)


def test_a_unit_without_any_answer_has_no_mean(tmp_path, units):
    write_desk(tmp_path, 2)
    summary = evaluate(units(), answers(), quiet()).units[T]
    assert (summary.n, summary.unscored, summary.mean, summary.interval) == (2, 2, None, None)


class Forgetful(Replay):
    """A model that leaves out what it does not know."""

    def complete(self, requests):
        return (answer for answer in super().complete(requests) if answer.output is not None)


def test_an_answer_that_never_comes_is_unscored(tmp_path, units):
    write_desk(tmp_path, 2)
    model = Forgetful({(f"{T}/c000", 0): Completion(f"{T}/c000", RIGHT)}, answers().fingerprint)
    assert [result.score for result in evaluate(units(), model, quiet()).cases.values()] == [1.0, None]


def test_an_empty_answer_is_an_answer(tmp_path, units):
    write_desk(tmp_path, 1)
    made = evaluate(units(), answers(Completion(f"{T}/c000", "")), quiet())
    assert (made.cases[f"{T}/c000"].score, made.cases[f"{T}/c000"].output) == (0.0, "")


@pytest.mark.parametrize(("output", "told"), [('{"product": "boi', True), (RIGHT, False)])
def test_a_wrong_answer_that_was_cut_is_told_so(tmp_path, units, output, told):
    write_desk(tmp_path, 1)
    made = evaluate(units(), answers(Completion(f"{T}/c000", output, finish="length")), quiet())
    text = "cut: the output did not end within max_new_tokens (4)"
    assert (text in map(str, made.cases[f"{T}/c000"].findings)) is told


@pytest.fixture
def sample(tmp_path, units):
    """Judges one sampled case from its outputs, one a repeat."""

    def run(*outputs: str | None):
        write_desk(tmp_path, 1, generate={"temperature": 0.7})
        model = answers(*(Completion(f"{T}/c000", output, repeat=index) for index, output in enumerate(outputs)))
        return evaluate(units(), model, quiet(), repeats=len(outputs))

    return run


def test_repeats_are_one_case_that_passes_if_all_do(sample):
    result = sample(RIGHT, WRONG, RIGHT).cases[f"{T}/c000"]
    assert (result.passed, result.score) == (False, pytest.approx(2 / 3))
    assert [each.passed for each in result.repeats] == [True, False, True]
    assert sample(RIGHT, RIGHT).cases[f"{T}/c000"].passed


def test_one_unanswered_repeat_leaves_its_case_unscored(sample):
    made = sample(RIGHT, None, RIGHT)
    assert (made.cases[f"{T}/c000"].score, made.units[T].unscored) == (None, 1)


def test_a_continuous_score_neither_passes_nor_fails(tmp_path, units, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(tmp_path, 1)
    result = evaluate(units(), answers(Completion(f"{T}/c000", RIGHT)), quiet()).cases[f"{T}/c000"]
    assert (result.passed, result.score) == (None, 1.0)


def test_the_interval_counts_conversations_not_turns(tmp_path, units):
    write_desk(tmp_path, 20, case_keys=lambda index: {"group": f"t{index % 2}"})
    given = answers(*(Completion(f"{T}/c{index:03}", RIGHT) for index in range(20)))
    lower, upper = evaluate(units(), given, quiet()).units[T].interval
    assert (round(lower, 3), upper) == (0.342, 1.0)  # Wilson's 95 % of 2 in 2


def test_tokens_are_told_only_where_all_are_known(tmp_path, units):
    write_desk(tmp_path, 2)
    first, second = Completion(f"{T}/c000", RIGHT, 60, 8), Completion(f"{T}/c001", RIGHT, 62, 10)
    assert evaluate(units(), answers(first, second), quiet()).units[T].tokens == (61, 9)
    assert evaluate(units(), answers(first, replace(second, tokens_in=None)), quiet()).units[T].tokens is None


def test_the_record_says_who_was_asked_what(tmp_path, units):
    write_desk(tmp_path, 1)
    (unit,) = units()
    made = evaluate([replace(unit, sealed=True)], answers(), quiet(), partial=True)
    assert made.fingerprint["subject"]["model"] == "x"
    assert made.questions == {T: unit.questions}
    assert (made.partial, made.sealed) == (True, True)


def test_step_by_step_scores_what_follows_the_last_answer_mark(tmp_path, units):
    write_desk(tmp_path, 1)
    fingerprint = replace(answers().fingerprint, subject={"model": "x", "rung": "steps"})
    output = f"It is cold. Answer: perhaps. Answer: {RIGHT}"
    made = evaluate(units(), Replay({(f"{T}/c000", 0): Completion(f"{T}/c000", output)}, fingerprint), quiet())
    assert made.cases[f"{T}/c000"].passed
    assert made.cases[f"{T}/c000"].output == output


def test_scoring_a_record_again_gives_the_same_record(tmp_path, units):
    write_desk(tmp_path, 2)
    given = answers(
        Completion(f"{T}/c000", RIGHT, 60, 8, finish="stop"), Completion(f"{T}/c001", WRONG, 62, 10, finish="length")
    )
    first = evaluate(units(), given, quiet())
    kept = json.loads(json.dumps(first.as_dict()))["cases"]
    again = answers(
        *(
            Completion(key, raw["output"], raw["tokens_in"], raw["tokens_out"], finish=raw["finish"])
            for key, raw in kept.items()
        )
    )
    assert evaluate(units(), again, quiet()).cases == first.cases


class Counted:
    """A check that remembers what it was given to score."""

    def __init__(self, check):
        self.check, self.scored = check, []

    def __call__(self, output, expect, prompt):
        self.scored.append(output)
        return self.check(output, expect, prompt)

    def __getattr__(self, name):
        return getattr(self.check, name)


def test_an_answer_that_a_reference_has_to_the_same_case_is_not_scored_again(tmp_path, units):
    write_desk(tmp_path, 4)
    (unit,) = units()
    first = [Completion(f"{T}/c00{number}", output) for number, output in enumerate([RIGHT, WRONG, "It", RIGHT])]
    before = evaluate([unit], answers(*first), quiet())
    same = replace(first[0], tokens_in=9, tokens_out=4, generation="a" * 64)
    now = [same, replace(first[1], output=RIGHT), replace(first[2], finish="length"), replace(first[3], output=None)]
    check = Counted(unit.cases[0].check)
    counted = replace(unit, cases=tuple(replace(case, check=check) for case in unit.cases))

    made = evaluate([counted], answers(*now), quiet(), known=[before])

    assert check.scored == [RIGHT, "It"]
    assert made.cases == evaluate([unit], answers(*now), quiet()).cases
    assert [each.rule for each in made.cases[f"{T}/c002"].findings][-1] == "cut"


def test_an_answer_on_another_rung_is_scored_by_itself(tmp_path, units):
    write_desk(tmp_path, 1)
    given = Completion(f"{T}/c000", f"Answer: {RIGHT}")
    steps = Replay({(given.key, 0): given}, replace(answers().fingerprint, subject={"model": "x", "rung": "steps"}))
    before = evaluate(units(), steps, quiet())
    assert before.cases[given.key].passed
    assert not evaluate(units(), answers(given), quiet(), known=[before]).cases[given.key].passed


@pytest.mark.parametrize("calls", [[], [ticket()]])
def test_a_message_that_was_cut_fails_for_what_was_cut_may_be_a_call(tmp_path, units, calls):
    expect = {"calls": [{"name": "create_ticket", "arguments": {"title": "Light", "priority": "high"}}]}
    case = {"id": "a", "input": "No light", "expect": expect if calls else {"calls": "none"}}
    unit = {"version": 1, "suite": "tools", "unit": "calls", "tools": TOOLS, "cases": [case]}
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/calls.yaml").write_text(json.dumps(unit))
    text = output(*calls, content="Hello")
    for finish, passed in (("stop", True), ("length", False)):
        made = evaluate(units(), answers(Completion("desk/calls/a", text, finish=finish)), quiet())
        result = made.cases["desk/calls/a"]
        assert (result.passed, result.score) == (passed, float(passed))
    assert [each.rule for each in result.findings] == ["cut"]
