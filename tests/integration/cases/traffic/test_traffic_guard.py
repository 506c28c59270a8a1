"""Traffic as a guard, by command: a snapshot, labels of what differs, and verdicts that 60 cases cannot give."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.gated import GOOD, git, invoke, ok
from tests.support.traffic import (
    GATE,
    JUDGE,
    KEY,
    LABELS,
    OTHER,
    label,
    make_traffic_repository,
    units,
    verdicts,
    with_judge,
    write_candidate,
    write_outputs,
)
from tunegate.harness.cases.snapshot import input_digest, traffic_in
from tunegate.harness.cases.traffic.labels import Label, append_label, read_labels
from tunegate.harness.cases.traffic.units import JudgeUse
from tunegate.harness.cli.main import app
from tunegate.harness.core.files import canonical
from tunegate.harness.labelling.of_unit import unit_questions
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.statistics.paired import sealed_level

INPUTS = 600
TENTH, FIFTH = range(0, INPUTS, 10), range(0, INPUTS, 5)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The repository, to be copied."""
    home, before = tmp_path_factory.mktemp("made") / "desk", Path.cwd()
    home.mkdir()
    try:
        os.chdir(home)
        with traffic_in(home / "traffic"):
            make_traffic_repository([f"message {number}" for number in range(INPUTS)])
    finally:
        os.chdir(before)
    return home


@pytest.fixture
def desk(made, tmp_path, monkeypatch):
    """A repository with 60 cases and labelled traffic of 600 inputs, whose base is right everywhere."""
    home = tmp_path / "desk"
    shutil.copytree(made, home)
    monkeypatch.chdir(home)
    with traffic_in(home / "traffic"):
        yield home


def test_few_labels_hold_what_60_cases_cannot(desk):
    write_candidate(TENTH)
    asked = verdicts()
    assert asked["desk/triage"].verdict == "inconclusive"
    assert asked["desk/production"].verdict == "inconclusive"
    said = asked["desk/production"].reason
    assert said.startswith("Inconclusive: 40 of 40 labels of the snapshot sha256:")
    assert " are missing; run tunegate label desk/production. 600 inputs; 60 outputs differ (10.0 %)." in said
    assert "With 40 labels an equal model gets held about 97.7 % of the time" in said

    done = CliRunner().invoke(app, ["label", "desk/production", "--terminal", "--by=anna"], input="3" * 40)
    assert "labelled: 40 of 40" in done.output, done.output

    found = verdicts()["desk/production"]
    assert found.verdict == "held", found.reason
    assert re.search(r"is at most \d\.\d points .*; 40 labelled: 0 better, 0 worse", found.reason)
    assert found.labelled.missing == 0


def test_labels_show_a_loss(desk):
    write_candidate(FIFTH)
    verdicts()
    label(lambda output: "boiler" in output)

    found = verdicts()["desk/production"]

    assert found.verdict == "regressed", found.reason
    assert "40 labelled: 0 better, 40 worse" in found.reason
    assert len(found.regressed_cases) == 40


def test_outputs_that_hardly_differ_need_no_label(desk):
    write_candidate(range(6))

    found = verdicts()["desk/production"]

    assert found.verdict == "held"
    assert found.reason.startswith("Held without labels")
    assert not LABELS.exists()


def test_another_candidate_is_another_try_with_another_sample(desk):
    write_candidate(TENTH)
    first = {each.level: each.labelled for each in [verdicts()["desk/production"]]}
    label(lambda output: True)
    again = verdicts()["desk/production"]
    assert (again.labelled.number, again.level) == (1, *first), "the same outputs are the same try"

    write_candidate(range(1, INPUTS, 10))
    other = verdicts()["desk/production"]

    assert other.labelled.number == 2
    assert other.level == pytest.approx(sealed_level(2))
    assert "the 2nd try on this snapshot" in other.reason


def test_a_warning_is_enough_where_inconclusive_units_only_warn(desk):
    write_candidate(TENTH, cases=())
    assert verdicts()["desk/production"].blocks
    assert "desk/production" in invoke(*GATE, "--inconclusive=warn").output
    record = read_record(Path("record.json"))
    assert record.verdicts["desk/production"].verdict == "inconclusive"


def test_the_plan_says_how_many_labels_it_takes(desk):
    [found] = json.loads(ok("plan", "--unit=desk/production", "--json"))
    assert found["labels"][0] == {"differ": 0.05, "labels_needed": 10, "held": pytest.approx(1, abs=0.01)}
    assert [each["labels_needed"] for each in found["labels"]] == sorted(
        each["labels_needed"] for each in found["labels"]
    )

    write_candidate(TENTH)
    verdicts()
    said = ok("plan", "--run=record.json")
    assert "desk/triage" in said
    assert " 10.0 % " in said, "what the record shows of how often outputs differ"


