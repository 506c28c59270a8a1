"""What a change alters of the baselines that it is judged by: under another name of the same model, too."""

from __future__ import annotations

import shutil

import pytest

from tests.support.records import LOCAL, record, save, write_desk, write_policy
from tests.support.traffic import write_traffic
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import TrafficInput, traffic_in, write_snapshot
from tunegate.harness.change.rules import Rules, approval_digest, rule_changes
from tunegate.harness.evaluation.record import Noise

T = "desk/triage"
HALF, LESS = "1" * 30 + "0" * 30, "1" * 20 + "0" * 40


@pytest.fixture
def rules(tmp_path):
    """Both sides of a change that brings a baseline of these scores for another name of a model."""
    write_desk(tmp_path / "fixtures", 60)
    write_policy(tmp_path / "fixtures", triage={"role": "target"})
    tasks = load_tasks(tmp_path / "fixtures")
    save(tmp_path / "old", record(tasks, {T: HALF}), tasks[0].units)

    def changed(scores: str, **subject: str) -> tuple[Rules, Rules]:
        shutil.copytree(tmp_path / "old", tmp_path / "new")
        names = {"subject": LOCAL | {"adapter": None} | subject, "engine": {}, "names": {"model": "other"}}
        made = record(tasks, {T: scores}, fingerprint=names)
        save(tmp_path / "new", made, tasks[0].units)
        return Rules(tasks, tmp_path / "old"), Rules(tasks, tmp_path / "new")

    return changed


def test_the_same_weights_under_another_name_may_not_answer_otherwise(rules):
    found = rule_changes(*rules(LESS, model="other-87654321"))
    told = "desk/triage: its baseline (other-87654321/desk/triage.json) holds other outputs or scores of 10 cases"
    assert [line for line in found.modified if line.startswith(told)]


def test_the_same_answers_under_another_name_are_an_addition(rules):
    found = rule_changes(*rules(HALF, model="other-87654321"))
    assert not [line for line in found.modified if "outputs" in line]
    assert any("a new baseline (other-87654321" in line for line in found.added)


def test_other_weights_are_another_model(rules):
    assert not rule_changes(*rules(LESS, model="other-87654321", base="e" * 64)).modified


def test_another_kind_of_value_is_another_expectation(tmp_path):
    for name, value in (("old", True), ("new", 1)):
        keys = {"expect": {"urgent": value}}
        write_desk(tmp_path / name, 3, case_keys=lambda _, keys=keys: keys, check={"schema": {"type": "object"}})
    old, new = (Rules(load_tasks(tmp_path / name), tmp_path / "baselines") for name in ("old", "new"))

    assert rule_changes(old, new).modified == ("desk/triage: expect of 3 cases (c000, c001, c002) edited",)
    assert not rule_changes(old, old).modified


NOT_ARMED = "desk/triage: {}, critical, said to flip by themselves from now on, so not armed".format


@pytest.fixture
def noisy(tmp_path):
    """Both sides of a change whose baselines say which cases flip, `c000` and `c001` being critical."""
    write_desk(tmp_path / "fixtures", 60, case_keys=lambda index: {"critical": index < 2})
    write_policy(tmp_path / "fixtures", triage={"role": "target"})
    tasks = load_tasks(tmp_path / "fixtures")

    def side(name: str, *flips: str, **subject: str) -> Rules:
        names = {"subject": LOCAL | {"adapter": None} | subject, "engine": {}, "names": {"model": "other"}}
        made = record(tasks, {T: HALF}, fingerprint=names, noise={T: Noise(60, 9, flips)})
        save(tmp_path / name, made, tasks[0].units)
        return Rules(tasks, tmp_path / name)

    return side


def test_a_critical_case_that_the_baseline_now_says_flips_by_itself_is_an_altered_rule(noisy):
    old, new = noisy("old", "c001"), noisy("new", "c000", "c001", "c009")

    assert rule_changes(old, new).modified == (NOT_ARMED("1 case (c000)"),)
    assert not rule_changes(new, old).modified


@pytest.mark.parametrize("others", [{}, {"base": "e" * 64}, {"base": "e" * 64, "template": "d" * 64}])
def test_a_baseline_of_a_new_model_that_says_so_is_an_altered_rule(noisy, others):
    old = noisy("old", "c001")
    noisy("new", "c001")
    new = noisy("new", "c000", "c001", "c009", model="other-87654321", **others)

    told = NOT_ARMED("2 cases (c000, c001)" if others else "1 case (c000)")
    assert told in rule_changes(old, new).modified


def test_a_baseline_of_a_new_model_may_say_so_of_cases_that_are_not_critical(noisy):
    old = noisy("old")
    noisy("new")
    assert not rule_changes(old, noisy("new", "c009", model="other-87654321", base="e" * 64)).modified


def test_a_seal_on_a_known_unit_is_an_altered_rule(tmp_path):
    for side, more in (("old", {}), ("new", {"final": {"role": "target", "seals": "triage"}})):
        write_desk(tmp_path / side, 60)
        if more:
            write_desk(tmp_path / side, 60, "final", sealed=True)
        write_policy(tmp_path / side, triage={"role": "target"}, **more)
    old, new = (Rules(load_tasks(tmp_path / side), tmp_path / "none") for side in ("old", "new"))
    proven = "desk/triage: from now on desk/final proves it, and it need not be held"
    assert rule_changes(old, new).modified == (proven,)
    assert not rule_changes(new, new).modified


FILE, SAMPLE, JUDGE = "production.labels.jsonl", 40, {"model": "judge", "rubric": "It is polite."}


@pytest.fixture
def labelled(tmp_path):
    """The rules of a project whose labels come from this file, sample and judge; there are a judge's lines only."""
    with traffic_in(tmp_path):
        sha = write_snapshot([TrafficInput("hello")])

        def made(name: str, file: str = FILE, sample: int = SAMPLE, rubric: str = JUDGE["rubric"]) -> Rules:
            folder = tmp_path / name
            labels = {"file": file, "sample": sample, "judge": JUDGE | {"rubric": rubric}}
            path = write_traffic(folder, sha, "production", labels=labels)
            (path.parent / "production.labels.judge.jsonl").write_text('{"a line": 1}\n')
            return Rules(load_tasks(folder), tmp_path / "baselines")

        yield made


def test_the_file_of_a_judge_may_not_silently_become_that_of_people(labelled):
    old, new = labelled("old"), labelled("new", file="production.labels.judge.jsonl")

    assert rule_changes(old, new).modified == ("desk/production: the file of labels edited",)


def test_an_approval_is_of_one_sample_and_one_rubric(labelled):
    changed = [{"sample": 30}, {"sample": 20}, {"rubric": "It is short."}, {"rubric": "It is long."}]
    old, sides = labelled("old"), [labelled(f"new{place}", **each) for place, each in enumerate(changed)]

    said = [rule_changes(old, new).modified for new in sides]

    edited = ["the number of labels"] * 2 + ["the judge"] * 2
    assert said == [(f"desk/production: {name} edited",) for name in edited]
    assert len({approval_digest(lines, new) for lines, new in zip(said, sides, strict=True)}) == 4
