"""Which cases wait for a recorded output: those that no record of either side has, by id and by what they ask."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import record, save, write_policy
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.history.baselines.releases import kept_path
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append
from tunegate.harness.review.change.rules import Rules, rule_changes
from tunegate.harness.review.change.unrecorded import unrecorded
from tunegate.harness.rows.near_cases import NearCases

T = "desk/triage"
PRICES = {"currency": "USD", "input_per_million": 1, "output_per_million": 2, "reason": "a test"}
IDS = [f"c{number:02}" for number in range(20)]


def task(folder: Path, *added: str, **inputs: str) -> Task:
    """A task with twenty cases, and added ones; `inputs` by id instead of their own."""
    write_unit(folder, [*IDS, *added])
    path = folder / "desk/triage.yaml"
    data = json.loads(path.read_text())
    for case in data["cases"]:
        case["input"] = inputs.get(case["id"], case["input"])
    path.write_text(json.dumps(data))
    policy = write_policy(folder, triage={"margin": 0.1}, cost={"margin": 0.1})
    policy.write_text(json.dumps(json.loads(policy.read_text()) | {"prices": PRICES}))
    (folder / "desk/cost.yaml").write_text("version: 1\nsuite: cost\nof: triage\n")
    [found] = load_tasks(folder)
    return found


@pytest.fixture
def old(tmp_path) -> Task:
    """The task of a branch with the record of its cases in old/."""
    found = task(tmp_path / "fixtures")
    save(tmp_path / "old", record([found], {T: "1" * 20}), [unit for unit in found.units if unit.key == T])
    return found


def waiting(old: Task, new: Task, *roots: Path) -> dict[str, list[str]]:
    before, now = ({unit.key: unit for unit in each.units} for each in (old, new))
    return unrecorded(now, before, roots)


def test_added_cases_wait_and_recorded_ones_do_not(tmp_path, old):
    new = task(tmp_path / "new-fixtures", "n1", "n2")

    assert waiting(old, new, tmp_path / "old") == {T: ["n1", "n2"]}
    assert waiting(old, old, tmp_path / "old") == {}


def test_a_case_that_asks_what_a_recorded_one_asks_does_not_wait(tmp_path, old):
    twin = task(tmp_path / "new-fixtures", "n1", n1="message c00")
    moved = task(tmp_path / "moved", "n1", n1="message c00", c00="another text")

    assert waiting(old, twin, tmp_path / "old") == waiting(old, moved, tmp_path / "old") == {}


def test_a_case_that_only_a_replaced_record_has_does_not_wait(tmp_path, old):
    new = task(tmp_path / "new-fixtures", "n1")
    save(tmp_path / "more", record([new], {T: "1" * 21}), [unit for unit in new.units if unit.key == T])
    [path] = (tmp_path / "more").glob("*/desk/triage.json")
    sha = json.loads(path.read_text())["digest"]
    kept = kept_path(tmp_path / "old", sha)
    kept.parent.mkdir(parents=True)
    shutil.copyfile(path, kept)
    append(tmp_path / "old", Event("serves", "desk", {"model": "m"}, {T: sha}))

    assert waiting(old, new, tmp_path / "old") == {}


def test_without_any_record_and_in_a_new_unit_none_waits(tmp_path, old):
    new = task(tmp_path / "new-fixtures", "n1")

    assert waiting(old, new, tmp_path / "none") == {}
    assert unrecorded({unit.key: unit for unit in new.units}, {}, [tmp_path / "old"]) == {}


def test_a_derived_unit_is_without_the_cases_of_its_source(tmp_path):
    left = task(tmp_path / "fixtures", "n1").without({T: ["n1"]})

    assert {unit.name: len(unit.cases) for unit in left.units} == {"triage": 20, "cost": 20}


def test_waiting_cases_do_not_thin_out_what_a_change_claims(tmp_path, old):
    many = [f"n{number:03}" for number in range(500)]
    new = task(tmp_path / "new-fixtures", *many)
    near = {"x": NearCases(claimed={T: (*IDS[:3], *many[:4])})}
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    rules = Rules([new], tmp_path / "new", near=near, unrecorded={T: many})

    [line] = rule_changes(Rules([old], tmp_path / "old"), rules).modified

    assert line.startswith("desk/triage: 3 of 20 cases are near by this change's own record (x, list ")
    assert rule_changes(Rules([old], tmp_path / "old"), replace(rules, unrecorded={})).modified == ()