def on_a_branch() -> None:
    """What is there is main; what follows is a change."""
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")


def test_labels_of_a_change_block_until_they_are_approved(desk):
    write_candidate(TENTH, cases=())
    on_a_branch()
    verdicts("--policy-from=main")
    label(lambda output: True)

    blocked = invoke(*GATE, "--policy-from=main", "--json")
    decision = json.loads(blocked.stdout)
    assert blocked.exit_code == 1
    assert decision["modified"] == ["desk/production: 80 lines of production.labels.jsonl new"]

    passed = invoke(*GATE, "--policy-from=main", f"--approve={decision['approve']}", "--inconclusive=warn", "--json")
    found = json.loads(passed.stdout)
    assert [each["verdicts"]["desk/production"] for each in found["by_rules"]] == ["held", "held"]


def test_an_edited_label_is_a_rule_change(desk):
    write_candidate(FIFTH, cases=())
    verdicts()
    label(lambda output: "boiler" in output)
    on_a_branch()
    LABELS.write_text(LABELS.read_text().replace('"right": false', '"right": true'))

    decision = json.loads(invoke(*GATE, "--policy-from=main", "--json").stdout)

    assert not decision["passes"]
    assert decision["modified"] == [
        "desk/production: 40 lines of production.labels.jsonl new",
        "desk/production: 40 lines of production.labels.jsonl gone",
    ]
    assert decision["by_rules"][0]["verdicts"]["desk/production"] == "regressed"


def three_of_five_are_won(number: int, output: str) -> bool:
    """Of every fifth input, three of five are won and two are lost."""
    return ("boiler" in output) == (number % 25 in (0, 10))


def label_inputs(right, skipped: set[str]) -> None:
    """Label both outputs of all inputs that differ but those of these digests."""
    for number in FIFTH:
        case = units()[KEY].cases[number]
        sha = input_digest(case.written, case.context)
        for output in (GOOD, OTHER) if sha not in skipped else ():
            append_label(LABELS, Label(sha, canonical(json.loads(output)), right(number, output), "anna"))


def test_a_judge_that_earlier_labels_bear_out_saves_labels(desk):
    write_candidate(FIFTH, cases=())
    with_judge(three_of_five_are_won)
    assert "verdicts of the judge are missing on 120 inputs; run tunegate label desk/production --judge MODEL" in (
        verdicts()["desk/production"].reason
    )
    early = invoke("label", "desk/production", "--terminal", "--by=anna")
    assert "run tunegate label desk/production --judge MODEL" in early.output
    assert "asked about 240 outputs" in ok(*JUDGE)
    assert "asked about 0 outputs" in ok(*JUDGE)

    asked = verdicts()["desk/production"]
    assert "the judge is not used: 0 labelled pairs outside of the sample" in asked.reason
    assert asked.labelled.judge == JudgeUse(saved=0, earlier=0, missing=0)
    sample = {sha for each in unit_questions(units()[KEY], read_record(Path("record.json"))) for sha, _ in each.pairs}
    assert len(sample) == 40

    label_inputs(three_of_five_are_won, sample)
    used = verdicts()["desk/production"]
    assert used.labelled.judge.saved > 20, used.reason
    assert 0 < used.labelled.missing < 40
    label_inputs(three_of_five_are_won, set())
    found = verdicts()["desk/production"]
    assert (found.verdict, found.labelled.missing, found.labelled.sample) == ("held", 0, 40)
    assert re.search(r"drawn by the judge's verdicts, which save about \d+ labels", found.reason)


