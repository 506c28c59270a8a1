from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.records import ENGINE, LOCAL, record, save, write_desk, write_policy
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.review.lint.rules import lint_fixtures, report_cards

T = "desk/triage"
POLICY = "version: 1\nunits:\n  triage: {role: target, margin: MARGIN, reason: tickets}\n"


def cases(count: int) -> list[str]:
    return [f"c{index}" for index in range(count)]


def warnings(tmp_path, count, margin="0.1", policy="", **more):
    write_unit(tmp_path, cases(count), **more)
    (tmp_path / "desk" / "task.yaml").write_text(POLICY.replace("MARGIN", margin) + policy)
    return said(tmp_path)


def said(*where):
    """What is warned of, without the places, and without what holds for nearly all small projects of these tests."""
    usual = ("without shots", "no unit is a target", "not named here")
    return [
        warning.text for warning in lint_fixtures(*where).warnings if not any(each in warning.text for each in usual)
    ]


def test_a_sound_unit_is_counted_and_nothing_is_warned_of(tmp_path):
    write_unit(tmp_path, cases(170))
    (tmp_path / "desk" / "task.yaml").write_text(POLICY.replace("MARGIN", "0.1"))

    found = lint_fixtures(tmp_path)

    assert (found.units, said(tmp_path)) == (["desk/triage: 170 schema cases"], [])
    assert found.summary.startswith("1 task, 1 unit, 170 cases: no mistakes")


def test_critical_cases_are_counted(tmp_path):
    more = {"cases": [{"id": "a", "input": "hi", "critical": True}, {"id": "b", "input": "ho"}]}
    write_unit(tmp_path, [], **more)

    assert lint_fixtures(tmp_path).units == ["desk/triage: 2 schema cases, 1 critical"]


def test_a_task_without_a_policy_is_warned_of(tmp_path):
    write_unit(tmp_path, cases(400))

    assert said(tmp_path) == ["desk: no task.yaml, so every unit is a guard and nothing can be released"]


def test_a_unit_that_can_never_hold_its_margin_is_told_how_many_it_takes(tmp_path):
    assert warnings(tmp_path, 20) == [
        "desk/triage: 20 cases cannot rule out a loss of 10 points unless the score rises; it takes 29 if nothing "
        "changes, 46 to do so reliably; these are enough for a margin of 21.7 points"
    ]
    assert "cannot rule out" in warnings(tmp_path, 28)[0]
    assert "cannot rule out" not in warnings(tmp_path, 29)[0]


def test_a_unit_that_seldom_holds_its_margin_is_told_how_many_would_do(tmp_path):
    (warning,) = warnings(tmp_path, 100, "0.05")

    assert warning.startswith(
        "desk/triage: with 100 cases an unchanged model is shown to lose less than 5 points only "
    )
    assert warning.endswith("cases would do, or a margin of 6.2 points: see tunegate plan")
    enough = int(warning.rpartition("about ")[2].split()[0])
    assert 130 <= enough <= 170  # by enumeration 134 cases for one unit at 4 % flip rate
    assert warnings(tmp_path, enough, "0.05") == []


def test_more_units_ask_for_more_cases_of_each_and_sealed_ones_too(tmp_path):
    assert warnings(tmp_path, 60) == []
    write_unit(tmp_path, cases(3), "final", sealed=True)
    assert "desk/final" in [text.partition(":")[0] for text in warnings(tmp_path, 60)]
    (tmp_path / "desk" / "final.yaml").unlink()

    for name in ("one", "two", "three", "four"):
        write_unit(tmp_path, cases(400), name)

    assert [text.partition(":")[0] for text in warnings(tmp_path, 60)] == ["desk/triage"]


def test_cases_of_one_group_count_once(tmp_path):
    grouped = [{"id": f"c{index}", "input": f"hi {index}", "group": f"g{index % 20}"} for index in range(200)]

    assert "20 cases cannot" in warnings(tmp_path, 0, cases=grouped)[0]


