"""`tunegate prompts` and `tunegate record`, and the gate of what they made, as a user types them."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.support.project import Project
from tests.unit.checks.test_cost import write_cost, write_task
from tunegate.harness.cli.main import app

GOOD = '{"product": "boiler"}'
IDS = [f"case{number:02}" for number in range(20)]
GUARD = {"role": "guard", "margin": 0.4}


def tunegate(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def asked(*arguments: str) -> list[dict]:
    """The requests that a command writes."""
    done = tunegate("prompts", *arguments)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def answer(project: Project, requests: list[dict], wrong: int = 0, file: str = "outputs.jsonl", **more: object) -> None:
    """An output for each request; the first `wrong` miss."""
    lines = [
        {"case": each["case"], "repeat": each.get("repeat", 0), "digest": each["digest"],
         "output": "none" if number < wrong else GOOD} | more
        for number, each in enumerate(requests)
    ]  # fmt: skip
    (project.path / file).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def desk(project: Project) -> Project:
    project.unit(IDS)
    project.policy(triage=GUARD)
    return project


def baselines(project: Project) -> list[str]:
    return sorted(path.name for path in (project.path / "baselines" / "replay-gpt").rglob("*.json"))


def test_asked_answered_recorded_and_gated(desk: Project) -> None:
    answer(desk, asked(), wrong=2)
    done = tunegate("record", "--from", "outputs.jsonl", "--name", "gpt")
    assert done.exit_code == 0, done.output
    assert "desk/triage: recorded 20 cases, mean 0.900 (baselines/replay-gpt/desk/triage.json)" in done.stdout

    answer(desk, asked(), wrong=2, file="same.jsonl")
    same = desk.run("--tg-model=replay:gpt=same.jsonl", "--tg-against=baseline")
    same.assert_outcomes(passed=20, xfailed=2)
    same.stdout.fnmatch_lines(
        ["*: Nothing had to improve here: *", "desk/triage: Held: *The outputs come from a file."]
    )

    answer(desk, asked(), wrong=18, file="worse.jsonl")
    worse = desk.run("--tg-model=replay:gpt=worse.jsonl", "--tg-against=baseline")
    assert worse.ret == 1
    worse.stdout.fnmatch_lines(
        [
            "desk: Blocked: desk/triage regressed (90.0 % -> 10.0 %). "
            "Outputs that are the same: 18 of 20 of desk/triage. The outputs come from a file: *not released."
        ]
    )


def test_pytest_records_the_same_file(desk: Project) -> None:
    answer(desk, asked(), wrong=2)
    tunegate("record", "--from", "outputs.jsonl", "--name", "gpt")
    path = desk.path / "baselines" / "replay-gpt" / "desk" / "triage.json"
    text = path.read_text()
    path.unlink()
    desk.run("--tg-model=replay:gpt=outputs.jsonl", "--tg-record").assert_outcomes(passed=18, xfailed=2)
    assert path.read_text() == text


def test_a_unit_without_all_answers_is_not_recorded(desk: Project) -> None:
    desk.unit(IDS, "second")
    answer(desk, [*asked("desk/second"), *asked("desk/triage")[1:]])
    done = tunegate("record", "--from=outputs.jsonl", "--name=gpt")
    assert done.exit_code == 1
    assert "desk/triage: NOT recorded, 1 of 20 cases are unscored" in done.stdout
    assert baselines(desk) == ["second.json"]
    assert tunegate("record", "--from=outputs.jsonl", "--name=gpt", "desk/second").exit_code == 0


@pytest.mark.parametrize("name", ["my/gpt", "..", "", "gpt.", "a=b", r"C:\gpt", "x" * 65, "gpt 4"])
def test_a_name_must_be_that_of_a_folder(desk: Project, name: str) -> None:
    answer(desk, asked())
    done = tunegate("record", "--from=outputs.jsonl", f"--name={name}")
    assert done.exit_code == 2
    assert "--name: expected the name of a folder (letters, digits" in done.stderr
    assert not (desk.path / "baselines").exists()


def test_a_file_may_have_an_equals_sign_in_its_name(desk: Project) -> None:
    answer(desk, asked(), file="t=0.jsonl")
    assert tunegate("record", "--from=t=0.jsonl", "--name=gpt").exit_code == 0
    assert desk.run("--tg-model=replay:gpt=t=0.jsonl", "--tg-against=baseline").ret == 0
    assert desk.run("--tg-model=replay:./t=0.jsonl").ret == 0


def test_units_are_chosen_by_name(desk: Project) -> None:
    desk.unit(IDS, "second")
    assert {each["case"].rpartition("/")[0] for each in asked("desk/second")} == {"desk/second"}
    done = tunegate("prompts", "desk/secnod")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "did you mean 'desk/second'?" in done.stderr


def test_sealed_text_stays_sealed(desk: Project) -> None:
    desk.unit(["x", "y"], "last", sealed=True)
    done = tunegate("prompts")
    assert len(done.stdout.splitlines()) == 20
    assert done.stderr == "desk/last: sealed, not written: 2 cases (x, y); add --sealed\n"
    everything = asked("--sealed")
    assert len(everything) == 22
    answer(desk, everything)
    tunegate("record", "--from=outputs.jsonl", "--name=gpt")
    assert baselines(desk) == ["triage.json"]  # a line for a sealed case is no mistake, and not opened either
    tunegate("record", "--from=outputs.jsonl", "--name=gpt", "--sealed")
    assert baselines(desk) == ["last.json", "triage.json"]


def test_supplied_outputs_cannot_be_asked_again_and_that_is_said(desk: Project) -> None:
    answer(desk, asked())
    done = desk.run("--tg-model=replay:gpt=outputs.jsonl", "--tg-record", "--tg-noise")
    done.stdout.fnmatch_lines(["noise not measured: these outputs were supplied, there is no model to run again"])
    assert done.ret == 0


def test_repeats_are_asked_and_recorded(desk: Project) -> None:
    # greedy answers of a model elsewhere may vary, too
    assert [each.get("repeat") for each in asked("--repeats=3")[:3]] == [None, 1, 2]
    desk.unit(IDS, generate={"temperature": 0.7})
    requests = asked("--repeats=3")
    assert [each.get("repeat") for each in requests[:3]] == [None, 1, 2]
    answer(desk, requests)
    assert tunegate("record", "--from=outputs.jsonl", "--name=gpt", "--repeats=3").exit_code == 0
    assert desk.run("--tg-model=replay:gpt=outputs.jsonl", "--tg-against=baseline", "--tg-repeats=3").ret == 0
    fewer = desk.run("--tg-model=replay:gpt=outputs.jsonl", "--tg-against=baseline")
    assert fewer.ret == 4
    fewer.stderr.fnmatch_lines(["*the baseline holds 3 outputs per case, and this run 1*"])


def test_a_cost_unit_is_recorded_with_the_answers_it_prices(project: Project) -> None:
    project.unit(IDS)
    write_task(project.fixtures, triage={"margin": 0.4})
    write_cost(project.fixtures)
    assert asked("desk/spend") == asked("desk/triage") == asked()
    answer(project, asked(), tokens_in=30, tokens_out=5)
    assert tunegate("record", "--from=outputs.jsonl", "--name=gpt", "desk/spend").exit_code == 0
    assert baselines(project) == ["spend.json", "triage.json"]
    answer(project, asked(), file="bare.jsonl")
    bare = tunegate("record", "--from=bare.jsonl", "--name=gpt")
    assert bare.exit_code == 1
    assert "desk/spend: NOT recorded, 20 of 20 cases are unscored" in bare.stdout


def test_a_prompt_is_rendered_by_a_models_template(desk: Project, tiny_model: str) -> None:
    [first, *_] = asked(f"--render={tiny_model}")
    assert "message case00" in first["prompt"]
    assert first["tokens_in"] > 3
    assert first["digest"] == asked()[0]["digest"]
    assert tunegate("prompts", "--render=nowhere").exit_code == 3


def test_requests_are_written_without_any_model_library(desk: Project) -> None:
    code = (
        "import sys; sys.argv = ['tunegate', 'prompts']\n"
        "for name in ('torch', 'transformers'): sys.modules[name] = None\n"
        "from tunegate.harness.cli.main import main; main()"
    )
    result = desk.pytester.run(sys.executable, "-c", code)
    assert result.ret == 0
    assert len(result.outlines) == 20
