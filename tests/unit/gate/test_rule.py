"""The decision rule, rule by rule, on records built by hand."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Noise, Record
from tunegate.harness.models.evaluation.verdict import UnitVerdict
from tunegate.harness.statistics.power import fewest_cases

T, G = "desk/triage", "desk/replies"
BARE = "No guard: nothing but the target was tested."


@pytest.fixture
def evaluate(tmp_path):
    """Compare rows of ones and zeros: the base's and the tuned model's, one row a unit."""

    def run(base, tuned, *, last=None, trained=("desk",), **more):
        tasks = load_tasks(tmp_path)
        references = {"baseline": record(tasks, _named(base))}
        if last:
            references["last release"] = record(tasks, _named(last))
        return gate.compare(tasks, record(tasks, _named(tuned), **more), references, list(trained))

    return run


def _named(rows: Any) -> dict[str, Any]:
    return rows if isinstance(rows, dict) else {T: rows}


def verdict(judged: Record, unit: str = T) -> UnitVerdict:
    return judged.verdicts[unit]


def moved(n: int, regressed: int = 0, fixed: int = 0, failing: int = 0) -> tuple[str, str]:
    """A base and a tuned row: so many regressed, so many fixed, so many fail in both, the others pass in both."""
    rest = n - regressed - fixed - failing
    return (
        "1" * regressed + "0" * fixed + "0" * failing + "1" * rest,
        "0" * regressed + "1" * fixed + "0" * failing + "1" * rest,
    )


# rule 3, 4, 6: held, worse, regressed


def test_no_change_on_enough_cases_is_held(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate("1" * 90 + "0" * 10, "1" * 90 + "0" * 10)
    assert verdict(judged).verdict == "held"
    assert not verdict(judged).blocks
    assert verdict(judged).reason == (
        "Held: the loss against the baseline is at most 2.8 points (one-sided 95 %), within the margin of 5.0. "
        "90.0 % -> 90.0 % on 100 cases, +0.0 points (90 %: -2.8 to +3.0); 0 regressed, 0 fixed."
    )


@pytest.mark.parametrize(("n", "expected"), [(58, "inconclusive"), (59, "held")])
def test_zero_flips_hold_from_the_smallest_n_that_can(evaluate, tmp_path, n, expected):
    write_desk(tmp_path, n)
    assert fewest_cases(0.05) == 59
    assert verdict(evaluate("1" * n, "1" * n)).verdict == expected


def test_a_clear_drop_is_regressed(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    found = verdict(evaluate(*moved(100, regressed=12, fixed=1)))
    assert (found.verdict, found.blocks, found.lower) == ("regressed", True, True)
    assert found.reason.startswith(
        "Regressed: worse than the baseline by more than the margin of 5.0 (one-sided 95 %)."
    )
    assert found.regressed_cases == tuple(f"c{index:03}" for index in range(12))
    assert found.fixed_cases == ("c012",)


@pytest.mark.parametrize(("regressed_cases", "fixed_cases", "worse"), [(9, 2, True), (8, 3, False)])
def test_worse_is_mcnemars_mid_p_below_four_percent(evaluate, tmp_path, regressed_cases, fixed_cases, worse):
    write_desk(tmp_path, 100)
    assert verdict(evaluate(*moved(100, regressed_cases, fixed_cases))).lower is worse


def test_four_regressed_alone_cannot_be_chance_but_three_can(evaluate, tmp_path):
    write_desk(tmp_path, 60)
    assert verdict(evaluate(*moved(60, regressed=4))).verdict == "regressed"  # mid-p .031
    assert verdict(evaluate(*moved(60, regressed=3))).verdict == "inconclusive"


# rule 1: observations


def test_cases_of_one_group_are_one_observation(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"group": f"t{index // 20}"})
    found = verdict(evaluate(*moved(100, regressed=20)))  # one conversation of five went wrong
    assert (found.n, found.observations) == (100, 5)
    assert found.verdict == "inconclusive"
    assert "on 100 cases (5 observations: a group counts once), -20.0 points" in found.reason
    assert "observations in total would settle it" in found.reason


def test_a_group_counts_once_however_long_it_is(evaluate, tmp_path):
    write_desk(tmp_path, 10, case_keys=lambda index: {"group": "long"} if index < 8 else {})
    found = verdict(evaluate("1" * 8 + "11", "0" * 8 + "11"))
    assert (found.base, found.mean) == (1.0, pytest.approx(2 / 3))
    assert found.difference == pytest.approx(-1 / 3)


def test_the_same_question_under_another_id_is_no_further_observation(evaluate, tmp_path):
    write_desk(tmp_path, 80, case_keys=lambda index: {"input": f"message {index // 2}"})
    found = verdict(evaluate("1" * 80, "1" * 80))
    assert found.verdict == "inconclusive"  # forty questions
    assert "on 80 cases (40 observations: a group counts once)" in found.reason


def test_repeats_are_averaged_not_pooled(evaluate, tmp_path):
    write_desk(tmp_path, 60)
    steady = [(1, 1, 1, 1, 1)] * 55
    base = [(1, 1, 1, 1, 1)] * 3 + [(1, 1, 1, 1, 0)] * 2 + steady
    tuned = [(1, 1, 1, 1, 0)] * 3 + [(1, 1, 1, 1, 1)] * 2 + steady
    found = verdict(evaluate(base, tuned))
    assert found.verdict == "inconclusive"  # T(.05) = 1.71679, below 1.7507
    assert found.difference == pytest.approx(-1 / 300)


def test_a_continuous_unit_without_a_margin_is_not_gated(evaluate, tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(tmp_path, 3)
    judged = evaluate([-1.0] * 3, [-9.0] * 3, trained=())
    assert verdict(judged).verdict == "ungated"
    assert not verdict(judged).blocks
    assert "desk/triage is not gated" in judged.tasks["desk"].reason


def test_where_an_adapter_could_be_released_a_continuous_unit_without_a_margin_blocks(evaluate, tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(tmp_path, 3)
    judged = evaluate([-1.0] * 3, [-9.0] * 3)
    assert (verdict(judged).verdict, verdict(judged).blocks) == ("ungated", True)
    assert "declare a margin, or `ungated: true` with a reason" in verdict(judged).reason
    assert judged.tasks["desk"].reason.startswith("Blocked: desk/triage has no margin")
    assert gate.blocked(judged, "warn")

    write_policy(tmp_path, triage={"ungated": True, "reason": "Only for reading."})
    judged = evaluate([-1.0] * 3, [-9.0] * 3)
    assert not verdict(judged).blocks
    assert verdict(judged).reason == "Not gated, as declared in task.yaml: Only for reading."


# rule 5: the family


def test_a_drop_that_is_worse_alone_may_be_chance_among_many_units(evaluate, tmp_path):
    names = [f"u{index}" for index in range(5)]
    for name in names:
        write_desk(tmp_path, 100, name)
    base, tuned = moved(100, regressed=9, fixed=2)  # mid-p .019: below .04, not below .04 / 5
    keys = [f"desk/{name}" for name in names]
    noisy = {key: moved(100, regressed=6, fixed=6) for key in keys}
    bases = {key: before for key, (before, _) in noisy.items()} | {keys[0]: base}
    tunes = {key: after for key, (_, after) in noisy.items()} | {keys[0]: tuned}
    found = verdict(evaluate(bases, tunes), keys[0])
    assert (found.lower, found.verdict) == (False, "inconclusive")


def test_units_too_quiet_to_be_worse_do_not_dilute_the_family(evaluate, tmp_path):
    names = [f"u{index}" for index in range(5)]
    for name in names:
        write_desk(tmp_path, 100, name)
    base, tuned = moved(100, regressed=9, fixed=2)
    quiet = {f"desk/{name}": "1" * 100 for name in names}
    judged = evaluate(quiet | {"desk/u0": base}, quiet | {"desk/u0": tuned})
    assert verdict(judged, "desk/u0").verdict == "regressed"


# rule 6: critical cases and the minimum score


def test_one_regressed_critical_case_is_regressed_by_itself(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": index == 0})
    found = verdict(evaluate(*moved(100, regressed=1)))
    assert found.verdict == "regressed"
    assert found.critical == ("c000",)
    assert found.reason.startswith("Regressed: a critical case regressed (c000).")


def test_a_critical_case_that_flips_by_itself_is_not_armed_and_listed(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": index < 2})
    tasks, (base, tuned) = load_tasks(tmp_path), moved(100, regressed=1)
    reference = record(tasks, {T: base}, noise={T: Noise(100, 3, ("c000", "c050"))})

    found = verdict(gate.compare(tasks, record(tasks, {T: tuned}), {"baseline": reference}, ["desk"]))

    assert (found.verdict, found.critical, found.disarmed) == ("held", (), ("c000",))
    assert found.reason.endswith(
        "Critical, but not blocking, as the base's result flips on a re-run: c000. "
        "2 of the cases flip when the base is re-run."
    )
    assert verdict(evaluate(base, tuned)).critical == ("c000",)


def test_a_critical_case_that_the_base_failed_is_already_failing_and_listed(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": index == 0})
    found = verdict(evaluate(*moved(100, failing=1)))
    assert (found.verdict, found.critical, found.already_failing) == ("held", (), ("c000",))
    assert "Critical, but already failing in the baseline: c000." in found.reason


@pytest.mark.parametrize(("before", "after", "regressed_cases", "already_failing"), [
    ((1, 1, 1), (0, 0, 1), True, False),
    ((1, 1, 1), (0, 1, 0), True, False),
    ((1, 1, 1), (1, 1, 0), True, False),
    ((1, 1, 0), (0, 0, 0), False, True),
])  # fmt: skip
def test_a_sampled_critical_case_is_armed_at_three_of_three_and_regresses_at_one_failure(
    evaluate, tmp_path, before, after, regressed_cases, already_failing
):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": index == 0})
    steady = [(1, 1, 1)] * 99
    found = verdict(evaluate([before, *steady], [after, *steady]))
    assert (found.critical == ("c000",)) is regressed_cases
    assert (found.already_failing == ("c000",)) is already_failing


def test_below_the_minimum_score_is_regressed_whatever_the_base_was(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"minimum_score": 0.9})
    row = "1" * 70 + "0" * 30
    found = verdict(evaluate(row, row))
    assert found.verdict == "regressed"
    assert found.reason.startswith("Regressed: below the minimum score of 90.0 %, regardless of the baseline.")


def test_an_estimate_below_the_minimum_score_is_at_best_inconclusive(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"minimum_score": 0.9})
    row = "1" * 88 + "0" * 12
    found = verdict(evaluate(row, row))
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("Inconclusive: 88.0 % is below the minimum score of 90.0 %, but not significantly.")


def test_a_score_of_the_minimum_is_not_below_it(evaluate, tmp_path):
    write_desk(tmp_path, 55)
    write_policy(tmp_path, triage={"minimum_score": 0.52, "margin": 0.3})
    rows = [tuple("10000")] * 11 + [tuple("11100")] * 44  # their mean is rounded to .5199999999999999
    assert verdict(evaluate(rows, rows)).verdict == "held"


def test_a_score_barely_below_the_minimum_does_not_read_as_the_minimum(evaluate, tmp_path):
    write_desk(tmp_path, 499)
    write_policy(tmp_path, triage={"minimum_score": 0.8})
    row = "1" * 399 + "0" * 100  # 79.96 %
    assert "79.96 % is below the minimum score of 80.00 %" in verdict(evaluate(row, row)).reason


def test_the_minimum_score_sees_groups_not_cases(evaluate, tmp_path):
    row = "1" * 70 + "0" * 30
    write_desk(tmp_path, 100, case_keys=lambda index: {"group": f"t{index // 10}"})
    write_policy(tmp_path, triage={"minimum_score": 0.8, "margin": 0.5})
    assert verdict(evaluate(row, row)).verdict == "inconclusive"  # 7 of 10, not 70 of 100


def test_every_cause_of_a_regression_is_told(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": index == 0})
    write_policy(tmp_path, triage={"minimum_score": 0.95})
    reason = verdict(evaluate(*moved(100, regressed=20))).reason
    assert reason.startswith(
        "Regressed: a critical case regressed (c000); worse than the baseline by more than the margin of 5.0 "
        "(one-sided 95 %); below the minimum score of 95.0 %, regardless of the baseline."
    )


# rule 7: held, but lower


def test_worse_within_the_margin_is_held_but_lower(evaluate, tmp_path):
    write_desk(tmp_path, 400)
    found = verdict(evaluate(*moved(400, regressed=6), trained=()))
    assert (found.verdict, found.lower, found.blocks) == ("held", True, False)
    assert found.reason.startswith(
        "Held, but lower: significantly worse than the baseline, by at most 2.9 points (one-sided 95 %), "
        "within the margin of 5.0."
    )


def test_task_yaml_may_let_lower_block(evaluate, tmp_path):
    write_desk(tmp_path, 400)
    write_policy(tmp_path, triage={"lower": "block"})
    judged = evaluate(*moved(400, regressed=6), trained=())
    assert verdict(judged).reason.startswith(
        "Regressed: lower than the baseline by at most 2.9 points, within the margin of 5.0, but "
        "task.yaml sets `lower: "
    )
    assert judged.tasks["desk"].reason == "Blocked: desk/triage regressed (100.0 % -> 98.5 %)."
    assert gate.blocked(judged, "warn")


# rule 8: improved and reached


def test_a_target_that_rose_beyond_chance_is_improved(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    judged = evaluate(*moved(100, fixed=20, failing=10))
    assert verdict(judged).verdict == "improved"
    assert judged.tasks["desk"].decision == "release"
    assert judged.tasks["desk"].reason == f"Release: desk/triage (70.0 % -> 90.0 %) improved. {BARE}"


def test_a_decision_without_any_guard_says_so(evaluate, tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(tmp_path, 9)
    write_policy(tmp_path, triage={"role": "target"})
    write_desk(tmp_path, 9, "replies")  # without a margin
    judged = evaluate({T: [0.0] * 9, G: [0.0] * 9}, {T: [0.0] * 9, G: [0.0] * 9})
    [remark] = [each for each in judged.tasks["desk"].remarks if each.code == "no-guard"]
    assert (remark.text, remark.units) == (BARE, (T,))


def test_a_guard_anywhere_is_a_guard_also_where_it_is_not_evaluated(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    base, tuned = moved(100, fixed=20, failing=10)
    for task, more in (("desk", {"sealed": True}), ("other", {})):
        path = write_desk(tmp_path, 9, "replies", task=task, **more)
        rows = {} if more else {"other/replies": "1" * 9}
        judged = evaluate({T: base, **rows}, {T: tuned, **rows})
        assert judged.tasks["desk"].reason.startswith("Release: desk/triage (70.0 % -> 90.0 %) improved.")
        assert BARE not in judged.tasks["desk"].reason
        path.unlink()


def test_targets_that_only_have_to_hold_are_guards(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    assert BARE not in evaluate("1" * 100, "1" * 100, trained=()).tasks["desk"].reason
    assert BARE in evaluate("1" * 100, "1" * 100).tasks["desk"].reason


def test_guards_are_never_improved_only_held(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={})
    assert verdict(evaluate(*moved(100, fixed=20))).verdict == "held"


def test_a_rise_that_chance_explains_is_held_and_no_gain(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    judged = evaluate(*moved(100, fixed=3))
    assert verdict(judged).verdict == "held"
    assert judged.tasks["desk"].decision == "block"
    assert judged.tasks["desk"].reason.startswith("Blocked: no gain beyond chance on desk/triage")
    assert gate.blocked(judged, "warn")  # no gain is not inconclusive


def test_improvements_share_the_level_across_targets(evaluate, tmp_path):
    for name in ("triage", "replies"):
        write_desk(tmp_path, 100, name)
    write_policy(tmp_path, triage={"role": "target"}, replies={"role": "target"})
    first, second = moved(100, fixed=8, regressed=2), moved(100, fixed=6, regressed=6)
    judged = evaluate({T: first[0], G: second[0]}, {T: first[1], G: second[1]})
    assert verdict(judged).verdict == "held"  # mid-p .033: above .04 / 2
    write_policy(tmp_path, triage={"role": "target"}, replies={})
    judged = evaluate({T: first[0], G: second[0]}, {T: first[1], G: second[1]})
    assert verdict(judged).verdict == "improved"


def test_a_target_score_is_a_further_demand_beside_the_gain(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_policy(tmp_path, triage={"role": "target", "target_score": 0.9})
    judged = evaluate(*moved(200, failing=5, fixed=20))
    assert (verdict(judged).verdict, verdict(judged).reached) == ("improved", True)
    assert "The target score of 90.0 % is reached." in verdict(judged).reason
    assert judged.tasks["desk"].decision == "release"
    assert "desk/triage (87.5 % -> 97.5 %) improved and desk/triage reached" in judged.tasks["desk"].reason

    judged = evaluate(*moved(200, failing=20, fixed=20))
    assert (verdict(judged).verdict, verdict(judged).reached) == ("improved", False)
    assert ("The target score of 90.0 % is not reached: the score is at least 85.6 % (one-sided 95 %).") in verdict(
        judged
    ).reason
    assert (judged.tasks["desk"].decision, judged.tasks["desk"].short) == ("block", (T,))
    assert "the target score of 90.0 % is not reached on desk/triage (80.0 % -> 90.0 %)" in judged.tasks["desk"].reason


def test_a_bound_barely_below_the_target_score_does_not_read_as_the_target_score(evaluate, tmp_path):
    write_desk(tmp_path, 1075)
    write_policy(tmp_path, triage={"role": "target", "target_score": 0.9})
    found = verdict(evaluate(*moved(1075, failing=92, fixed=200)))
    assert (found.reached, round(found.score_bound, 4)) == (False, 0.8995)
    assert "The target score of 90.00 % is not reached: the score is at least 89.95 %" in found.reason


def test_crossing_a_target_score_is_no_gain(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_policy(tmp_path, triage={"role": "target", "target_score": 0.9})
    judged = evaluate({T: "0" * 21 + "1" * 179}, {T: "1" * 21 + "0" * 12 + "1" * 167})
    assert (verdict(judged).verdict, verdict(judged).reached) == ("held", True)
    assert judged.tasks["desk"].decision == "block"
    assert judged.tasks["desk"].reason.startswith("Blocked: no gain beyond chance on desk/triage")


def test_a_target_whose_base_is_at_its_score_has_nothing_to_gain(evaluate, tmp_path):
    write_desk(tmp_path, 200)
    write_policy(tmp_path, triage={"role": "target", "target_score": 0.9})
    judged = evaluate(*moved(200, failing=5))
    assert judged.tasks["desk"].decision == "block"
    assert judged.tasks["desk"].reason.startswith(
        "Blocked: nothing to gain on desk/triage (97.5 % -> 97.5 %), where the baseline already reaches the target "
        "score (90.0 %): declare it a guard"
    )


# rule 9: inconclusive


def test_inconclusive_says_how_many_cases_would_settle_it(evaluate, tmp_path):
    write_desk(tmp_path, 60)
    judged = evaluate(*moved(60, regressed=1, fixed=1))
    found = verdict(judged)
    assert found.reason.startswith(
        "Inconclusive: the loss may be up to 5.9 points (margin 5.0); "
        "add cases: about 124 cases in total would settle it. "
    )
    assert gate.exempted(judged, "warn") == {T}


def test_where_answers_to_a_case_vary_more_of_them_would_settle_it_too(evaluate, tmp_path):
    write_desk(tmp_path, 160)
    wavering = ["01", "10", "11", "00"] * 40
    before, after = ([tuple(each) for each in side] for side in (wavering, wavering[::-1]))
    found = verdict(evaluate(before, after))
    assert found.verdict == "inconclusive"
    assert re.search(r": about (4|8|16) outputs per case, or \d+ cases in total would settle it", found.reason)

    settled = [("1", "1"), ("0", "0")] * 80
    assert "answers a case" not in verdict(evaluate(settled, settled[::-1])).reason


def test_a_close_call_says_so(evaluate, tmp_path):
    write_desk(tmp_path, 400)
    found = verdict(evaluate(*moved(400, regressed=25, fixed=14)))
    assert found.verdict == "inconclusive"
    assert "a close call: this many cases settle it 80 % of the time" in found.reason


# rule 10: slices


def _channel(index: int) -> dict[str, Any]:
    return {"tags": {"channel": "sms" if index < 10 else "email"}}


def test_a_collapsed_slice_blocks_though_its_unit_holds(evaluate, tmp_path):
    write_desk(tmp_path, 400, case_keys=_channel)
    write_policy(tmp_path, triage={})
    judged = evaluate(*moved(400, regressed=8), trained=())
    assert (verdict(judged).verdict, verdict(judged).worse_slices) == ("regressed", ("channel=sms",))
    assert verdict(judged).reason.startswith("Regressed: the slice channel=sms fell.")
    assert judged.tasks["desk"].reason == "Blocked: desk/triage regressed (100.0 % -> 98.0 %)."
    assert gate.blocked(judged, "warn")


@pytest.mark.parametrize(("regressed_cases", "fell"), [(5, ()), (6, ("channel=sms",))])
def test_a_slice_falls_by_its_exact_p(evaluate, tmp_path, regressed_cases, fell):
    write_desk(tmp_path, 400, case_keys=_channel)
    # 1/32 and 1/64 beside .02; mid-p is half of it
    assert verdict(evaluate(*moved(400, regressed_cases))).worse_slices == fell


def test_a_slice_that_is_itself_held_does_not_block(evaluate, tmp_path):
    write_desk(tmp_path, 500, case_keys=lambda index: {"tags": {"channel": "sms" if index < 350 else "email"}})
    assert verdict(evaluate(*moved(500, regressed=6))).worse_slices == ()


def test_a_fallen_slice_blocks_even_where_inconclusive_is_a_warning(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=_channel)
    judged = evaluate("1" * 10 + "0" * 6 + "1" * 84, "0" * 6 + "1" * 94)
    assert (verdict(judged).verdict, verdict(judged).worse_slices) == ("regressed", ("channel=sms",))
    assert gate.exempted(judged, "warn") == set()


def test_a_tag_of_nearly_all_cases_is_no_slice(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"tags": {"channel": "sms" if index < 81 else "email"}})
    assert verdict(evaluate(*moved(100, regressed=20))).worse_slices == ()
    write_desk(tmp_path, 100, case_keys=lambda index: {"tags": {"channel": "sms" if index < 80 else "email"}})
    assert verdict(evaluate(*moved(100, regressed=20))).worse_slices == ("channel=sms",)


def test_the_slices_of_all_units_are_one_family(evaluate, tmp_path):
    write_desk(tmp_path, 400, case_keys=_channel)
    base, tuned = moved(400, regressed=6)  # exact p 1/64 = .016
    assert verdict(evaluate(base, tuned)).worse_slices == ("channel=sms",)
    write_desk(tmp_path, 400, "replies", case_keys=lambda index: {"tags": {"kind": f"k{index // 100}"}})
    noisy = [row * 4 for row in moved(100, regressed=6, fixed=6)]
    judged = evaluate({T: base, G: noisy[0]}, {T: tuned, G: noisy[1]})
    assert verdict(judged).worse_slices == ()


def test_a_conversation_is_one_observation_of_its_slice(evaluate, tmp_path):
    write_desk(tmp_path, 400, case_keys=lambda index: _channel(index) | ({"group": "one"} if index < 8 else {}))
    assert verdict(evaluate(*moved(400, regressed=8))).worse_slices == ()


# rule 12: two references


def test_the_blocking_reference_counts(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    base, tuned = moved(100, fixed=30, failing=20)
    judged = evaluate(base, tuned, last="1" * 100)
    assert (verdict(judged).verdict, verdict(judged).reference) == ("regressed", "last release")
    assert verdict(judged).reason.endswith("Against the baseline: improved, +30.0 points.")
    assert judged.tasks["desk"].decision == "block"


def test_a_second_tune_need_only_hold_what_the_first_won(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    base, tuned = moved(100, fixed=30, failing=20)
    judged = evaluate(base, tuned, last=tuned)
    assert (verdict(judged).verdict, verdict(judged).reference) == ("improved", "baseline")
    assert verdict(judged).reason.endswith("Against the last release: held, +0.0 points.")
    assert judged.tasks["desk"].decision == "release"


def test_regressed_against_one_hides_behind_no_inconclusive_of_the_other(evaluate, tmp_path):
    write_desk(tmp_path, 50)
    judged = evaluate("1" * 40 + "0" * 10, "1" * 40 + "0" * 10, last="1" * 50)
    assert verdict(judged).verdict == "regressed"
    assert gate.blocked(judged, "warn")


def test_what_cannot_be_compared_with_one_hides_behind_no_inconclusive_of_the_other(evaluate, tmp_path):
    write_desk(tmp_path, 50)
    judged = evaluate("1" * 50, "1" * 50, last="1" * 49 + "-")
    assert "the last release has no score for 1 case" in verdict(judged).reason
    assert gate.blocked(judged, "warn")


def test_a_unit_newer_than_the_last_release_is_judged_against_the_base_only(evaluate, tmp_path):
    for name in ("triage", "replies"):
        write_desk(tmp_path, 100, name)
    rows = {T: "1" * 100, G: "1" * 100}
    judged = evaluate(rows, rows, last={T: "1" * 100})
    assert {unit: each.verdict for unit, each in judged.verdicts.items()} == {T: "held", G: "held"}


@pytest.mark.parametrize(
    ("after", "regressed", "unstable"),
    [((0, 0, 1), True, False), ((1, 0, 0), True, False), ((0, 1, 0), False, True), ((1, 1, 1), False, False)],
)
def test_one_declared_unstable_regresses_at_two_running_and_is_told_at_one(
    evaluate, tmp_path, after, regressed, unstable
):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": True, "unstable": True} if index == 0 else {})
    steady = [(1, 1, 1)] * 99
    found = verdict(evaluate([(1, 1, 1), *steady], [after, *steady]))
    assert (found.critical == ("c000",)) is regressed
    assert (found.unstable == ("c000",)) is unstable
    assert ("Critical, but declared unstable and failed only in part: c000." in found.reason) is unstable


def test_an_unstable_case_with_one_answer_alone_regresses_like_any_other(evaluate, tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"critical": True, "unstable": True} if index == 0 else {})
    assert verdict(evaluate(*moved(100, regressed=1))).critical == ("c000",)


# rule 13: openings


def test_of_a_sealed_unit_no_tag_is_told(evaluate, tmp_path):
    def tags(index):
        return {"tags": {"channel": "sms" if index < 10 else "email", "language": "en"}}

    write_desk(tmp_path, 400, case_keys=tags, sealed=True)
    found = verdict(evaluate("1" * 400, "0" * 8 + "1" * 392, sealed=True))
    assert "; a slice fell." in found.reason
    assert "nearly the whole unit: 2 of its tags." in found.reason
    assert not [text for text in ("channel", "sms", "language") if text in found.reason]


@pytest.mark.parametrize(
    ("opening", "n", "expected"), [(1, 63, "held"), (1, 62, "inconclusive"), (2, 112, "held"), (2, 111, "inconclusive")]
)
def test_each_opening_may_err_less_and_takes_more_cases(evaluate, tmp_path, opening, n, expected):
    write_desk(tmp_path, n, sealed=True)
    found = verdict(evaluate("1" * n, "1" * n, sealed=True, sealed_evaluations={T: opening}))
    assert (found.verdict, found.level) == (expected, pytest.approx(0.032 if opening == 1 else 0.0064))


def test_open_cases_may_be_looked_at_freely_and_prove_nothing_twice(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    judged = evaluate(*moved(100, fixed=20, failing=10), sealed_evaluations={T: 5})
    assert (verdict(judged).verdict, verdict(judged).level) == ("improved", 0.04)
    assert (judged.tasks["desk"].decision, judged.tasks["desk"].reused) == ("unproven", (T,))
    assert not gate.blocked(judged)
    guards = evaluate(*moved(100, fixed=20, failing=10), sealed_evaluations={T: 5}, trained=())
    assert guards.tasks["desk"].reused == ()


# rule 14: sealed units


@pytest.mark.parametrize("tuned", ["1111", "0000"])
def test_a_sealed_guard_that_is_not_held_blocks(evaluate, tmp_path, tuned):
    write_desk(tmp_path, 4, sealed=True)
    judged = evaluate("1111", tuned, trained=(), sealed=True)
    assert verdict(judged).blocks
    assert gate.blocked(judged)
    if tuned == "1111":
        assert "A sealed unit must be held before a release." in verdict(judged).reason


def test_a_sealed_target_is_improved_or_blocks(evaluate, tmp_path):
    write_desk(tmp_path, 100, sealed=True)
    write_policy(tmp_path, triage={"role": "target"})
    assert evaluate(*moved(100, fixed=20), sealed=True).tasks["desk"].decision == "release"
    assert evaluate("1" * 100, "1" * 100, sealed=True).tasks["desk"].short == (T,)


def test_a_sealed_unit_must_not_be_worse_even_within_the_margin(evaluate, tmp_path):
    write_desk(tmp_path, 400, sealed=True)
    judged = evaluate(*moved(400, regressed=6), trained=(), sealed=True)
    assert verdict(judged).blocks
    assert judged.tasks["desk"].decision == "block"
    assert gate.blocked(judged, "warn")


def test_without_sealed_its_task_is_decided_without_it_and_says_what_is_left(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_desk(tmp_path, 20, "final", sealed=True)
    write_policy(tmp_path, triage={"role": "target"}, final={})
    judged = evaluate(*moved(100, fixed=20))
    assert judged.tasks["desk"].decision == "release"
    assert judged.tasks["desk"].reason.endswith("Before a release, evaluate desk/final with --tg-sealed.")


# fail closed


def test_an_unscored_case_is_nothing_to_compare(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate("1" * 100, "1" * 99 + "-")
    assert verdict(judged).reason == ("Inconclusive: cannot be compared: the run has no score for 1 case (c099).")
    assert verdict(judged).blocks
    assert gate.blocked(judged, "warn")


def test_an_unscored_case_of_the_reference_blocks_too(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    assert "the baseline has no score for 1 case (c000)" in verdict(evaluate("-" + "1" * 99, "1" * 100)).reason


@pytest.mark.parametrize("side", ["baseline", "run"])
@pytest.mark.parametrize("change", ["missing", "extra", "renamed"])
def test_other_cases_than_the_fixtures_are_nothing_to_compare(tmp_path, side, change):
    write_desk(tmp_path, 100)
    tasks = load_tasks(tmp_path)
    sides = {"baseline": record(tasks, {T: "1" * 100}), "run": record(tasks, {T: "1" * 100})}
    cases = dict(sides[side].cases)
    if change != "missing":
        cases[f"{T}/new"] = cases[f"{T}/c007"]
    if change != "extra":
        del cases[f"{T}/c007"]
    sides[side] = replace(sides[side], cases=cases)
    judged = gate.compare(tasks, sides["run"], {"baseline": sides["baseline"]}, [])
    assert f"the {side} and the fixtures differ in" in verdict(judged).reason
    assert gate.blocked(judged, "warn")
    assert judged.tasks["desk"].decision == "block"


def test_other_questions_are_nothing_to_compare(tmp_path):
    write_desk(tmp_path, 100)
    old = record(load_tasks(tmp_path), {T: "1" * 100})
    write_desk(tmp_path, 100, check={"schema": {"type": "object"}})
    tasks = load_tasks(tmp_path)
    judged = gate.compare(tasks, record(tasks, {T: "1" * 100}), {"baseline": old}, [])
    assert "the baseline was evaluated on other questions" in verdict(judged).reason
    assert gate.blocked(judged, "warn")


def test_a_unit_that_the_baseline_lacks_blocks(evaluate, tmp_path):
    for name in ("triage", "replies"):
        write_desk(tmp_path, 100, name)
    judged = evaluate({T: "1" * 100}, {T: "1" * 100, G: "1" * 100}, trained=())
    assert verdict(judged, G).reason == ("Inconclusive: cannot be compared: the baseline does not contain it.")
    assert judged.tasks["desk"].reason.startswith("Blocked: desk/replies cannot be compared.")
    assert gate.blocked(judged, "warn")


def test_a_unit_that_a_whole_run_did_not_judge_blocks(evaluate, tmp_path):
    for name in ("triage", "replies"):
        write_desk(tmp_path, 100, name)
    judged = evaluate({T: "1" * 100, G: "1" * 100}, {T: "1" * 100}, trained=())
    assert "the run did not evaluate it" in verdict(judged, G).reason
    assert judged.tasks["desk"].decision == "block"


def test_a_sealed_unit_missing_from_a_sealed_run_blocks(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_desk(tmp_path, 20, "final", sealed=True)
    judged = evaluate({T: "1" * 100, "desk/final": "1" * 20}, {T: "1" * 100}, trained=(), sealed=True)
    assert verdict(judged, "desk/final").blocks


@pytest.mark.parametrize("side", ["baseline", "run"])
@pytest.mark.parametrize("task", ["desk", "shop"])
def test_a_unit_that_vanished_from_the_fixtures_blocks(tmp_path, side, task):
    write_desk(tmp_path, 100)
    write_desk(tmp_path, 100, "replies", task=task)
    old = f"{task}/replies"
    everything = record(load_tasks(tmp_path), {T: "1" * 100, old: "1" * 100})
    (tmp_path / f"{old}.yaml").unlink()
    if task == "shop":
        shutil.rmtree(tmp_path / "shop")
    tasks = load_tasks(tmp_path)
    sides = {"baseline": record(tasks, {T: "1" * 100}), "run": record(tasks, {T: "1" * 100})} | {side: everything}
    judged = gate.compare(tasks, sides["run"], {"baseline": sides["baseline"]}, [])
    assert "the fixtures no longer contain this unit" in verdict(judged, old).reason
    assert judged.tasks[task].decision == "block"
    assert gate.blocked(judged, "warn")


def test_a_partial_run_has_no_verdict_for_the_rest_and_no_decision(tmp_path):
    for name in ("triage", "replies"):
        write_desk(tmp_path, 100, name)
    tasks = load_tasks(tmp_path)
    part = record(tasks, {T: "1" * 100}, partial=True)
    judged = gate.compare(tasks, part, {"baseline": record(tasks, {T: "1" * 100, G: "1" * 100})}, [])
    assert list(judged.verdicts) == [T]
    assert judged.tasks == {}


# decisions


def test_a_tasks_decision_names_what_blocks_and_where_no_gain_is(evaluate, tmp_path):
    for name in ("triage", "replies"):
        write_desk(tmp_path, 100, name)
    write_policy(tmp_path, triage={"role": "target"}, replies={})
    base, tuned = moved(100, regressed=20)
    judged = evaluate({T: "1" * 100, G: base}, {T: "1" * 100, G: tuned})
    assert judged.tasks["desk"].reason == (
        "Blocked: desk/replies regressed (100.0 % -> 80.0 %). Blocked: nothing to gain on desk/triage "
        "(100.0 % -> 100.0 %), where the baseline passes every case: declare it a guard."
    )
    assert judged.tasks["desk"].blocking == (G,)
    assert judged.tasks["desk"].short == (T,)


def test_targets_of_a_task_it_was_not_trained_for_only_guard(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={"role": "target"})
    judged = evaluate("1" * 100, "1" * 100, trained=("another",))
    assert verdict(judged).role == "guard"
    assert judged.tasks["desk"].decision == "release"
    assert judged.tasks["desk"].reason == "Nothing had to improve here: desk/triage (100.0 % -> 100.0 %) held."


def test_without_task_yaml_a_trained_task_blocks_and_promises_nothing(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate(*moved(100, fixed=30))
    assert verdict(judged).verdict == "held"
    assert judged.tasks["desk"].decision == "block"
    assert judged.tasks["desk"].reason == (
        "Blocked: desk/triage (70.0 % -> 100.0 %) held, but no target is declared in task.yaml, so "
        "no gain can be shown. "
        "desk has no task.yaml, so nothing can be released for it."
    )
    assert gate.blocked(judged, "warn")


def test_without_task_yaml_a_held_task_says_that_nothing_can_be_released(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    judged = evaluate("1" * 100, "1" * 100, trained=())
    assert judged.tasks["desk"].reason == (
        "Nothing had to improve here: desk/triage (100.0 % -> 100.0 %) held. "
        "desk has no task.yaml, so nothing can be released for it."
    )
    assert not gate.blocked(judged)


def test_guards_alone_are_nothing_to_release_for(evaluate, tmp_path):
    write_desk(tmp_path, 100)
    write_policy(tmp_path, triage={})
    judged = evaluate("1" * 100, "1" * 100)
    assert judged.tasks["desk"].decision == "block"
    assert "no target is declared" in judged.tasks["desk"].reason


def test_warn_excuses_inconclusive_units_but_the_decision_stays(evaluate, tmp_path):
    write_desk(tmp_path, 30)
    judged = evaluate("1" * 30, "1" * 30, trained=())
    assert judged.tasks["desk"].decision == "block"
    assert gate.blocked(judged, "block")
    assert not gate.blocked(judged, "warn")


def test_the_verdict_repeats(evaluate, tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(tmp_path, 60)
    write_policy(tmp_path, triage={"margin": 0.5})
    base = [-3.0 - 0.013 * index for index in range(60)]
    tuned = [score - 0.07 * (index % 5) for index, score in enumerate(base)]
    assert evaluate(base, tuned).verdicts == evaluate(base, tuned).verdicts


# against a record


def stays(tmp_path, base: str, tuned: str, **policy) -> Record:
    """What a model without an adapter comes to, where targets stay targets."""
    write_desk(tmp_path, len(base))
    if policy:
        write_policy(tmp_path, triage=policy)
    tasks = load_tasks(tmp_path)
    return gate.compare(tasks, record(tasks, {T: tuned}), {"record": record(tasks, {T: base})}, [], targets_stay=True)


def test_a_target_that_stays_must_gain(tmp_path):
    base, tuned = moved(100, fixed=30)
    assert stays(tmp_path, base, tuned, role="target", margin=0.1).tasks["desk"].decision == "release"
    judged = stays(tmp_path, base, base, role="target", margin=0.1)
    assert (verdict(judged).role, verdict(judged).verdict) == ("target", "held")
    assert judged.tasks["desk"].short == (T,)
    assert gate.blocked(judged)


def test_a_target_that_stays_may_be_reached(tmp_path):
    base, tuned = moved(100, fixed=30)
    judged = stays(tmp_path, base, tuned, role="target", margin=0.1, target_score=0.9)
    assert verdict(judged).reached


@pytest.mark.parametrize("policy", [{}, {"margin": 0.1}])
def test_a_task_without_a_target_need_not_have_one(tmp_path, policy):
    judged = stays(tmp_path, "1" * 100, "1" * 100, **policy)
    assert judged.tasks["desk"].decision == "release"
    assert not judged.tasks["desk"].no_target
    assert judged.tasks["desk"].reason.startswith("Nothing had to improve here")


def test_supplied_outputs_are_told(tmp_path):
    write_desk(tmp_path, 100)
    tasks = load_tasks(tmp_path)
    made = record(tasks, {T: "1" * 100})
    supplied = replace(made, fingerprint={**made.fingerprint, "engine": {"backend": "replay"}})

    def reason(candidate: Record, reference: Record) -> str:
        return str(verdict(gate.compare(tasks, candidate, {"record": reference}, [])).reason)

    assert reason(supplied, supplied).endswith(" The outputs come from a file.")
    assert reason(supplied, made).endswith(" The outputs come from a file.")
    assert reason(made, supplied).endswith(" The outputs of the record were supplied, not generated.")
    assert "supplied" not in reason(made, made)