def test_a_release_tells_how_many_cases_it_takes(tmp_path):
    root, baselines = tmp_path / "fixtures", tmp_path / "baselines"
    write_desk(root, 160)
    write_policy(root, triage={})
    tasks = load_tasks(root)
    assert said(root, baselines) == []  # at 4 % flip rate

    save(baselines, record(tasks, {T: "1" * 160}), tasks[0].units)
    save(baselines, record(tasks, {T: "0" * 4 + "1" * 156}), tasks[0].units, released=True)
    assert said(root, baselines) == []  # 4 fell, none rose: a loss

    save(baselines, record(tasks, {T: "1" * 156 + "0" * 4}), tasks[0].units)
    (warning,) = said(root, baselines)
    assert "(at 8.7 % flip rate)" in warning  # 8 of 160 flipped: at most


def test_the_baselines_of_several_models_tell_nothing(tmp_path):
    root, baselines = tmp_path / "fixtures", tmp_path / "baselines"
    write_desk(root, 160)
    write_policy(root, triage={})
    tasks = load_tasks(root)
    for model in ("one-1", "two-2"):
        subject = {"subject": LOCAL | {"model": model}, "engine": ENGINE}
        save(baselines, record(tasks, {T: "1" * 156 + "0" * 4}, fingerprint=subject), tasks[0].units)
        save(baselines, record(tasks, {T: "0" * 4 + "1" * 156}, fingerprint=subject), tasks[0].units, released=True)

    assert said(root, baselines) == []


def place(found):
    return [f"{warning.file.name}:{warning.line}" for warning in found.warnings]


def test_a_case_that_asks_what_another_asks_is_told_with_its_line(tmp_path):
    path = write_unit(tmp_path, [])
    case = "  - {{id: {id}, input: {input}}}\n"
    text = "version: 1\nsuite: schema\ncheck: {schema: {type: object}}\ncases:\n"
    path.write_text(
        text + "".join(case.format(id=name, input=asked) for name, asked in zip("abc", ["hi", "ho", "hi"], strict=True))
    )

    (warning,) = [each for each in lint_fixtures(tmp_path).warnings if "repeats the question" in each.text]

    assert warning.text == "desk/schema/c repeats the question of a (line 5), so they count as one case"
    assert (warning.line, warning.file.name == "triage.yaml") == (7, True)


def test_cases_of_a_group_may_ask_the_same(tmp_path):
    write_unit(tmp_path, [], cases=[{"id": name, "input": "hi", "group": "g"} for name in "abc"])

    assert not any("repeats the question" in text for text in said(tmp_path))


def test_what_a_task_file_leaves_open_is_told_with_its_line(tmp_path):
    write_unit(tmp_path, cases(400))
    write_unit(tmp_path, cases(400), "other")
    more = {"suite": "retention", "check": {"measure": "passages"}, "generate": {}}
    path = write_unit(tmp_path, [], "general", **more)
    data = json.loads(path.read_text()) | {"cases": [{"id": "a", "input": "Once."}]}
    del data["generate"]
    path.write_text(json.dumps(data))
    (tmp_path / "desk" / "task.yaml").write_text(
        "version: 1\nunits:\n  triage: {role: guard, margin: 0.1, reason: r}\n  general: {role: guard, reason: r}\n"
    )

    found = lint_fixtures(tmp_path)

    assert [f"{where} {warning.text}" for where, warning in zip(place(found), found.warnings, strict=True)] == [
        "task.yaml:2 desk/other is not named here, so it guards with a margin of 5 points; name it, with the reason",
        "task.yaml:2 no unit is a target, so nothing has to improve and no fine-tune can show its gain",
        "task.yaml:4 desk/general has no margin, which blocks a release; "
        "declare one, or `ungated: true` with a `reason`",
    ]


def test_a_task_of_guards_needs_no_target_where_another_task_has_one(tmp_path):
    for task, role in (("desk", "guard"), ("mail", "target")):
        write_unit(tmp_path, cases(400), task=task)
        (tmp_path / task / "task.yaml").write_text(POLICY.replace("MARGIN", "0.1").replace("target", role))

    assert not any("no unit is a target" in warning.text for warning in lint_fixtures(tmp_path).warnings)
    assert any("no unit is a target" in warning.text for warning in lint_fixtures(tmp_path / "desk").warnings)


