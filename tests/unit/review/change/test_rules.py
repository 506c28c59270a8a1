"""What a change alters of the baselines that it is judged by: under another name of the same model, too."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import LOCAL, record, save, write_desk, write_policy
from tests.support.traffic import write_traffic
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import TrafficInput, traffic_in, write_snapshot
from tunegate.harness.history.baselines.releases import kept_path
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append, read_ledger, write_event
from tunegate.harness.models.evaluation.record import Noise
from tunegate.harness.review.change.rules import Rules, approval_digest, rule_changes

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


@pytest.fixture
def serving(tmp_path):
    """Both sides of a change that puts a forged record in service, and leaves the file of the baseline as it is."""

    def changed(
        model: dict[str, str], engine: dict[str, str], forged: str = LESS, name: str = "", case_keys=None, **more: Any
    ) -> list[Rules]:
        write_desk(tmp_path / "fixtures", 60, case_keys=case_keys)
        tasks = load_tasks(tmp_path / "fixtures")
        for side, scores, fields in (("old", HALF, {}), ("forged", forged, more)):
            subject = model | ({"model": name} if name and side == "forged" else {})
            made = record(tasks, {T: scores}, fingerprint={"subject": subject, "engine": engine}, **fields)
            save(tmp_path / side, made, tasks[0].units)
        [path], [other] = ([*(tmp_path / side).glob("*/desk/triage.json")] for side in ("old", "forged"))
        was, made = read_baseline(path, T), read_baseline(other, T)
        append(tmp_path / "old", Event("serves", "desk", was.subject, {T: was.digest}))
        shutil.copytree(tmp_path / "old", tmp_path / "new")
        kept = kept_path(tmp_path / "new", made.digest)
        kept.parent.mkdir()
        shutil.copyfile(other, kept)
        append(tmp_path / "new", Event("serves", "desk", made.subject, {T: made.digest}))
        return [Rules(tasks, tmp_path / side) for side in ("old", "new")]

    return changed


GENERATED, SUPPLIED = (LOCAL, {}), ({"model": "replay-gpt", "rung": "as-is"}, {"backend": "replay"})


@pytest.mark.parametrize("model", [GENERATED, SUPPLIED])
def test_a_record_beside_the_baselines_that_is_put_in_service_is_compared_with_the_one_there(serving, model):
    [line] = rule_changes(*serving(*model)).modified
    assert line.startswith("desk/triage: its baseline (ledger/outputs/")
    assert line.rpartition(" (")[0].endswith(") holds other outputs or scores of 10 cases")


def test_a_record_that_is_made_again_is_listed_once(serving):
    old, new = serving(*GENERATED)
    [kept], [path] = (sorted(new.baselines.glob(name)) for name in ("ledger/outputs/*.json", "*/desk/triage.json"))
    path.rename(kept_path(new.baselines, read_baseline(path, T).digest))  # as `record` keeps the anchor
    kept.rename(path)
    [line] = rule_changes(old, new).modified
    assert line.startswith(f"desk/triage: its baseline ({path.relative_to(new.baselines)}) holds other outputs")


@pytest.mark.parametrize(("model", "blocks"), [(GENERATED, False), (SUPPLIED, True)])
def test_only_of_a_model_without_digests_another_name_is_another_model(serving, model, blocks):
    found = rule_changes(*serving(*model, forged=HALF, name="other")).modified
    assert [line.rpartition(") ")[2] for line in found] == ["was recorded from another model"] * blocks


def test_an_event_of_an_earlier_time_does_not_silently_move_the_anchor(serving):
    old, new = serving(*GENERATED)
    serves = read_ledger(new.baselines).in_order[-1]
    assert not [line for line in rule_changes(old, new).modified if "anchor" in line]
    write_event(new.baselines, replace(serves, when="2001-01-01T00:00:00+00:00", after=()))
    [said] = [line for line in rule_changes(old, new).modified if "anchor" in line]
    assert said.startswith("desk/triage: the anchor of its cases would be another record (")


def test_a_record_beside_the_baselines_that_disarms_critical_cases_is_an_altered_rule(serving):
    critical = {"case_keys": lambda index: {"critical": index < 2}, "noise": {T: Noise(60, 9, ("c000",))}}
    assert NOT_ARMED("1 case (c000)") in rule_changes(*serving(*GENERATED, forged=HALF, **critical)).modified


@pytest.mark.parametrize(("kind", "units"), [
    ("retired", [{T: "1"}, {T: "2"}]),
    ("anchored", [{T: "1"}, {T: "2"}]),
    ("anchored", [{T: "1"}, {"desk/other": "1"}]),
    ("serves", [{T: "1"}, {T: "2"}]),
    ("retired", [{f"desk/{name}": "1" for name in names} for names in ("abcd", "abce")]),
])  # fmt: skip
def test_an_approval_is_of_these_units_and_records_of_an_event(tmp_path, kind, units):
    write_desk(tmp_path / "fixtures", 3)
    tasks = load_tasks(tmp_path / "fixtures")
    old, sides = Rules(tasks, tmp_path / "old"), []
    for place, files in enumerate(units):
        event = Event(kind, "desk", LOCAL, {unit: sha * 64 for unit, sha in files.items()}, reason="a test")
        write_event(tmp_path / f"{place}", replace(event, when="2026-12-01T06:00:00+00:00"))
        sides.append(Rules(tasks, tmp_path / f"{place}"))
    said = [rule_changes(old, new).modified for new in sides]
    assert said[0] == said[1]
    assert len({approval_digest(lines, new) for lines, new in zip(said, sides, strict=True)}) == 2
    run = Event("run", "desk", LOCAL, cases={T: ("a" * 16,)})
    before = approval_digest(said[0], sides[0])
    append(sides[0].baselines, run)
    assert approval_digest(said[0], sides[0]) == before, "a run of the gate is no edit"


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
