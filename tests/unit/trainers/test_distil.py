"""A teacher's answers become rows, where they pass the task's own checks."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.rewarding import rewarding_check
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.typed import as_data
from tunegate.harness.rows.examples import Example, read_row_files
from tunegate.trainers.data.teacher import read_teacher, rewards_of_rows
from tunegate.trainers.distil import FAILS, Output, _pairs

INPUTS = [{"unit": "triage", "input": f"Ticket {number}."} for number in range(4)]
RIGHT = '{"product": "boiler"}'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A task and its inputs, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path / "fixtures", ["a", "b"], prompt={"system": "Sort it."})
    write_lines(tmp_path / "inputs.jsonl", INPUTS)
    return tmp_path


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def distil(*options, task="desk"):
    return CliRunner().invoke(app, ["distil", task, "inputs.jsonl", *options])


def answered(project, *outputs, **changes):
    """Record what the teacher answers to the inputs, in order, into `outputs.jsonl`; and distil that."""
    asked = [json.loads(line) for line in distil("--prompts").stdout.splitlines()]
    lines = [
        {"case": each["case"], "digest": each["digest"], "output": output} | changes
        for each, output in zip(asked, outputs, strict=True)
    ]
    write_lines(project / "outputs.jsonl", lines)
    return distil("--model=replay:large=outputs.jsonl", "--output=rows.jsonl")


def test_what_the_teacher_is_asked_is_what_the_suites_would_ask(project):
    [first, *_] = [json.loads(line) for line in distil("--prompts").stdout.splitlines()]

    assert first["case"] == "inputs.jsonl:1"
    assert first["messages"] == [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "Ticket 0."}]
    assert len(first["digest"]) == 64


def test_a_teacher_that_needs_examples_gets_them_and_the_rows_do_not(project):
    shots = [{"input": "No heat.", "output": RIGHT}]
    write_unit(project / "fixtures", ["a", "b"], prompt={"system": "Sort it."}, shots=shots)

    asked = [json.loads(line) for line in distil("--prompts", "--rung=few-shot").stdout.splitlines()]
    lines = [{"case": each["case"], "digest": each["digest"], "output": RIGHT} for each in asked]
    write_lines(project / "outputs.jsonl", lines)
    done = distil("--model=replay:large=outputs.jsonl", "--rung=few-shot", "--output=rows.jsonl")

    assert [each["content"] for each in asked[0]["messages"]] == ["Sort it.", "No heat.", RIGHT, "Ticket 0."]
    assert {each["rung"] for each in asked} == {"few-shot"}
    assert done.exit_code == 0, done.output
    assert lines_of(project / "rows.jsonl") == [each | {"output": RIGHT} for each in INPUTS]
    assert json.loads((project / "rows.teacher.json").read_text())["teacher"]["rung"] == "few-shot"
    refused = distil("--model=replay:large=outputs.jsonl", "--output=others.jsonl")
    assert refused.exit_code == 4, refused.output  # recorded on another rung


def test_a_rung_that_inputs_cannot_be_asked_on_is_refused(project):
    assert "expected one of as-is, constrained, few-shot" in distil("--prompts", "--rung=context").output
    assert "found none in desk/triage" in distil("--prompts", "--rung=few-shot").output


def test_answers_that_pass_the_check_become_rows_and_the_others_are_told_with_the_reason(project):
    done = answered(project, RIGHT, f"\n {RIGHT}\n", "A boiler.", None)

    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-5:] == [
        "2 of 4 outputs of replay:large become rows",
        "  dropped: 1, fails the task's own checks",
        "  dropped: 1, no output",
        "  triage: not scored: which values are right",
        "rows: rows.jsonl; teacher: rows.teacher.json; dropped: rows.dropped.jsonl",
    ]
    assert lines_of(project / "rows.jsonl") == [each | {"output": RIGHT} for each in INPUTS[:2]]
    fails, none = lines_of(project / "rows.dropped.jsonl")
    assert (none["input"], none["why"]) == ("inputs.jsonl:4", "no output")
    assert (fails["input"], fails["output"]) == ("inputs.jsonl:3", "A boiler.")
    assert "json" in fails["findings"][0]


def test_a_conversation_stays_one(project):
    turns = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "It drips."}]
    write_lines(project / "inputs.jsonl", [{"unit": "triage", "messages": turns}])

    assert answered(project, RIGHT).exit_code == 0
    assert lines_of(project / "rows.jsonl") == [
        {"unit": "triage", "messages": [*turns, {"role": "assistant", "content": RIGHT}]}
    ]


def test_the_teacher_stands_beside_the_rows_and_an_edit_of_them_shows(project):
    answered(project, RIGHT, RIGHT, "no", "no")
    rows = project / "rows.jsonl"

    teacher = read_teacher(rows)["teacher"]
    assert (teacher["name"], teacher["asked"], teacher["kept"], teacher["edited"]) == ("replay:large", 4, 2, False)
    assert len(teacher["digest"]) == 64
    rows.write_text(rows.read_text().replace("boiler", "radiator"))
    assert read_teacher(rows)["teacher"]["edited"] is True


def test_another_answer_is_another_teacher(project):
    answered(project, RIGHT, RIGHT, "no", "no")
    before = read_teacher(project / "rows.jsonl")["teacher"]["digest"]
    answered(project, RIGHT, RIGHT, RIGHT, "no")

    assert read_teacher(project / "rows.jsonl")["teacher"]["digest"] != before


def test_rows_without_a_teacher_have_none_and_an_edited_teacher_is_refused(project):
    assert read_teacher(project / "inputs.jsonl") == {}
    answered(project, RIGHT, RIGHT, RIGHT, RIGHT)
    path = project / "rows.teacher.json"
    path.write_text(path.read_text().replace("replay:large", "replay:mine"))

    with pytest.raises(
        Refused, match=r"rows.teacher.json: expected an unedited file from tunegate distil, found an edited one"
    ):
        read_teacher(project / "rows.jsonl")


def test_rows_that_somebody_wrote_or_edited_are_not_written_over(project):
    (project / "rows.jsonl").write_text('{"input": "mine", "output": "{}"}\n')
    why = "rows.jsonl: expected no file, or unedited rows from tunegate distil, found other rows"

    assert why in distil("--model=replay:large=outputs.jsonl", "--output=rows.jsonl").output
    (project / "rows.jsonl").unlink()
    assert answered(project, RIGHT, RIGHT, RIGHT, RIGHT).exit_code == 0
    (project / "rows.jsonl").write_text('{"input": "mine", "output": "{}"}\n')
    refused = answered(project, RIGHT, RIGHT, RIGHT, RIGHT)
    assert (refused.exit_code, why in refused.output) == (4, True)
    assert lines_of(project / "rows.jsonl") == [{"input": "mine", "output": "{}"}]


@pytest.mark.parametrize("name", ["rows.json", "rows-t0.8", "rows"])
def test_rows_whose_record_would_replace_that_of_other_rows_are_refused(project, name):
    assert sampled(project, *SAMPLES).exit_code == 0
    before = (project / "rows.teacher.json").read_bytes()

    refused = distil("--model=replay:mine=outputs.jsonl", f"--output={name}", "--samples=4")
    assert (refused.exit_code, (project / name).exists()) == (4, False)
    assert f"{name}: expected a name that ends in .jsonl, found {name!r}" in refused.output
    assert (project / "rows.teacher.json").read_bytes() == before


@pytest.mark.parametrize(("line", "why"), [
    ({"unit": "triage", "input": "x", "output": "{}"}, 'inputs.jsonl:1: expected an object {"unit", "input"}'),
    ({"unit": "triage", "messages": [{"role": "assistant", "content": "x"}]}, "inputs.jsonl:1: messages: expected"),
    ({"messages": [{"role": "user", "content": "x"}]}, 'inputs.jsonl:1: expected an object {"unit", "input"}'),
    ({"unit": "trage", "input": "x"}, "inputs.jsonl:1: unit: expected a unit of the task (triage), found 'trage'"),
])  # fmt: skip
def test_a_line_that_is_no_input_is_named(project, line, why):
    write_lines(project / "inputs.jsonl", [line])

    refused = distil("--prompts")
    assert (refused.exit_code, why in refused.output) == (4, True), refused.output


def test_the_same_input_twice_is_a_mistake(project):
    write_lines(project / "inputs.jsonl", [INPUTS[0], INPUTS[0]])

    assert "inputs.jsonl:2: expected each row once, found the row of inputs.jsonl:1" in distil("--prompts").output


def test_answers_to_something_else_are_refused(project):
    refused = answered(project, RIGHT, RIGHT, RIGHT, RIGHT, digest="0" * 64)
    assert refused.exit_code == 4
    assert "digest: expected the digest of inputs.jsonl:1's current request, found 00000000" in refused.output
    assert "expected an input, FILE:LINE, found 'desk/triage/a'" in answered(
        project, *[RIGHT] * 4, case="desk/triage/a"
    ).output  # fmt: skip
    assert not (project / "rows.jsonl").exists()


def test_where_no_answer_passes_there_are_no_rows(project):
    refused = answered(project, "a", "b", "c", "d")

    assert refused.exit_code == 4
    assert "expected an output that passes the task's checks, found none of 4; the first: fails" in refused.output
    assert not (project / "rows.jsonl").exists()


def test_a_unit_of_several_checks_has_no_teacher_for_nobody_knows_which_is_an_inputs_own(project):
    cases = [
        {"id": "a", "input": "x", "check": {"schema": {"type": "object"}}},
        {"id": "b", "input": "y", "check": {"schema": {"type": "array"}}},
    ]
    write_unit(project / "fixtures", [], "mixed", cases=cases)
    write_lines(project / "inputs.jsonl", [{"unit": "mixed", "input": "z"}])

    refused = distil("--prompts")
    assert refused.exit_code == 4
    assert "whose outputs would go unchecked: mixed: the unit's cases have 2 different checks" in refused.output


def test_rows_need_a_place_and_a_task_that_there_is(project):
    assert (missing := distil()).exit_code == 2
    assert "--output: expected a file for the rows, found none" in missing.output
    assert "task 'dusk': expected one of desk; did you mean 'desk'?" in distil("--prompts", task="dusk").output


# samples


def sampled(project, *outputs, options=("--pairs",), **changes):
    """Record what a teacher samples for the inputs, four outputs each, and distil that."""
    asked = [json.loads(line) for line in distil("--prompts", "--samples=4").stdout.splitlines()]
    keys = ("case", "repeat", "digest")
    lines = [
        {key: each[key] for key in keys if key in each} | {"output": output} | changes
        for each, output in zip(asked, [one for own in outputs for one in own], strict=True)
    ]
    write_lines(project / "outputs.jsonl", lines)
    return distil("--model=replay:mine=outputs.jsonl", "--output=rows.jsonl", "--samples=4", *options)


OTHER = '{"product": "radiator"}'
SAMPLES = ((RIGHT, "A boiler.", RIGHT, OTHER), (RIGHT, RIGHT, RIGHT, RIGHT), ("No.", "Hm.", "No.", ""), (OTHER,) * 4)


def test_samples_are_asked_with_a_seed_each_at_the_temperature(project):
    asked = [json.loads(line) for line in distil("--prompts", "--samples=2", "--temperature=0.5").stdout.splitlines()]

    assert [(each["case"], each.get("repeat", 0)) for each in asked[:3]] == [
        ("inputs.jsonl:1", 0), ("inputs.jsonl:1", 1), ("inputs.jsonl:2", 0),
    ]  # fmt: skip
    assert {each["temperature"] for each in asked} == {0.5}
    assert len({each["digest"] for each in asked}) == 8


def test_passing_samples_become_rows_each_once_and_a_passing_and_a_failing_one_a_pair(project):
    done = sampled(project, *SAMPLES)

    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-7:] == [
        "4 of 16 samples of replay:mine become rows",
        "  sampled: 4 per input at temperature 0.8, with fixed seeds; pairs of a passing and a failing sample of one "
        "input: 1",
        "  dropped: 3, fails the task's own checks",
        "  dropped: 8, repeats another sample of its input",
        "  dropped: 1, no output",
        "  triage: not scored: which values are right",
        "rows: rows.jsonl; pairs: rows.pairs.jsonl; teacher: rows.teacher.json; dropped: rows.dropped.jsonl",
    ]
    assert lines_of(project / "rows.jsonl") == [
        INPUTS[0] | {"output": RIGHT}, INPUTS[0] | {"output": OTHER}, INPUTS[1] | {"output": RIGHT},
        INPUTS[3] | {"output": OTHER},
    ]  # fmt: skip
    assert lines_of(project / "rows.pairs.jsonl") == [INPUTS[0] | {"output": RIGHT, "rejected": "A boiler."}]
    first = lines_of(project / "rows.dropped.jsonl")[0]
    assert (first["input"], first["sample"], first["output"]) == ("inputs.jsonl:1", 1, "A boiler.")


def test_rows_and_pairs_of_samples_are_read_by_a_training_and_name_the_check_that_rewarded(project):
    sampled(project, *SAMPLES)
    [task] = load_tasks(project / "fixtures")
    rows, pairs = read_row_files([project / "rows.jsonl", project / "rows.pairs.jsonl"], task)

    assert [(row.output, row.rejected) for row in pairs.rows] == [(RIGHT, "A boiler.")]
    for file in (rows, pairs):
        teacher = read_teacher(file.path)["teacher"]
        assert (teacher["samples"], teacher["temperature"], teacher["asked"]) == (4, 0.8, 16)
        assert teacher["selected"] == [as_data(rewarding_check(task.units[0]))]
        assert rewards_of_rows([{"teacher": teacher}], "b" * 64) == (rewarding_check(task.units[0]),)


def test_one_output_of_another_model_is_no_reward_and_one_of_the_base_is(project):
    answered(project, RIGHT, RIGHT, RIGHT, RIGHT)
    teacher = read_teacher(project / "rows.jsonl")["teacher"]

    assert rewards_of_rows([{"teacher": teacher}, {"file": "mine.jsonl"}], "b" * 64) == ()
    own = teacher | {"subject": {"base": "b" * 64}}
    assert [each.unit for each in rewards_of_rows([{"teacher": own}], "b" * 64)] == ["desk/triage"]


def test_a_conversation_becomes_a_pair(project):
    turns = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "It drips."}]
    write_lines(project / "inputs.jsonl", [{"unit": "triage", "messages": turns}])

    assert sampled(project, (RIGHT, "No.", "No.", "Hm.")).exit_code == 0
    [pair] = lines_of(project / "rows.pairs.jsonl")
    assert (pair["messages"][-1]["content"], pair["rejected"]) == (RIGHT, "No.")


def test_without_a_pair_there_is_no_file_of_pairs(project):
    (project / "rows.pairs.jsonl").unlink(missing_ok=True)
    done = sampled(project, *[(RIGHT,) * 4] * 4)

    assert done.exit_code == 0, done.output
    assert "pairs of a passing and a failing sample of one input: 0" in done.output
    assert not (project / "rows.pairs.jsonl").exists()


def test_an_output_that_differs_in_spaces_only_is_no_rejected_one(project):
    assert list(_pairs([made(project, RIGHT, ""), made(project, RIGHT + "\n\n", FAILS)])) == []
    assert len(list(_pairs([made(project, RIGHT, ""), made(project, "No.", FAILS)]))) == 1


def made(project, text, why):
    row = Example((("user", "Hi"),), "Hi", text, "inputs.jsonl", 1, "triage")
    return Output({"unit": "triage", "input": "Hi"}, row, 0, why)


def test_pairs_that_somebody_wrote_are_not_written_over(project):
    write_lines(project / "rows.pairs.jsonl", [INPUTS[0] | {"output": RIGHT, "rejected": "No."}])

    refused = sampled(project, *SAMPLES)
    assert (refused.exit_code, "rows.pairs.jsonl: expected no file" in refused.output) == (4, True)
    assert not (project / "rows.jsonl").exists()


def test_options_of_samples_that_mean_nothing_are_refused(project):
    assert "--pairs: expected --samples N with it" in distil("--prompts", "--pairs").output
    for value in ("0", "nan", "inf"):
        said = f"--temperature: expected a number above 0, found {value}"
        assert said in distil("--prompts", f"--temperature={value}").output