def test_a_target_without_shots_is_told_and_a_guard_without_is_not(tmp_path):
    write_unit(tmp_path, cases(400))
    for role, told in (("target", 1), ("guard", 0)):
        (tmp_path / "desk" / "task.yaml").write_text(POLICY.replace("MARGIN", "0.1").replace("target", role))

        assert sum("shots" in warning.text for warning in lint_fixtures(tmp_path).warnings) == told


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder `fixtures` of two tasks, in the working directory, with a mistake in the second one."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path / "fixtures", cases(3))
    write_unit(tmp_path / "fixtures", ["a"], "orders")
    write_unit(tmp_path / "fixtures", ["a", "a"], task="shop")
    return tmp_path / "fixtures"


def test_mistakes_are_told_and_then_nothing_else_is(desk):
    found = lint_fixtures(desk)

    assert [problem.where for problem in found.mistakes] == ["cases[1].id"]
    assert (found.warnings, found.units, found.summary) == ((), [], "1 mistake")


def test_one_task_or_one_file_may_be_linted(desk):
    assert lint_fixtures(desk / "desk").units == ["desk/orders: 1 schema case", "desk/triage: 3 schema cases"]
    assert {show_path(warning.file) for warning in lint_fixtures(desk / "desk").warnings} == {
        "fixtures/desk/orders.yaml",
        "fixtures/desk/triage.yaml",
    }
    assert {show_path(warning.file) for warning in lint_fixtures(desk / "desk" / "triage.yaml").warnings} == {
        "fixtures/desk/triage.yaml"
    }
    assert lint_fixtures(desk / "shop" / "triage.yaml").mistakes == lint_fixtures(desk).mistakes


def test_a_file_is_linted_with_the_mistakes_of_what_it_depends_on(desk):
    write_unit(desk, ["a"], "good", task="shop")

    with pytest.raises(Refused, match=r"triage\.yaml:1: cases\[1\]\.id"):
        lint_fixtures(desk / "shop" / "good.yaml")


def test_a_thousand_cases_are_linted(tmp_path):
    write_unit(tmp_path, cases(1000))

    assert lint_fixtures(tmp_path).units == ["desk/triage: 1,000 schema cases"]


def test_there_is_no_report_card_where_there_is_no_voice(tmp_path):
    write_unit(tmp_path, ["a"])

    assert list(report_cards(lint_fixtures(tmp_path).tasks)) == []


def watched(tmp_path, n, scores, margin=0.1, released="", **more):
    """What is warned of for a guard of `n` cases whose baseline has these scores; and the line of task.yaml."""
    root, baselines = tmp_path / "fixtures", tmp_path / "baselines"
    write_desk(root, n)
    write_policy(root, triage={"margin": margin} | more)
    tasks = load_tasks(root)
    if scores:
        save(baselines, record(tasks, {T: scores}), tasks[0].units)
    if released:
        save(baselines, record(tasks, {T: released}), tasks[0].units, released=True)
    return said(root, baselines)


def test_a_guard_of_which_the_baseline_passes_nothing_cannot_fall(tmp_path):
    nothing = (
        "desk/triage: the baseline passes none of the 100 cases of this guard, so it cannot fall and guards "
        "nothing; make it a target, or write cases that the model can pass"
    )

    assert watched(tmp_path, 100, "0" * 100) == [nothing]
    assert watched(tmp_path, 100, "0" * 100, role="target") == []
    found = lint_fixtures(tmp_path / "fixtures", tmp_path / "baselines").warnings
    assert all(each.file.name != "task.yaml" for each in found)


def test_a_guard_may_not_lose_all_it_has_within_its_margin(tmp_path):
    assert watched(tmp_path, 100, "1" * 8 + "0" * 92) == [
        "desk/triage: the baseline passes only 8.0 % of this guard, which is within its margin of 10 points, so losing "
        "all of it may not block; "
        "narrow the margin, make it a target, or write cases that the model can pass"
    ]
    assert watched(tmp_path, 100, "1" * 12 + "0" * 88) == []


def test_a_release_gives_a_guard_something_to_lose(tmp_path):
    assert watched(tmp_path, 100, "0" * 100, 0.25, released="1" * 60 + "0" * 40) == []


