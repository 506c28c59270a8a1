"""Whole tasks beside one reference and beside two: what the ledger says of the next change, and what a plan says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.records import LOCAL, record, save, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.planning.history import find_past
from tunegate.harness.gate.planning.plan import passes_together, plan_units
from tunegate.harness.gate.planning.whole_tasks import asked_of_next, tasks_together, with_anchor
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.baselines.store import state
from tunegate.harness.statistics.power import Continuous
from tunegate.harness.statistics.second_reference import own_flips

NAMES = ("one", "two", "three", "four", "five")
SLUG = str(LOCAL["model"])


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Five units of 200 cases, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        write_desk(Path("fixtures"), 200, name, lambda index, name=name: {"input": f"{name} {index}"})
    write_policy(Path("fixtures"), **{name: {"margin": 0.05} for name in NAMES})
    return tmp_path


def put_in_service(row: str, adapter: bool = False) -> None:
    tasks, root = load_tasks(Path("fixtures")), Path("baselines")
    units = list(tasks[0].units)
    made = record(tasks, {unit.key: row for unit in units}, "a" * 64 if adapter else None)
    if adapter:
        save(root, made, units, released=True)
    else:
        write_baselines(root, SLUG, made, units, state(root, SLUG, units, False), serves=True)


def planned(flip_rate: float = 0.04):
    tasks = load_tasks(Path("fixtures"))
    return plan_units(tasks, find_past(Path("baselines"), tasks, flip_rate=flip_rate))


def test_the_first_record_is_one_reference_and_what_comes_is_told(home):
    put_in_service("1" * 160 + "0" * 40)
    plans = planned()

    assert {(each.seen.beside, each.seen.is_first) for each in plans} == {("", True)}
    equal, _ = passes_together(plans)
    later, _ = passes_together([with_anchor(each) for each in plans])
    assert equal == pytest.approx(0.67, abs=0.015)
    assert later == pytest.approx(0.50, abs=0.02)
    [line] = tasks_together(plans)
    assert line.startswith(
        f"desk: an equal model passes {100 * equal:.0f} % of the time ({100 * later:.0f} % of the time once another "
        "record is in service, as it must then get held against the first one too)"
    )


def test_a_continuous_unit_counts_both_references_too(home):
    put_in_service("1" * 160 + "0" * 40)
    plans = [replace(each, power=Continuous(0.2, span=1.0)) for each in planned()]

    later = [with_anchor(each) for each in plans]
    assert {each.power.beside for each in later} == {"held"}
    assert passes_together(later)[0] < passes_together(plans)[0] - 0.05


def test_another_record_in_service_makes_the_first_the_anchor(home):
    put_in_service("1" * 160 + "0" * 40)
    before = passes_together([with_anchor(each) for each in planned()])[0]
    put_in_service("1" * 158 + "0" * 42)
    plans = planned()

    assert {(each.seen.beside, each.seen.is_first) for each in plans} == {("held", False)}
    assert passes_together(plans)[0] == pytest.approx(before, abs=0.01)
    assert asked_of_next(plans) == " (if it gets held against what is in service and against the anchor)"
    out = CliRunner().invoke(app, ["plan", "--flip-rate", ".04"], env={"COLUMNS": "100"}).output
    now = f"an equal model passes {100 * passes_together(plans)[0]:.0f} % of the time"
    assert f"{now} (if it gets held against what is in service and against the anchor)" in out


def test_a_release_in_service_must_not_be_beaten_beyond_chance(home):
    put_in_service("1" * 160 + "0" * 40)
    put_in_service("1" * 170 + "0" * 30, adapter=True)
    plans = planned()

    assert {each.seen.beside for each in plans} == {"not worse"}
    assert passes_together(plans)[0] == pytest.approx(0.67, abs=0.015)
    assert asked_of_next(plans) == " (if it gets held against the base and is not worse than the adapter in service)"


def test_what_is_foretold_is_what_the_gate_does(home):
    """Equal models with flips of their own, by the gate itself: 150 candidates, each beside two references."""
    write_desk(Path("fixtures"), 100, "one", lambda index: {"input": f"one {index}"})
    for name in NAMES[1:]:
        Path(f"fixtures/desk/{name}.yaml").unlink()
    write_policy(Path("fixtures"), one={"margin": 0.1})
    put_in_service("1" * 78 + "0" * 22)
    tasks = load_tasks(Path("fixtures"))
    [plan] = plan_units(tasks, find_past(Path("baselines"), tasks, flip_rate=0.1))
    random, own, passed = np.random.default_rng(7), own_flips(0.1), np.zeros(2)

    def answers(steady: np.ndarray):
        return record(tasks, {"desk/one": "".join("01"[int(each)] for each in steady ^ (random.random(100) < own))})

    for _ in range(150):
        steady = random.random(100) < 0.8
        references = {"baseline": answers(steady), "anchor": answers(steady)}
        candidate = answers(steady)
        for place, names in enumerate((["baseline"], ["baseline", "anchor"])):
            found = gate.compare(tasks, candidate, {name: references[name] for name in names}, [])
            passed[place] += not gate.blocked(found)
    assert [plan.chance, with_anchor(plan).chance] == pytest.approx((passed / 150).tolist(), abs=0.08)
