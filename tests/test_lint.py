from __future__ import annotations

import subprocess
import sys

import pytest

from harness.cases import load_tasks
from harness.errors import AuthoringError
from harness.lint import lint
from tests.conftest import write_unit
from tests.records import ENGINE, LOCAL, record, save, write_desk, write_policy

T = "desk/triage"
POLICY = "version: 1\nunits:\n  triage: {role: target, margin: MARGIN, reason: tickets}\n"


def cases(count: int) -> list[str]:
    return [f"c{index}" for index in range(count)]


def warnings(tmp_path, count, margin="0.1", policy="", **more):
    write_unit(tmp_path, cases(count), **more)
    (tmp_path / "desk" / "task.yaml").write_text(POLICY.replace("MARGIN", margin) + policy)
    return [line for line in lint(tmp_path) if "warning" in line]


def test_a_sound_unit_is_counted_and_nothing_is_warned_of(tmp_path):
    write_unit(tmp_path, cases(170))
    (tmp_path / "desk" / "task.yaml").write_text(POLICY.replace("MARGIN", "0.1"))

    assert list(lint(tmp_path)) == ["desk/triage: 170 schema cases", "no mistakes"]


def test_critical_cases_are_counted(tmp_path):
    more = {"cases": [{"id": "a", "input": "hi", "critical": True}, {"id": "b", "input": "ho"}]}
    write_unit(tmp_path, [], **more)

    assert next(lint(tmp_path)) == "desk/triage: 2 schema cases, 1 critical"


def test_a_task_without_a_policy_is_warned_of(tmp_path):
    write_unit(tmp_path, cases(400))

    assert "desk: warning: no task.yaml, so every unit guards and nothing can be released" in list(lint(tmp_path))


def test_a_unit_that_can_never_hold_its_margin_is_told_how_many_it_takes(tmp_path):
    assert warnings(tmp_path, 20) == [
        "desk/triage: warning: 20 cases cannot hold a margin of 10 points without a gain; it takes 28"
    ]
    assert "cannot hold" in warnings(tmp_path, 27)[0]
    assert "cannot hold" not in warnings(tmp_path, 28)[0]


def test_a_unit_that_seldom_holds_its_margin_is_told_how_many_would_do(tmp_path):
    (warning,) = warnings(tmp_path, 100, "0.05")

    assert warning.startswith("desk/triage: warning: with 100 cases an unchanged model is held to 5 points only 6")
    assert warning.endswith("would do: see tunegate plan")
    enough = int(warning.rpartition("about ")[2].split()[0])
    assert 130 <= enough <= 170  # by enumeration 149 cases for one unit at 4 % churn
    assert warnings(tmp_path, enough, "0.05") == []


def test_looks_and_candidates_ask_for_more_cases(tmp_path):
    more = "candidates: {value: 24, reason: a sweep}\n"

    assert warnings(tmp_path, 163, "0.05", more)[0].endswith("it takes 164")


def test_more_units_ask_for_more_cases_of_each_and_sealed_ones_for_none(tmp_path):
    assert warnings(tmp_path, 60) == []
    write_unit(tmp_path, cases(3), "final", sealed=True)
    assert warnings(tmp_path, 60) == []

    for name in ("one", "two", "three", "four"):
        write_unit(tmp_path, cases(400), name)

    assert [line.partition(":")[0] for line in warnings(tmp_path, 60)] == ["desk/triage"]


def test_cases_of_one_group_count_once(tmp_path):
    grouped = [{"id": f"c{index}", "input": "hi", "group": f"g{index % 20}"} for index in range(200)]

    assert "20 cases cannot" in warnings(tmp_path, 0, cases=grouped)[0]


def test_a_release_tells_how_many_cases_it_takes(tmp_path):
    root, baselines = tmp_path / "fixtures", tmp_path / "baselines"
    write_desk(root, 160)
    write_policy(root, triage={})
    tasks = load_tasks(root)
    assert [line for line in lint(root, baselines) if "warning" in line] == []  # at 4 % churn

    save(baselines, record(tasks, {T: "1" * 160}), tasks[0].units)
    save(baselines, record(tasks, {T: "0" * 4 + "1" * 156}), tasks[0].units, released=True)
    assert [line for line in lint(root, baselines) if "warning" in line] == []  # 4 fell, none rose: a loss

    save(baselines, record(tasks, {T: "1" * 156 + "0" * 4}), tasks[0].units)
    (warning,) = [line for line in lint(root, baselines) if "warning" in line]
    assert "(at 8.7 % churn)" in warning  # 8 of 160 flipped: at most


def test_the_baselines_of_several_models_tell_nothing(tmp_path):
    root, baselines = tmp_path / "fixtures", tmp_path / "baselines"
    write_desk(root, 160)
    write_policy(root, triage={})
    tasks = load_tasks(root)
    for model in ("one-1", "two-2"):
        subject = {"subject": LOCAL | {"model": model}, "engine": ENGINE}
        save(baselines, record(tasks, {T: "1" * 156 + "0" * 4}, identity=subject), tasks[0].units)
        save(baselines, record(tasks, {T: "0" * 4 + "1" * 156}, identity=subject), tasks[0].units, released=True)

    assert [line for line in lint(root, baselines) if "warning" in line] == []


def test_mistakes_are_raised(tmp_path):
    write_unit(tmp_path, ["a", "a"])

    with pytest.raises(AuthoringError, match="unique"):
        list(lint(tmp_path))


def test_the_command_exits_4_on_mistakes_and_shows_no_trace(tmp_path):
    write_unit(tmp_path, ["a", "a b"])

    run = subprocess.run(
        [sys.executable, "-m", "harness", "lint", "."], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stdout) == (4, "")
    assert run.stderr.startswith("1 mistake to fix before anything can run:\n  desk/triage.yaml:1: cases[1].id: ")
    assert "Traceback" not in run.stderr


def test_a_thousand_cases_are_linted(tmp_path):
    write_unit(tmp_path, cases(1000))

    assert next(lint(tmp_path)) == "desk/triage: 1000 schema cases"
