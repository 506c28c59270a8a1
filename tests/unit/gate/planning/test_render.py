"""What a plan says: the tables at 80 columns, the advice, a sentence a task."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tests.support.records import record, save, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.gate.planning.advice import next_steps
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import Plan, passes_together, plan_units
from tunegate.harness.gate.planning.render import MEASURE, NONE_NEAR, print_plans, sources, tasks_together
from tunegate.harness.statistics.power import Continuous

T = "desk/triage"


@pytest.fixture
def plans(tmp_path):
    """The plans of the fixtures, at baselines if there are rows for them."""

    def run(base: dict[str, str] | None = None, **more: Any) -> list[Plan]:
        tasks = load_tasks(tmp_path / "fixtures")
        if base:
            units = [unit for unit in tasks[0].units if unit.key in base]
            save(tmp_path / "baselines", record(tasks, base), units)
        return plan_units(tasks, Past(folder=tmp_path / "baselines" / "tiny-12345678"), **more)

    return run


@pytest.fixture
def planned(plans, tmp_path):
    """The plan of `desk/triage` alone, at a baseline if there is a row for it."""

    def run(n: int, policy: dict[str, Any] | None = None, base: str = "", **more: Any) -> Plan:
        write_desk(tmp_path / "fixtures", n, **more)
        if policy:
            write_policy(tmp_path / "fixtures", triage=policy)
        [found] = plans({T: base} if base else None)
        return found

    return run


@pytest.fixture
def told(plans):
    """What is printed of the plans."""

    def run() -> str:
        console = Console(file=io.StringIO(), width=80)
        print_plans(console, plans())
        return console.file.getvalue()

    return run


def line(text: str, start: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(start))


def test_a_row_holds_every_number(told, tmp_path):
    write_desk(tmp_path / "fixtures", 120)
    write_policy(tmp_path / "fixtures", triage={"role": "target", "margin": 0.1})

    advice, _, why = told().partition("flip")
    assert line(advice, "desk/triage ").split() == [
        "desk/triage", "target", "120", "46", "225", "shows", "7.8", "points,", "105", "more", "cases",
    ]  # fmt: skip
    assert line(why, "desk/triage ").split() == [
        "desk/triage", "10.0", "~4.0", "%", "99.7", "%", "5.6", "7.5", "8.0", "7.8",
    ]  # fmt: skip


def test_the_table_fits_80_columns_and_long_names_fold(told, tmp_path):
    write_desk(tmp_path / "fixtures", 120, "a-name-that-is-longer-than-the-column")
    write_policy(tmp_path / "fixtures", **{"a-name-that-is-longer-than-the-column": {"margin": 0.15}})
    table = told().split("\n\n")[0].splitlines()

    assert max(len(each) for each in table) <= 80
    assert " 120 " in line("\n".join(table), "desk/a-name-that-is-")
    assert table[-1].split()[0] == "nger-than-the-column"


def test_a_sealed_unit_takes_a_few_more_cases(planned):
    for sealed, more in ((False, 74), (True, 90)):
        assert f"{more} more cases, or a margin of " in "; ".join(next_steps(planned(60, sealed=sealed)))


def test_what_the_plans_rest_on_is_said_once(plans, tmp_path):
    write_desk(tmp_path / "fixtures", 60)
    write_desk(tmp_path / "fixtures", 60, "replies")

    assert [*sources(plans())] == [
        "Flip rate 4 %, assumed, as none was measured: desk/replies, desk/triage.",
        MEASURE,
        NONE_NEAR,
    ]


def test_what_is_presumed_of_near_cases_is_said(plans, tmp_path):
    write_desk(tmp_path / "fixtures", 60)

    *_, told = sources(plans(near=0.2))
    assert told.startswith("Near cases: training rows come near 20.0 % of the cases of each unit, as given,")


# continuous units


@pytest.fixture
def fluent(tmp_path, monkeypatch):
    """Plans of a continuous unit of 100 cases, by its margin and how far its changes spread."""
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_desk(tmp_path / "fixtures", 100)

    def run(margin: float | None, sd: float | None):
        if margin:
            write_policy(tmp_path / "fixtures", triage={"margin": margin, "collapse": 0.1})
        (found,) = plan_units(load_tasks(tmp_path / "fixtures"), Past())
        return replace(found, power=Continuous(sd) if sd else None, seen=replace(found.seen, spread=sd))

    return run


def test_a_continuous_unit_speaks_in_its_own_unit(fluent):
    console = Console(file=io.StringIO(), width=80)
    print_plans(console, [fluent(0.02, 0.07)])
    text = console.file.getvalue()

    assert line(text.partition("flip")[2], "desk/triage ").split()[1:6] == ["0.02", "0.07", "86.6", "%", "0.0182"]
    assert "points" not in text


# what to expect, and of a task


def test_each_verdict_of_each_true_change_is_foretold_and_they_add_up(tmp_path):
    write_desk(tmp_path, 200, case_keys=lambda index: {"critical": index < 5})
    write_desk(tmp_path, 200, "replies")
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1}, replies={"margin": 0.05})
    plans = plan_units(load_tasks(tmp_path), Past(flip_rate=0.04), gain=0.1)
    for each in plans:
        assert [*each.chances] == ["-2 margins", "-margin", "-margin/2", "no change", "+margin"]
        for found in each.chances.values():
            assert found.regressed + found.inconclusive + found.held + found.improved == pytest.approx(1)
    triage = next(each for each in plans if each.role == "target")
    assert triage.chances["-margin"].held < 0.05
    assert triage.false_alarm == pytest.approx(1 - 0.98**5)
    still = [each.chances["no change"] for each in plans]
    equal, gained = passes_together(plans)
    passes = [each.held + each.improved for each in still]
    assert equal == pytest.approx(passes[0] * passes[1] * 0.98**5)
    assert gained == pytest.approx(triage.chances_of(0.1).improved * passes[1 - plans.index(triage)])


def test_what_is_proven_elsewhere_must_not_be_regressed_and_no_more(tmp_path):
    write_desk(tmp_path, 60)
    write_desk(tmp_path, 60, "final", sealed=True)
    write_policy(tmp_path, triage={"role": "target"}, final={"role": "target", "seals": "triage"})
    plans = {each.unit.name: each for each in plan_units(load_tasks(tmp_path), Past(flip_rate=0.04), gain=0.1)}
    assert (plans["triage"].is_proven_elsewhere, plans["final"].is_proven_elsewhere) == (True, False)
    passes = 1 - plans["triage"].chances["no change"].regressed
    assert passes_together([*plans.values()])[1] == pytest.approx(passes * plans["final"].chances_of(0.1).improved)


def test_a_task_is_told_as_a_whole(planned):
    target = {"role": "target", "margin": 0.1}
    found = planned(200, target, case_keys=lambda index: {"critical": index < 5})
    assert next(tasks_together([found])) == (
        "desk: an equal model passes 90 % of the time; critical cases block it 10 % of the time; a release "
        "also requires its targets to improve: a model with a gain of 5 points on each (triage) passes 75 % "
        "of the time."
    )


ADVICE = {
    "enough": (120, {"margin": 0.08}, "1" * 90 + "0" * 30, ["enough"]),
    "a margin that could be smaller": (400, {"margin": 0.15}, "1" * 400, ["enough, also for a margin of 2.7 points"]),
    "a guard without anything to lose": (
        120, {"margin": 0.1}, "0" * 120, ["the base passes 0.0 %: nothing to guard yet"],
    ),
    "a guard without anything to lose but a part": (
        120, {"margin": 0.1, "parts": {"adherence": {"margin": 0.1, "reason": "a test"}}}, "0" * 120,
        ["the base passes 0.0 %: nothing to guard yet except its parts: adherence"],
    ),
    "a target that can show its gain": (400, {"role": "target", "margin": 0.05}, "1" * 200 + "0" * 200, ["enough"]),
}  # fmt: skip


@pytest.mark.parametrize(("n", "policy", "base", "expected"), ADVICE.values(), ids=ADVICE)
def test_what_to_do(planned, n, policy, base, expected):
    assert [*next_steps(planned(n, policy, base))] == expected


def test_what_is_not_known_has_to_be_measured_and_what_has_no_margin_declared(fluent):
    would = "0.02134 with `collapse: 0.032` would do"
    assert [*next_steps(fluent(None, 0.07))] == [f"declare a margin: it is not gated; {would}"]
    assert [*next_steps(fluent(0.02, None))] == ["measure how far its scores move (--run)"]


def test_the_unit_that_costs_most_is_named(plans, tmp_path):
    write_desk(tmp_path / "fixtures", 400)
    write_desk(tmp_path / "fixtures", 30, "replies")
    said = next(tasks_together(plans()))
    assert said.startswith("desk: an equal model passes ")
    assert said.split(", ")[1].startswith("replies on its own ")