def test_a_margin_that_lets_a_large_loss_pass_is_told_with_its_line_in_task_yaml(tmp_path):
    expected = (
        "desk/triage: 60 cases with a margin of 40 points let a large loss pass: a true loss of 20 points is called "
        "regressed only 6 % of the time; the cases are enough for a margin of 8.5 points (at 4.0 % flip rate, assumed)"
    )

    assert watched(tmp_path, 60, "", 0.4) == [expected]
    (warning,) = [each for each in lint_fixtures(tmp_path / "fixtures").warnings if "large loss" in each.text]
    assert (warning.file.name, warning.line) == ("task.yaml", 1)  # JSON on one line
    assert watched(tmp_path, 60, "", 0.2) == []


def sealing(tmp_path, n, margin):
    """What is warned of for a sealed target of `n` cases."""
    root, target = tmp_path / "fixtures", {"role": "target", "margin": margin}
    write_desk(root, 200)
    write_desk(root, n, "final", sealed=True)
    write_policy(root, triage=target, final=target | {"seals": "triage"})
    return said(root, tmp_path)


def test_a_sealed_unit_that_is_too_small_is_what_a_release_rests_on(tmp_path):
    assert sealing(tmp_path, 5, 0.1) == [
        "desk/final: 5 cases cannot rule out a loss of 10 points unless the score rises, although the unit is sealed "
        "and a release depends on it; it takes 31 if nothing changes, 64 to do so reliably; these are enough for a "
        "margin of 47.5 points"
    ]
    assert "a release depends on it; about 64 cases would do" in sealing(tmp_path, 50, 0.1)[0]
    assert sealing(tmp_path, 80, 0.1) == []


def test_a_sealed_target_that_seldom_shows_a_gain_proves_little(tmp_path):
    assert sealing(tmp_path, 16, 0.4) == [
        "desk/final: 16 sealed cases prove little: a true gain of 20 points is called improved 20 % of the time; about "
        "46 cases would do"
    ]
    assert sealing(tmp_path, 50, 0.4) == []


def test_a_continuous_unit_is_told_how_seldom_it_is_held_once_its_spread_is_known(tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    before, after = [0.0] * 40, [0.5, -0.5] * 20

    assert watched(tmp_path, 40, before, 0.1, collapse=0.1) == []
    assert watched(tmp_path, 40, before, 0.1, released=after, collapse=0.1) == [
        "desk/triage: with 40 cases an unchanged model is shown to lose less than 0.1 only 12 % of the time (at the "
        "measured spread: the mean is shown to be within the margin 31 % of the time, few enough cases fall by 1 or "
        "more 38 % of the time); it takes 178 cases, or a margin of 0.218: see tunegate plan"
    ]


def test_a_continuous_unit_of_too_few_cases_for_its_share_of_collapsed_ones_is_told_both_ways_out(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))

    assert watched(tmp_path, 60, [], 0.1) == [
        "desk/triage: 60 cases cannot show that fewer than 5.3 % fall by 1 or more, but `collapse` allows 2.0 %; it "
        "takes 160 cases, or `collapse: 0.053`"
    ]
    assert watched(tmp_path, 60, [], 0.1, collapse=0.053) == []
    assert watched(tmp_path, 20, [], 0.1, collapse=0.5) == [
        "desk/triage: 20 cases cannot rule out a loss of 0.1 unless the score rises; it takes 29 cases"
    ]


def test_a_share_that_few_cases_score_is_warned_of(tmp_path):
    shared = {"check": {"schema": "refs/product.schema.json", "score": "share"}}
    few = "with 70 cases `score: share` gets the verdict held less often than pass or fail; it pays from about 200 "
    few += "cases on"

    assert f"{T}: {few}" in warnings(tmp_path, 70, "0.2", **shared)
    assert [each for each in warnings(tmp_path, 170, "0.2", **shared) if "score: share" in each] == []


def test_a_guard_that_passes_nothing_may_watch_its_parts(tmp_path):
    write_desk(tmp_path / "fixtures", 170)
    parts = {"adherence": {"margin": 0.1, "reason": "r"}}
    for policy, warned in (({}, True), ({"parts": parts}, False)):
        write_policy(tmp_path / "fixtures", triage={"margin": 0.1, **policy})
        tasks = load_tasks(tmp_path / "fixtures")
        save(tmp_path / "baselines", record(tasks, {T: "0" * 170}), tasks[0].units)
        found = said(tmp_path / "fixtures", tmp_path / "baselines")
        assert any("cannot fall and guards nothing" in each for each in found) == warned
