"""The parts of a pass rule: each a rate, gated by a margin of its own, or told first where it fell without one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import FieldCount, Outcome
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.checks.schema.check import SchemaCheck
from tunegate.harness.core.errors import Problem
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.reporting.why import why_lines

T, G = "desk/triage", "desk/replies"
CLEAN = {"clean": {"margin": 0.05, "reason": "a complaint each"}}


def with_part(made: Record, rows: dict[str, str], name: str = "clean") -> Record:
    """A record whose cases have one more part: `1` met, `0` not, `-` the case does not have it."""

    def result(key: str, each: Result) -> Result:
        unit, _, case = key.rpartition("/")
        met = rows.get(unit, "-" * 1000)[int(case[1:])]
        return each if met == "-" else replace(each, rates={**each.rates, name: met == "1"})

    return replace(made, cases={key: result(key, each) for key, each in made.cases.items()})


@pytest.fixture
def parted(tmp_path):
    """The verdict on `triage`, of which nothing passes before or after, and whose part moves from row to row."""

    def run(before: str, after: str, parts: dict[str, Any] | None = None, whole: str = "", **policy: Any) -> Any:
        n = len(before)
        write_desk(tmp_path, n)
        write_policy(tmp_path, triage={**policy, **({"parts": parts} if parts else {})})
        tasks = load_tasks(tmp_path)
        base = with_part(record(tasks, {T: "0" * n}), {T: before})
        tuned = with_part(record(tasks, {T: whole or "0" * n}), {T: after})
        return gate.compare(tasks, tuned, {"baseline": base}, [])

    return run


@dataclass(frozen=True)
class OfYourOwn:
    """A check that does not say which cases ask for what."""

    check: SchemaCheck

    @property
    def references(self) -> str:
        return self.check.references

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:
        return self.check(output, expect, prompt)

    def expect_problems(self, *given: Any) -> list[Problem]:
        return self.check.expect_problems(*given)


@pytest.fixture(autouse=True)
def _known_part(monkeypatch):
    """`clean` is a part of the units here, as it is of those of the vocabulary suite."""
    parts = {**CHECKS["schema"].parts, "clean": "no banned word"}
    load = CHECKS["schema"].load
    monkeypatch.setitem(
        CHECKS, "schema", replace(CHECKS["schema"], parts=parts, load=lambda *given: OfYourOwn(load(*given)))
    )


def test_a_part_that_fell_without_a_margin_is_named_first(parted):
    judged = parted("1" * 82 + "0" * 38, "1" * 65 + "0" * 55)

    assert judged.verdicts[T].reason.startswith(
        "Cannot fall, but 'no banned word' fell from 68.3 % to 54.2 % of 120 cases: not gated; give clean a margin "
        "under `parts` in task.yaml. Cannot fall: the baseline passes none of its cases"
    )
    assert not judged.verdicts[T].blocks
    assert " Fell, but not gated: 'no banned word' of desk/triage." in judged.tasks["desk"].reason


def test_a_margin_wider_than_that_of_the_unit_silences_nothing(parted):
    wide = {"clean": {"margin": 0.99, "reason": "hardly looked at"}}
    judged = parted("1" * 82 + "0" * 38, "1" * 65 + "0" * 55, wide)

    assert judged.verdicts[T].reason.startswith(
        "Cannot fall, but 'no banned word' fell from 68.3 % to 54.2 % of 120 cases: within its margin of "
        "99.0, but more than its unit's margin. Cannot fall: "
    )
    assert not judged.verdicts[T].blocks


def test_a_part_that_fell_beyond_its_margin_blocks_whatever_the_unit_does(parted):
    judged = parted("1" * 82 + "0" * 38, "1" * 65 + "0" * 55, CLEAN)

    assert (judged.verdicts[T].verdict, judged.verdicts[T].blocks) == ("regressed", True)
    assert judged.verdicts[T].reason.startswith(
        "Regressed: 'no banned word' fell from 68.3 % to 54.2 % of 120 cases, by more than the margin of 5.0."
    )
    (part,) = [each for each in judged.verdicts[T].parts if each.name == "clean"]
    assert (part.n, part.margin, part.fell, part.declared) == (120, 0.05, True, "a complaint each")
    assert part.interval[1] < -0.05
    assert gate.blocked(judged, "warn")
    assert "  part clean: margin 5.0 points: a complaint each; the difference lies from " in "\n".join(
        why_lines(judged)
    )


def test_a_part_within_its_margin_does_not_block(parted):
    judged = parted("1" * 400, "1" * 394 + "0" * 6, CLEAN)

    assert judged.verdicts[T].verdict == "cannot fall"
    assert judged.verdicts[T].reason.startswith(
        "Cannot fall: the baseline passes none of its cases, so it guards only 'no banned word'. "
    )


def test_a_fall_that_chance_explains_is_told_and_does_not_block(parted):
    judged = parted(
        "1" * 6 + "0" * 4 + "1" * 90, "0" * 6 + "1" * 4 + "1" * 90, {"clean": CLEAN["clean"] | {"margin": 0.01}}
    )

    assert not judged.verdicts[T].blocks
    assert judged.verdicts[T].reason.startswith(
        "Cannot fall, but 'no banned word' fell from 96.0 % to 94.0 % of 100 cases: more than its margin "
        "of 1.0, but not significant."
    )
    assert "Fell, but not gated" not in judged.tasks["desk"].reason


def test_a_small_fall_of_a_part_without_a_margin_is_left_to_the_table(parted):
    judged = parted("1" * 100, "1" * 96 + "0" * 4)

    assert judged.verdicts[T].reason.startswith("Cannot fall: ")


@pytest.mark.parametrize("met", [90, 80])
def test_a_fall_by_the_margin_of_the_unit_is_within_it(parted, met):
    judged = parted("1" * met + "0" * (100 - met), "1" * (met - 5) + "0" * (105 - met))

    assert judged.verdicts[T].reason.startswith("Cannot fall: ")


def test_a_fall_by_its_own_margin_is_within_it(parted):
    tenth = {"clean": {"margin": 0.1, "reason": "a complaint each"}}
    judged = parted("0" * 20 + "1" * 80, "1" * 20 + "0" * 30 + "1" * 50, tenth)

    assert "from 80.0 % to 70.0 % of 100 cases: within its margin of 10.0, but more than" in judged.verdicts[T].reason


def test_a_part_that_only_one_side_has_is_not_met_on_the_other(parted):
    judged = parted("1" * 100, "1" * 60 + "-" * 40, CLEAN)

    assert judged.verdicts[T].verdict == "regressed"
    (part,) = [each for each in judged.verdicts[T].parts if each.name == "clean"]
    assert (part.n, part.base, part.mean) == (100, 1.0, 0.6)
    assert (part.base_only, part.mean_only) == (None, (1.0, 60))
    assert (
        "'no banned word' fell from 100.0 % to 60.0 % of 100 cases that have it in either run (separately: 100.0 % of "
        "60 now)" in judged.verdicts[T].reason
    )


def test_a_part_is_a_rate_of_the_cases_that_have_it(parted):
    judged = parted("1" * 50 + "-" * 50, "1" * 30 + "0" * 20 + "-" * 50, CLEAN)

    (part,) = [each for each in judged.verdicts[T].parts if each.name == "clean"]
    assert (part.n, part.base, part.mean, part.fell) == (50, 1.0, 0.6, True)


def test_a_part_with_a_margin_that_no_case_has_blocks(parted):
    judged = parted("-" * 100, "-" * 100, CLEAN)

    assert judged.verdicts[T].reason == (
        "Inconclusive: cannot be compared: no case has the part clean, which has a margin."
    )
    assert judged.verdicts[T].blocks


def test_a_part_that_is_all_of_the_rule_is_not_told_twice(parted):
    judged = parted("0" * 100, "0" * 100)

    names = [each.name for each in judged.verdicts[T].parts]
    assert {"adherence", "exact", "clean"} <= set(names)
    assert judged.verdicts[T].reason.startswith("Cannot fall: ")


def test_only_a_part_with_a_margin_is_one_more_test_of_the_family(parted):
    rows = "1" * 50, "1" * 50

    assert parted(*rows, CLEAN).verdicts[T].tests == 2
    assert parted(*rows).verdicts[T].tests == 1


def test_the_answers_of_a_case_count_by_their_share(tmp_path):
    write_desk(tmp_path, 40)
    write_policy(tmp_path, triage={"parts": CLEAN})
    tasks = load_tasks(tmp_path)

    def repeated(met: tuple[bool, bool]) -> Record:
        made = record(tasks, {T: [("0", "0")] * 40})
        answers = {
            key: replace(each, repeats=tuple(replace(one, rates={"clean": is_met})
                                             for one, is_met in zip(each.repeats, met, strict=True)))
            for key, each in made.cases.items()
        }  # fmt: skip
        return replace(made, cases=answers)

    judged = gate.compare(tasks, repeated((True, False)), {"baseline": repeated((True, True))}, [])

    (part,) = [each for each in judged.verdicts[T].parts if each.name == "clean"]
    assert (part.base, part.mean, part.fell) == (1.0, 0.5, True)


def _with_fields(made: Record, answered: dict[int, FieldCount]) -> Record:
    """A record in which some cases have a field called `note`."""
    cases = {
        key: replace(each, fields={"note": answered[int(key[-3:])]}) if int(key[-3:]) in answered else each
        for key, each in made.cases.items()
    }
    return replace(made, cases=cases)


@pytest.mark.parametrize("invents", ["the candidate", "the baseline"])
def test_a_field_that_one_side_alone_invents_is_right_on_the_other(tmp_path, invents):
    write_desk(tmp_path, 100)
    tasks = load_tasks(tmp_path)
    plain = record(tasks, {T: "1" * 100})
    invented = _with_fields(plain, dict.fromkeys(range(30), FieldCount(0, 0, 1)))
    base, tuned = (plain, invented) if invents == "the candidate" else (invented, plain)

    reason = gate.compare(tasks, tuned, {"baseline": base}, []).verdicts[T].reason

    fell = "'note (none expected)' fell from 100.0 % to 70.0 % of 100 cases" in reason
    assert fell == (invents == "the candidate")


def test_a_fall_among_few_cases_is_no_fall_of_the_unit(tmp_path):
    write_desk(tmp_path, 100)
    tasks = load_tasks(tmp_path)
    plain = record(tasks, {T: "1" * 100})
    three = _with_fields(plain, dict.fromkeys(range(3), FieldCount(0, 0, 1)))

    assert gate.compare(tasks, three, {"baseline": plain}, []).verdicts[T].reason.startswith("Held: ")