def test_a_judge_that_knows_nothing_is_not_used(desk):
    write_candidate(FIFTH, cases=())
    with_judge(lambda number, output: ("boiler" in output) == bool(number // 5 % 4 < 2))
    ok(*JUDGE)
    label_inputs(three_of_five_are_won, set())

    found = verdicts()["desk/production"]

    assert re.search(r"the judge is not used: by \d+ labelled pairs its verdicts save no label", found.reason)
    assert found.labelled.judge.saved <= 0


def test_what_a_judge_says_and_another_judge_block_until_approved(desk):
    write_candidate(FIFTH, cases=())
    on_a_branch()
    with_judge(three_of_five_are_won)
    assert invoke("label", "desk/production", "--judge=smollm2").exit_code == 2
    ok(*JUDGE)

    decision = json.loads(invoke(*GATE, "--policy-from=main", "--json").stdout)

    assert decision["modified"] == [
        "desk/production: the judge edited",
        "desk/production: 240 lines of production.labels.judge.jsonl new",
    ]


def edit_unit(name: str, **keys: object) -> None:
    """Give a unit these keys."""
    path = Path(f"fixtures/desk/{name}.yaml")
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def record_base(*options: str) -> None:
    """Record `base.jsonl` as the outputs of the model in service."""
    ok("record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl", *options)


def write_prompted(path: str, prompt: str, output: str) -> None:
    """Give the labelled unit another system prompt, and write outputs for it: `output` for every tenth input."""
    edit_unit("production", prompt={"system": prompt})
    write_outputs(path, lambda key, number: output if key == KEY and number in TENTH else GOOD)
    Path("requests.jsonl").write_text(ok("prompts"))


def test_beside_two_references_each_output_is_shown_once(desk):
    schema = Path("fixtures/desk/refs/product.schema.json")
    schema.write_text(schema.read_text().replace('"radiator"', '"radiator", "pump"'))
    shutil.rmtree("baselines")
    write_prompted("base.jsonl", "of the anchor", GOOD)
    record_base()
    write_prompted("base.jsonl", "in service", OTHER)
    record_base()
    write_prompted("outputs.jsonl", "of the change", '{"product": "pump"}')
    verdicts()

    asked = unit_questions(units()[KEY], read_record(Path("record.json")))
    pairs = [pair for each in asked for pair in each.pairs]
    assert len(pairs) == len(set(pairs)) == 3 * 40
    done = CliRunner().invoke(app, ["label", KEY, "--terminal", "--by=anna"], input="1" * len(asked) + "u1")
    assert f"Undone. {len(asked) - 1} of {len(asked)} labelled" in done.output, done.output
    assert verdicts()[KEY].labelled.missing == 0


def repeat_outputs(path: str, of_traffic: str | None = None) -> None:
    """Give each case a second output: the first again, or `of_traffic` for those of the labelled unit."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    for line in list(lines):
        is_other = of_traffic is not None and line["case"].startswith(KEY)
        lines.append(line | {"repeat": 1, "output": of_traffic if is_other else line["output"]})
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_of_repeated_outputs_people_label_those_that_the_gate_compares(desk):
    shutil.rmtree("baselines")
    for name in ("triage", "production"):
        edit_unit(name, generate={"temperature": 0.7})
    Path("requests.jsonl").write_text(ok("prompts", "--repeats=2"))
    repeat_outputs("base.jsonl", of_traffic="no JSON, so rejected")
    record_base("--repeats=2")
    write_candidate(TENTH)
    repeat_outputs("outputs.jsonl")
    verdicts("--repeats=2")

    label(lambda output: "boiler" in output)

    found = verdicts("--repeats=2")[KEY]
    assert "40 labelled: 0 better, 40 worse" in found.reason


def test_outputs_of_another_prompting_strategy_are_labelled_as_the_gate_compares_them(desk):
    shutil.rmtree("baselines")
    write_outputs("base.jsonl", lambda key, number: f"It is about heat. Answer: {GOOD}")
    Path("requests.jsonl").write_text(ok("prompts", "--rung=steps"))
    record_base("--rung=steps")
    Path("requests.jsonl").write_text(ok("prompts"))
    write_candidate(TENTH)
    verdicts()

    label(lambda output: "boiler" in output)

    shown = {line.output for line in read_labels(LABELS).lines}
    assert shown == {canonical(json.loads(each)) for each in (GOOD, OTHER)}
    assert "40 labelled: 0 better, 40 worse" in verdicts()[KEY].reason


def test_a_snapshot_that_ci_lacks_ends_with_4_and_the_command(desk):
    write_candidate(TENTH)
    for path in (desk / "traffic").iterdir():
        path.rename(desk / path.name)

    done = invoke(*GATE)

    assert done.exit_code == 4
    assert "tunegate traffic FILE.jsonl" in done.output
    assert invoke(*GATE, f"--traffic={desk}").exit_code == 1


def test_the_unit_stands_on_the_page_and_in_the_comment(desk):
    write_candidate(TENTH)
    invoke(*GATE, "--decision=decision.json")

    assert "40 of 40 labels of the snapshot" in ok("comment", "decision.json")
    ok("report", "record.json", "--html=page.html")
    assert "40 of 40 labels of the snapshot" in Path("page.html").read_text()

    told = {Path("log.jsonl"), Path("requests.jsonl"), *Path("traffic").rglob("*")}
    here = [path for path in Path().rglob("*") if path.is_file() and path not in told]
    assert not [path for path in here if "message 10" in path.read_text("utf-8", "replace")]  # no input is copied
