"""Free text by command: a rubric in words, people's labels of what differs, and a verdict on a guard or a target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.gated import git, invoke, ok
from tests.support.records import write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.traffic.labels import Label, append_label, read_labels
from tunegate.harness.cli.main import app
from tunegate.harness.labelling.judge import judge_requests
from tunegate.harness.labelling.of_unit import differing_outputs, unit_questions
from tunegate.harness.models.evaluation.record import read_record

CURT, KIND = "No.", "Sorry about that: your parcel comes on Friday."
CASES = 200
KEY = "desk/replies"
FILE, LABELS = Path("fixtures/desk/replies.yaml"), Path("fixtures/desk/replies.labels.jsonl")
RUBRIC = "It says when the parcel comes, and is kind."
GATE = ("gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl", "--out=record.json")
CURTLY = range(0, CASES, 2)


def write_file(**more) -> None:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    labels = {"file": LABELS.name, "sample": 40, "rubric": RUBRIC}
    cases = [{"id": f"c{number}", "input": f"Where is parcel {number}?"} for number in range(CASES)]
    data = {"version": 1, "suite": "rubric", "unit": "replies", "labels": labels, "cases": cases} | more
    FILE.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


def write_outputs(path: str, curt=(), empty=()) -> None:
    texts = {**dict.fromkeys(range(CASES), KIND), **dict.fromkeys(curt, CURT), **dict.fromkeys(empty, " \n")}
    lines = [{"case": f"{KEY}/c{at}", "output": text} for at, text in texts.items()]
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))


def make(curt=(), **policy) -> None:
    """A repository whose base is `curt` to these, without git."""
    write_file()
    write_policy(Path("fixtures"), replies={"margin": 0.05} | policy)
    Path("pyproject.toml").write_text("[tool.tunegate]\n")
    Path(".gitignore").write_text(".tunegate/\nrecord.json\n*.lock\n")
    write_outputs("base.jsonl", curt)
    record()


def record() -> None:
    Path("requests.jsonl").write_text(invoke("prompts").stdout)
    ok("record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verdict():
    done = invoke(*GATE)
    assert Path("record.json").exists(), done.output
    return read_record(Path("record.json")).verdicts[KEY]


def unit():
    [task] = load_tasks(Path("fixtures"))
    return task.units[0]


def questions():
    return unit_questions(unit(), read_record(Path("record.json")))


def label(right=lambda output: output == KIND) -> int:
    asked = questions()
    for each in asked:
        for sha, output in each.pairs:
            append_label(LABELS, Label(sha, output, right(output), "anna"))
    return len(asked)


def test_a_loss_that_people_see_is_regressed(desk):
    make()
    write_outputs("outputs.jsonl", CURTLY)
    asked = verdict()
    assert (asked.verdict, asked.blocks) == ("inconclusive", True)
    assert f"40 of 40 labels are missing; run tunegate label {KEY}" in asked.reason

    assert label() == 40
    found = verdict()

    assert found.verdict == "regressed", found.reason
    assert "200 inputs" in found.reason
    assert "40 labelled: 0 better, 40 worse" in found.reason


def test_outputs_that_people_call_equally_right_are_held(desk):
    make()
    write_outputs("outputs.jsonl", CURTLY)
    verdict()
    asked = CliRunner().invoke(app, ["label", KEY, "--terminal", "--by=anna"], input="3" * 40)
    assert "labelled: 40 of 40" in asked.output, asked.output
    assert RUBRIC in asked.output
    assert "gpt" not in asked.output.split("labelled:")[0], "which model wrote an output is not said"

    assert verdict().verdict == "held"


def test_an_empty_output_is_wrong_without_a_label(desk):
    make()
    write_outputs("outputs.jsonl", empty=CURTLY)
    verdict()

    assert {output for each in questions() for output in each.outputs} == {KIND}


def test_a_target_is_improved_by_labels_of_a_sample(desk):
    make(CURTLY, role="target")
    write_outputs("outputs.jsonl")
    asked = verdict()
    assert asked.verdict == "inconclusive"
    label()

    found = verdict()

    assert found.verdict == "improved", found.reason
    assert not found.blocks
    assert "Improved: significantly better than the baseline" in found.reason
    assert "40 labelled: 40 better, 0 worse" in found.reason
    assert invoke(*GATE, "--decision=decision.json").exit_code == 0
    assert "desk/replies improved" in ok("comment", "decision.json")
    ok("report", "record.json", "--html=page.html")
    assert "40 labelled: 40 better" in Path("page.html").read_text()


def test_a_target_of_equal_outputs_is_held_and_no_gain(desk):
    make(CURTLY, role="target")
    write_outputs("outputs.jsonl", CURTLY)
    assert verdict().verdict == "held"


def test_few_differences_of_a_target_take_labels_to_show_a_gain(desk):
    make(range(4), role="target", margin=0.1)
    write_outputs("outputs.jsonl")
    assert "4 of 4 labels are missing" in verdict().reason


def test_a_judge_follows_the_rubric_of_the_labels(desk):
    make()
    write_outputs("outputs.jsonl", CURTLY)
    labels = {"file": LABELS.name, "sample": 40, "rubric": RUBRIC, "judge": {"model": "judge"}}
    write_file(labels=labels)
    assert "verdicts of the judge are missing on 100 inputs" in verdict().reason
    requests = judge_requests(unit().labels.judge, differing_outputs(unit(), read_record(Path("record.json"))))
    assert {each.messages[0] for each in requests.values()} == {("system", RUBRIC)}
    lines = [
        {"case": each.key, "repeat": each.repeat, "output": "RIGHT" if output == KIND else "WRONG"}
        for (_, output), each in requests.items()
    ]
    Path("said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert "asked about 200 outputs" in ok("label", KEY, "--judge=replay:judge=said.jsonl")

    assert "40 of 40 labels are missing" in verdict().reason, "the judge's word holds nothing"


def test_an_expectation_of_a_case_is_read_by_those_who_label(desk):
    make()
    cases = [
        {"id": f"c{at}", "input": f"Where is parcel {at}?", "expect": f"parcel {at}: Friday"} for at in range(CASES)
    ]
    write_file(cases=cases)
    record()
    write_outputs("outputs.jsonl", CURTLY)
    verdict()

    assert all(each.notes.startswith(f"{RUBRIC}\n\nparcel ") for each in questions())


def test_a_check_decides_first_and_people_the_rest(desk):
    schema = Path("fixtures/desk/refs/reply.schema.json")
    schema.parent.mkdir(parents=True)
    schema.write_text(
        json.dumps({"type": "object", "required": ["reply"], "properties": {"reply": {"type": "string"}}})
    )
    make_with = {"suite": "schema", "check": {"schema": "refs/reply.schema.json"}}
    write_file(**make_with)
    write_policy(Path("fixtures"), replies={"margin": 0.05})
    Path("pyproject.toml").write_text("[tool.tunegate]\n")

    def outputs(path, said):
        lines = [{"case": f"{KEY}/c{at}", "output": said(at)} for at in range(CASES)]
        Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))

    outputs("base.jsonl", lambda at: '{"reply": "Friday"}')
    record()
    outputs("outputs.jsonl", lambda at: "no JSON" if at % 4 == 0 else '{"reply": "Monday"}')
    verdict()

    sides = [each.outputs for each in questions()]

    assert {len(each) for each in sides} == {1, 2}, "an output that the schema rejects is shown to nobody"
    assert "no JSON" not in {output for each in sides for output in each}


def test_an_edited_rubric_blocks_until_it_is_approved(desk):
    make()
    write_outputs("outputs.jsonl", CURTLY)
    verdict()
    label(lambda output: True)
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
    write_file(labels={"file": LABELS.name, "sample": 40, "rubric": "Anything goes."})

    blocked = invoke(*GATE, "--policy-from=main", "--json")

    assert json.loads(blocked.stdout)["modified"] == [f"{KEY}: the rubric edited"]
    assert blocked.exit_code == 1


def test_a_label_of_another_input_says_nothing(desk):
    make()
    write_outputs("outputs.jsonl", CURTLY)
    verdict()
    for number in range(40):
        for output in (CURT, KIND):
            append_label(LABELS, Label(f"sha256:{number:064x}", output, True, "anna"))
    assert len(read_labels(LABELS).lines) == 80

    assert verdict().labelled.missing == 40


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels": None}, "labels, by which people decide, found none; write labels: {file: replies.labels.jsonl"),
        ({"suite": "retention", "check": {"measure": "passages"}}, "no labels, since retention/passages"),
        ({"sealed": True}, "no sealed beside labels"),
        ({"cases": [{"id": "a", "input": "hello", "group": "g"}]}, "no group beside labels"),
        ({"cases": [{"id": "a", "input": "hello"}, {"id": "b", "input": "hello"}]}, "an input that no other case has"),
        (
            {"cases": [{"id": f"c{at}", "input": f"hello {at}", "critical": at == 3} for at in range(41)]},
            "at least 41 labels, the number of cases, since some are critical, found 40",
        ),
        (
            {"labels": {"file": LABELS.name, "sample": 40, "judge": {"model": "judge"}}},
            "a rubric that the judge follows, found none",
        ),
    ],
    ids=["no labels", "a kind without", "sealed", "group", "an input twice", "critical", "a judge without"],
)
def test_mistakes_of_a_file_are_told(desk, more, said):
    write_file(**more)
    write_policy(Path("fixtures"), replies={"margin": 0.05})
    Path("pyproject.toml").write_text("[tool.tunegate]\n")
    done = invoke("lint")
    assert done.exit_code
    assert said in " ".join(done.output.split()), done.output


def test_a_score_that_labels_cannot_show_is_no_policy(desk):
    write_file()
    Path("pyproject.toml").write_text("[tool.tunegate]\n")
    write_policy(Path("fixtures"), replies={"margin": 0.05, "role": "target", "target_score": 0.9})
    done = invoke("lint")
    assert done.exit_code
    assert "no target_score, since labels decide replies" in done.output
