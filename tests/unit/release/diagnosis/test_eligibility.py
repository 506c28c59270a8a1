"""Eligibility for a fine-tune: a diagnosis of this model and these questions names no other remedy, or a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.support.records import LOCAL, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.diagnosed import RungResult, diagnosis_path
from tunegate.harness.release.diagnosis.diagnosis import Diagnosis, Recommendation, asked_of, write_diagnosis
from tunegate.harness.release.diagnosis.eligibility import (
    check_eligibility,
    eligibility,
    find_diagnosis,
    in_recipe,
    render_eligibility,
    undiagnosed,
)
from tunegate.harness.release.diagnosis.recommendation import Remedy

SUBJECT = LOCAL | {"adapter": None}
TRIAGE, FACTS = "desk/triage", "desk/facts"


@pytest.fixture
def task(tmp_path) -> Task:
    """A task with a target and a guard."""
    write_desk(tmp_path / "fixtures", 4)
    write_desk(tmp_path / "fixtures", 4, "facts")
    write_policy(tmp_path / "fixtures", triage={"role": "target"}, facts={})
    [task] = load_tasks(tmp_path / "fixtures")
    return task


def diagnosis(task: Task, triage: Remedy = "fine-tune for quality", facts: Remedy = "retrieval") -> Diagnosis:
    rungs = (RungResult("as-is", 4, 0.0, 0.0, 60.0),)
    remedies = {TRIAGE: triage, FACTS: facts}
    return Diagnosis(
        "desk", SUBJECT, {"backend": "transformers"}, None, 40, 0,
        questions={unit.key: asked_of(unit) for unit in task.units},
        units={key: Recommendation(each, f"{each.capitalize()}: so it is.", 0.9, rungs)
               for key, each in remedies.items()},
    )  # fmt: skip


def test_targets_decide_and_guards_do_not(task):
    eligible = eligibility(task, diagnosis(task), None, "recipe.yaml")
    assert eligible["remedies"] == {TRIAGE: "fine-tune for quality"}
    assert (eligible["against"], eligible["override"]) == ([], None)
    assert render_eligibility(eligible) == ["  desk/triage: fine-tune for quality"]


def test_any_other_remedy_is_refused(task):
    for remedy in ["none needed", "prompt", "retrieval", "reasoning", "larger model", "none found"]:
        with pytest.raises(Refused) as refused:
            eligibility(task, diagnosis(task, remedy), None, in_recipe("recipe.yaml"))
        assert f"  desk/triage: {remedy.capitalize()}: so it is." in str(refused.value)
        assert 'write `diagnosis: {override: "the reason"}` into recipe.yaml' in str(refused.value)


@pytest.mark.parametrize("remedy", ["fine-tune for quality", "fine-tune for cost"])
def test_an_override_of_nothing_is_not_kept(task, remedy):
    assert eligibility(task, diagnosis(task, remedy), "just in case", "recipe.yaml")["override"] is None


def test_an_override_is_kept_with_what_it_overrides(task):
    eligible = eligibility(task, diagnosis(task, "retrieval"), "to show that it fails", "recipe.yaml")
    assert (eligible["against"], eligible["override"]) == ([TRIAGE], "to show that it fails")
    assert render_eligibility(eligible)[1] == "  trained against the diagnosis of desk/triage: to show that it fails"


def test_without_a_target_every_unit_decides(task):
    untargeted = replace(task, policy=replace(task.policy, units={}))
    with pytest.raises(Refused, match="desk/facts: Retrieval"):
        eligibility(untargeted, diagnosis(task), None, "recipe.yaml")


def test_a_target_that_no_prompt_can_change_needs_none(task, tmp_path):
    found = replace(diagnosis(task), units={}, questions={}, unpromptable=(TRIAGE, FACTS))
    write_diagnosis(tmp_path, found)
    eligible = eligibility(task, find_diagnosis(tmp_path, task, SUBJECT), None, "recipe.yaml")
    assert render_eligibility(eligible) == ["  no target that a prompt can change"]


def test_found(task, tmp_path):
    write_diagnosis(tmp_path, diagnosis(task))
    assert find_diagnosis(tmp_path, task, SUBJECT) == diagnosis(task)


def test_missing(task, tmp_path):
    with pytest.raises(Refused, match=r"expected a diagnosis at .*desk/diagnosis.json, found none; run: .* desk"):
        find_diagnosis(tmp_path, task, SUBJECT)


def test_a_missing_one_is_noticed_before_the_adapter_is_read(task, tmp_path):
    baseline = tmp_path / "baselines" / "m" / "desk" / "triage.json"
    baseline.parent.mkdir(parents=True)
    baseline.write_text("{}")
    command = ["adopt", "no-such-folder", f"--cases={tmp_path / 'fixtures'}", f"--baselines={tmp_path / 'baselines'}"]
    done = CliRunner().invoke(app, [*command, "--rows=no-such-file"])
    said = " ".join(f"{done.output} {done.exception}".split())
    assert "desk/diagnosis.json, found none; run: tunegate diagnose desk, or add --override REASON" in said


def test_of_another_model(task, tmp_path):
    write_diagnosis(tmp_path, diagnosis(task))
    told = r"expected a diagnosis of this model, found another chat template; run: .* --model=m"
    with pytest.raises(Refused, match=told):
        find_diagnosis(tmp_path, task, SUBJECT | {"template": "e" * 64}, "m")


def test_of_other_questions(task, tmp_path):
    write_diagnosis(tmp_path, diagnosis(task))
    write_desk(tmp_path / "fixtures", 4, prompt={"system": "Sort it."})
    [now] = load_tasks(tmp_path / "fixtures")
    with pytest.raises(
        Refused, match=r"desk/triage: .*diagnosis.json was made with other prompt, examples or decoding"
    ):
        find_diagnosis(tmp_path, now, SUBJECT)


def test_of_other_cases(task, tmp_path):
    write_diagnosis(tmp_path, diagnosis(task))
    write_desk(tmp_path / "fixtures", 5)
    [now] = load_tasks(tmp_path / "fixtures")
    with pytest.raises(Refused, match=r"desk/triage: .*diagnosis.json was made with other cases"):
        find_diagnosis(tmp_path, now, SUBJECT)


def test_of_fewer_units(task, tmp_path):
    write_diagnosis(tmp_path, replace(diagnosis(task), units={}, unpromptable=(FACTS,)))
    with pytest.raises(Refused, match="expected a diagnosis of desk/triage, found none"):
        find_diagnosis(tmp_path, task, SUBJECT)


# --- at the release


@pytest.fixture
def eligible(task, tmp_path):
    """What a training on a committed diagnosis keeps."""
    write_diagnosis(tmp_path, diagnosis(task))
    return eligibility(task, diagnosis(task), None, "recipe.yaml")


def test_the_cited_diagnosis_stands(task, tmp_path, eligible):
    check_eligibility(tmp_path, task, SUBJECT, eligible)


def test_the_cited_diagnosis_stands_although_the_fixtures_grew(task, tmp_path, eligible):
    write_desk(tmp_path / "fixtures", 9)
    [grown] = load_tasks(tmp_path / "fixtures")
    check_eligibility(tmp_path, grown, SUBJECT, eligible)


def test_an_adoption_without_a_diagnosis_stands_on_its_reason(task, tmp_path):
    none = undiagnosed("It has served since May.")
    check_eligibility(tmp_path, task, SUBJECT, none)
    assert render_eligibility(none) == ["  none, overridden: It has served since May."]
    with pytest.raises(Refused, match="expected a diagnosis at"):
        check_eligibility(tmp_path, task, SUBJECT, none | {"override": None})


def test_the_cited_diagnosis_is_gone(task, tmp_path, eligible):
    diagnosis_path(tmp_path, LOCAL["model"], "desk").unlink()
    with pytest.raises(Refused, match=r"expected a diagnosis at .*; run: tunegate diagnose desk --model=\./m"):
        check_eligibility(tmp_path, task, SUBJECT, eligible, "./m")


def test_another_one_that_says_as_much(task, tmp_path, eligible):
    write_diagnosis(tmp_path, diagnosis(task, "fine-tune for cost"))
    check_eligibility(tmp_path, task, SUBJECT, eligible)


def test_another_one_that_names_a_cheaper_remedy(task, tmp_path, eligible):
    write_diagnosis(tmp_path, diagnosis(task, "prompt"))
    with pytest.raises(Refused, match="expected a diagnosis that names fine-tuning, found another remedy"):
        check_eligibility(tmp_path, task, SUBJECT, eligible)


def test_a_guard_that_became_a_target_is_looked_at_too(task, tmp_path, eligible):
    write_policy(tmp_path / "fixtures", triage={"role": "target"}, facts={"role": "target"})
    [now] = load_tasks(tmp_path / "fixtures")
    with pytest.raises(Refused, match="found another remedy:\n  desk/facts: Retrieval"):
        check_eligibility(tmp_path, now, SUBJECT, eligible)


def test_a_target_that_the_cited_diagnosis_never_saw(tmp_path, eligible):
    write_desk(tmp_path / "fixtures", 4, "later")
    write_policy(tmp_path / "fixtures", triage={"role": "target"}, later={"role": "target"})
    [now] = load_tasks(tmp_path / "fixtures")
    with pytest.raises(Refused, match="expected a diagnosis of desk/later, found none"):
        check_eligibility(tmp_path, now, SUBJECT, eligible)
