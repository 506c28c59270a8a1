"""`tunegate compare` of configurations: prompts, models and records on the open cases, for information only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import edit, invoke, ok
from tests.support.prompted import BETTER, IN_SERVICE, WORSE, prompt
from tests.support.records import write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.lookup import record_reference
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.evaluation.record import read_record


@pytest.fixture
def prompts(desk: Path) -> Path:
    Path("better.txt").write_text(f"{BETTER}\n")
    Path("worse.md").write_text(WORSE)
    Path("hot.yaml").write_text("generate: {temperature: 1.0, seed: 7}\n")
    return desk


def compared(*given: str) -> dict[str, dict[str, Any]]:
    found = json.loads(invoke_ok("compare", *given, "--json"))
    return {each["name"]: each["units"]["desk/triage"] | {"record": each["record"]} for each in found}


def invoke_ok(*given: str) -> str:
    done = invoke(*given)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_three_prompts_and_two_models(prompts, server):
    small = server.model.replace("#tuned", "#small")
    found = compared(f"house={server.model}", "better.txt", "worse.md", "hot.yaml", f"small={small}")
    means = {name: round(120 * each["mean"]) for name, each in found.items()}
    assert means == {"house": 110, "better": 119, "worse": 91, "hot": 85, "small": 80}
    assert "difference" not in found["house"]
    assert {name: each["verdict"] for name, each in found.items() if name != "house"} == {
        "better": "improved", "worse": "regressed", "hot": "regressed", "small": "regressed",
    }  # fmt: skip
    assert found["worse"]["difference"] == pytest.approx(-19 / 120)


def test_the_terminal_shows_differences_the_table_and_the_most_telling_cases(prompts, server):
    said = invoke_ok("compare", f"house={server.model}", "worse.md", "hot.yaml", "--html", "page.html")
    assert "worse, against house:" in said
    assert "temperature: 0.0 -> 1.0" in said
    assert "regressed" in said
    assert "c091" in said
    assert said.rstrip().endswith("to decide on a change, use tunegate gate")
    assert Path("page.html").is_file()


def test_what_is_compared_is_no_evidence(prompts, server):
    found = compared(server.model, "better.txt")
    path = found["better"]["record"]
    assert read_record(Path(path)).compared_as == "better"
    with pytest.raises(Refused, match="for information only"):
        record_reference(Path(path), load_tasks(Path("fixtures")), [])


def test_a_record_is_compared_without_a_model(prompts, server):
    path = compared(f"house={server.model}", "worse.md")["house"]["record"]
    asked = len(server.asked)
    again = compared(f"then={path}", f"same={path}")
    assert len(server.asked) == asked
    assert (again["same"]["difference"], again["same"]["verdict"]) == (0.0, "held")


def test_a_record_with_other_questions_is_refused(prompts, server):
    path = compared(f"house={server.model}", "worse.md")["house"]["record"]
    edit(lambda data: data["cases"][3].update(input="another ticket 3"))
    done = invoke("compare", path, "worse.md")
    assert done.exit_code == 4
    assert f"{path}: desk/triage was evaluated with other inputs" in done.output


def test_cases_that_are_being_written_are_compared_too(prompts, server):
    edit(lambda data: data["cases"].append({"id": "new", "input": "ticket 3", "expect": {"product": "boiler"}}))
    assert compared(f"house={server.model}", "worse.md")["worse"]["n"] == 121


def test_runs_of_other_configurations_count(prompts, server):
    before = len(read_ledger(Path("baselines")).of("desk", "run"))
    compared(f"house={server.model}", "better.txt")
    [event] = read_ledger(Path("baselines")).of("desk", "run")[before:]
    assert set(event.configurations) == {"desk/triage"}


def test_a_fixture_file_is_a_prompt_file_too(prompts, server):
    prompt(WORSE)
    text = Path("fixtures/desk/triage.yaml").read_text()
    prompt(IN_SERVICE)
    Path("other.yaml").write_text(text)
    assert round(120 * compared(f"house={server.model}", "other.yaml")["other"]["mean"]) == 91


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["better.txt"], "at least two configurations"),
        (["better.txt", "better.txt"], "different names"),
        (["a=better.txt", "b=better.txt+worse.md"], "expected one prompt, found 2"),
        (["a=better.txt", "nowhere.txt"], "nowhere.txt"),
        (["better.txt", "old.csv"], "old.csv: no such file; expected a result file"),
        (["better.txt", "worse.md", "--gate"], "--gate"),
        (["better.txt", "worse.md", "--margin=.1"], "--margin"),
        (["better.txt", "worse.md", "--unit=desk/nothing"], "desk/triage"),
        (["better.txt", "empty.txt"], "an empty file"),
        (["better.txt", "odd.yaml"], "odd.yaml:1"),
        (["better.txt", "nothing.yaml"], "nothing.yaml"),
        (["better.txt", "context.yaml"], "{context}"),
        (["better.txt", "holes.txt"], "{input}"),
    ],
)
def test_what_is_not_understood_is_refused_before_a_model_runs(prompts, server, given, said):
    Path("empty.txt").write_text(" \n")
    Path("odd.yaml").write_text("promt: {system: hello}\n")
    Path("nothing.yaml").write_text("{}\n")
    Path("context.yaml").write_text('prompt: {template: "{context} {input}"}\n')
    Path("holes.txt").write_text("Answer {input} at once.\n")
    asked = len(server.asked)
    done = invoke("compare", *given)
    assert done.exit_code in (2, 4)
    assert said in done.output
    assert len(server.asked) == asked


def test_options_of_configurations_do_not_go_with_result_files(desk):
    for name in ("old", "new"):
        Path(f"{name}.csv").write_text("id,accuracy\na,1\nb,0\n")
    done = invoke("compare", "old.csv", "new.csv", "--unit=desk/triage")
    assert done.exit_code == 2
    assert "--unit: result files are not run" in done.output


def test_calls_are_timed_where_that_is_asked_for(prompts, server):
    said = invoke_ok("compare", server.model, "better.txt", "--timing")
    assert "median seconds per call" in said


def test_sealed_cases_are_not_used(prompts, server):
    edit(lambda data: data.update(unit="proof", sealed=True, cases=data["cases"][:4]), "triage.yaml")
    write_policy(Path("fixtures"), proof={"margin": 0.5})
    asked = len(server.asked)
    done = invoke("compare", server.model, "better.txt")
    assert done.exit_code == 2, done.output
    assert "expected an open unit, found none" in done.output
    assert len(server.asked) == asked


def test_the_ledger_of_a_project_without_one_stays_empty(prompts, server, tmp_path):
    ok("compare", server.model, "better.txt", f"--baselines={tmp_path / 'none'}")
    assert not (tmp_path / "none").exists()
