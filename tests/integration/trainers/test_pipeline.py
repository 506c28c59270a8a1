"""Training for real, on a model small enough for seconds; the guards before it; what a kill leaves behind."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.records import write_policy
from tests.support.training import Place, refuses
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.rewarding import rewarding_check
from tunegate.harness.cli.main import app
from tunegate.harness.core.files import digest, file_digest, stamped
from tunegate.harness.core.typed import as_data
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.identity import identify

GRADING = "Grading rows with the task's own checks: 22"


@pytest.fixture
def place(recorded, tmp_path, monkeypatch) -> Place:
    """A recorded place of the test's own, as working directory."""
    shutil.copytree(recorded.path, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return Place(tmp_path / "place")


@pytest.fixture
def done(trained, tmp_path, monkeypatch) -> Place:
    """A trained place of the test's own, as working directory."""
    shutil.copytree(trained.path, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return Place(tmp_path / "place")


# the guards


def test_no_baseline_no_training(place, tiny_model):
    shutil.rmtree(place.path / "baselines")

    slug = identify(str(tiny_model), tiny_model).slug
    refuses(
        place,
        f"desk/triage: expected a baseline at baselines/{slug}/desk/triage.json, found none; record it",
        f"pytest fixtures/ --tg-record --tg-model={tiny_model} -k desk/triage",
    )


def test_a_baseline_of_another_model_does_not_count(place, tiny_model, tmp_path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text().replace("user", "customer") + " ")
    place.recipe(model=str(other))

    refuses(place, "desk/triage: expected a baseline of this model (other-", "found one of another")


def test_a_baseline_of_another_engine_counts(place):
    done = place.train("--dtype=bfloat16", "--dry-run")

    assert done.exit_code == 0, done.output


def test_what_is_served_under_constrained_decoding_is_trained_on_a_baseline_of_that_rung(place, tiny_model):
    refused = place.train("--rung=constrained", "--dry-run")
    assert refused.exit_code == 4
    assert "was recorded with another rung, constraint None (now llguidance " in refused.output
    assert "--tg-rung=constrained" in refused.output

    place.evaluate(tiny_model, record=True, rung="constrained")
    done = place.train("--rung=constrained", "--dry-run")
    assert done.exit_code == 0, done.output


def test_a_rung_with_another_prompt_than_the_rows_is_refused(place):
    refused = place.train("--rung=few-shot-constrained")
    assert refused.exit_code == 4
    assert "--rung few-shot-constrained: expected as-is or constrained, which use the prompt" in refused.output


def test_a_task_of_sealed_units_alone_has_no_baseline_to_train_on(place):
    write_unit(place.path / "fixtures", ["a", "b"], sealed=True)

    refuses(place, "desk: expected an unsealed unit")


def test_an_unknown_task_is_refused(place):
    place.recipe(task="desks")

    refuses(place, "recipe.yaml: task 'desks': expected one of desk")


def with_a_copy(place: Place) -> Place:
    """A place whose row 23 repeats a fixture."""
    with (place.path / "rows.jsonl").open("a") as file:
        file.write('{"input": "MESSAGE a!", "output": "{\\"product\\": \\"boiler\\"}"}\n')
    return place


def test_a_row_that_repeats_a_fixture_is_left_out_and_named(place):
    with_a_copy(place).recipe(optim={"lr": 5e-2, "epochs": 1})

    result = place.train("--report", "rows.json")

    assert result.exit_code == 0, result.output
    assert "  1 row that repeats a fixture: dropped\n  rows left: 22; --report FILE.json lists" in result.output
    record, report = (json.loads(place.read(name)) for name in ("adapter/training.json", "rows.json"))
    assert (record["grading"]["left_out"], record["grading"]["trained"]) == (1, 22)
    assert record["decontamination"]["dropped"]["sha256"] == file_digest(place.path / "adapter/dropped.jsonl")
    assert json.loads(place.read("adapter/dropped.jsonl"))["row"] == "rows.jsonl:23"
    assert [case["case"] for case in report["near_fixtures"]["cases"]] == ["desk/triage/a"]


def test_a_label_that_loses_half_of_its_rows_is_named(place):
    copies = [{"input": f"message a{'!' * number}", "output": '{"product": "boiler"}'} for number in range(1, 12)]
    with (place.path / "rows.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in copies)

    result = place.train("--dry-run")

    assert result.exit_code == 0, result.output
    assert 'warning: product = "boiler" falls from 22 to 11 rows; write further rows for it' in result.output


def with_an_address(place: Place) -> Place:
    """A place whose row 23 holds somebody's address."""
    with (place.path / "rows.jsonl").open("a") as file:
        file.write('{"input": "Mail ann.lee@gmail.com, please.", "output": "{\\"product\\": \\"boiler\\"}"}\n')
    return place


def test_a_row_with_somebodys_address_is_refused(place):
    refuses(
        with_an_address(place),
        "Training rows with secrets or personal data: 1; a model may memorize them.",
        "rows.jsonl:23: e-mail address (an..., 17 characters)",
    )


def test_a_row_with_somebodys_address_is_dropped_where_the_recipe_says_so(place):
    with_an_address(place).recipe(private_data="drop", optim={"lr": 5e-2, "epochs": 1})

    result = place.train("--report", "rows.json")

    assert result.exit_code == 0, result.output
    record, report = (json.loads(place.read(name)) for name in ("adapter/training.json", "rows.json"))
    found = {"policy": "drop", "rows": 1, "found": [{"row": "rows.jsonl:23", "kind": "e-mail address"}]}
    assert record["private_data"] == report["private_data"] == found
    assert (record["grading"]["left_out"], record["grading"]["trained"]) == (1, 22)
    assert "ann.lee" not in place.read("adapter/training.json") + place.read("rows.json") + result.output


def test_the_report_has_the_pairs_also_where_they_refuse_the_training(place):
    with_a_copy(place).recipe(decontaminate={"refuse": "refuse"})

    assert place.train("--report", "rows.json").exit_code == 4
    (case,) = json.loads(place.read("rows.json"))["near_fixtures"]["cases"]
    assert [(row["row"], row["outcome"]) for row in case["rows"]] == [("rows.jsonl:23", "refused")]


def test_a_row_that_repeats_a_fixture_is_refused_where_the_recipe_says_so(place):
    (place.path / "rows.jsonl").write_text('{"input": "MESSAGE a!", "output": "{\\"product\\": \\"boiler\\"}"}\n')
    place.recipe(decontaminate={"refuse": "refuse"})

    refuses(
        place,
        "1 of 1 training rows repeat fixtures",
        "rows.jsonl:1 repeats desk/triage/a (fixtures/desk/triage.yaml:1)",
    )


def with_a_bad_row(place: Place) -> Place:
    """A place whose row 23 is not what the unit's schema asks for."""
    with (place.path / "rows.jsonl").open("a") as file:
        file.write('{"input": "Ticket 22, please help.", "output": "A boiler."}\n')
    return place


def test_a_row_that_the_task_itself_would_fail_is_refused(place):
    refuses(with_a_bad_row(place), "1 of 23 training rows fail the task's own checks", "rows.jsonl:23: json")


def test_the_report_on_the_rows_is_written_also_when_they_are_refused(place):
    result = with_a_bad_row(place).train("--report", "rows.json")

    assert result.exit_code == 4
    report = json.loads(place.read("rows.json"))
    assert [(failure["line"], failure["unit"]) for failure in report["failures"]] == [(23, "triage")]


def test_rows_that_the_recipe_drops_are_not_trained_on_and_counted(place):
    with_a_bad_row(place).recipe(failing_rows="drop", optim={"lr": 5e-2, "epochs": 1})

    result = place.train("--report", "rows.json")

    assert result.exit_code == 0, result.output
    assert "1 row dropped, as set in the recipe; 22 left for training" in result.output
    record, report = (json.loads(place.read(name)) for name in ("adapter/training.json", "rows.json"))
    assert (record["grading"]["failed"], record["grading"]["trained"]) == (1, 22)
    assert record["recipe"]["failing_rows"] == "drop"
    assert record["grading"]["report"] == digest({key: report[key] for key in report if key != "digest"})


def test_rows_that_the_recipe_overrides_are_trained_on_and_the_reason_is_recorded(place):
    with_a_bad_row(place).recipe(failing_rows={"override": "a format to come"}, optim={"lr": 5e-2, "epochs": 1})

    result = place.train()

    assert result.exit_code == 0, result.output
    record = json.loads(place.read("adapter/training.json"))
    assert (record["grading"]["failed"], record["grading"]["trained"]) == (1, 23)
    assert record["recipe"]["failing_rows"] == {"override": "a format to come"}


def test_a_row_that_is_too_long_is_refused(place):
    place.recipe(optim={"max_length": 20})

    refuses(place, "rows.jsonl:1: expected at most optim.max_length = 20 tokens, found", "(22 such rows)")


@pytest.mark.parametrize(("target", "why"), [
    (["q_porj"], "lora.target: expected modules of this model, found 'q_porj'; did you mean 'q_proj'?"),
    (["q_proj", "x", "lm_headx"], "of this model, found 'x', 'lm_headx'; did you mean 'lm_head'?"),
    (["mlp"], "lora: expected modules of this model; PEFT says"),
])  # fmt: skip
def test_modules_that_the_model_lacks_are_refused(place, target, why):
    place.recipe(lora={"target": target})

    result = place.train()

    assert result.exit_code == 4
    assert why in result.output
    assert not list(place.path.glob("*adapter/"))
    assert not list(place.path.glob("*.training"))


@pytest.mark.parametrize("output", [".", "fixtures", "rows.jsonl"])
def test_only_an_adapter_is_ever_replaced(place, output):
    place.recipe(output=output)

    refuses(place, "expected no folder, or an adapter to replace, found other files; name another `output:`")


def test_a_released_adapter_is_never_replaced(done):
    (done.path / "adapter/release.json").write_text("{}")

    refuses(done, "adapter holds a released adapter; name another `output:` or --output")


# the training


def test_a_model_without_a_chat_template_is_trained_with_the_one_that_is_given(place, bare_model):
    place.recipe(model=str(bare_model))  # as the tiny model's own, so its baseline is this one's
    refuses(place, "expected a baseline of this model (tiny-", "found one of another only (tiny-")
    template = bare_model.parent / "chat.jinja"

    result = place.train(f"--chat-template={template}")

    assert result.exit_code == 0, result.output
    assert (
        json.loads(place.read("adapter/training.json"))["model"]["template"]
        == identify("m", bare_model, template).template
    )


def test_the_adapter_comes_with_its_record(trained, tiny_model):
    adapter = trained.path / "adapter"
    record = json.loads((adapter / "training.json").read_text())

    assert {path.name for path in adapter.iterdir()} == {
        "adapter_model.safetensors", "adapter_config.json", "training.json",
    }  # fmt: skip
    assert record["adapter"] == adapter_digest(adapter)
    assert record["model"] == identify(str(tiny_model), tiny_model).as_dict()
    assert record["task"] == "desk"
    assert record["recipe"]["optim"] == {
        "lr": 5e-2, "epochs": 4, "batch": 4, "validation_split": 0.0, "warmup": 0.05, "schedule": "cosine",
        "max_length": 1024, "checkpoint_steps": None, "validation_steps": None,
    }  # fmt: skip
    (rows,) = record["rows"]
    assert (rows["file"], rows["rows"], len(rows["sha256"])) == ("rows.jsonl", 22, 64)
    assert (record["decontamination"]["rows"], record["decontamination"]["pairs"]) == (22, {"refuse": 0, "review": 0})
    assert list(record["baselines"]) == ["desk/triage"]
    assert {"torch", "transformers", "peft", "trl"} < set(record["versions"])


def test_the_loss_falls(trained):
    training = json.loads(trained.read("adapter/training.json"))["training"]

    assert training["steps"] == 24  # six batches of four, four times
    assert training["last_loss"] < training["first_loss"] - 0.05  # a random output layer of 32 units gets no further
    assert training["tokens_per_second"] > 0


def test_no_path_of_this_machine_gets_into_the_adapter_of_a_named_model(trained, tiny_model):
    config = json.loads(trained.read("adapter/adapter_config.json"))

    assert config["base_model_name_or_path"] == str(tiny_model)  # as the recipe names it: here a folder
    assert config["target_modules"] == sorted(config["target_modules"])


def test_only_our_own_progress_is_printed(trained):
    said = trained.read("said.txt").splitlines()
    lines = [re.sub(r"[0-9.]+ (s|MB)\b", r"N \1", line) for line in said[said.index(GRADING) :]]
    now_and_then = [line for line in lines if " after " in line]  # none, where the machine is fast

    assert all(
        re.fullmatch(r"  \d+/24 after N s(, about N s left)?, loss \d\.\d{3}, \d+ tokens/s", line)
        for line in now_and_then
    )
    assert [line for line in lines if line not in now_and_then] == [
        GRADING,
        "  done in N s",
        "  triage: 22 rows, all pass the check; not scored: which values are right",
        "Looking for secrets and personal data: 22",
        "  done in N s",
        "Comparing 44 texts of rows with 2 inputs of fixtures: 44",
        "  done in N s",
        "  tokens per row: 81 to 84, median 82; per output: 22 to 24, median 23",
        "  warning: 22 rows are few: a small LoRA needs a few hundred to a few thousand good rows",
        "  warning: 22 outputs are longer than the unit's max_new_tokens (rows.jsonl:1 first): the suites would "
        "truncate such an output",
        "22 rows, none of them a case; baselines: desk/triage",
        "Loading the model to train ...",
        "  done in N s",
        "Probing the template on real batches ...",
        "  done in N s",
        "Training on 22 rows, steps: 24",
        "  done in N s",
        "Verifying that the adapter loads and has an effect ...",
        "  done in N s",
        "Testing for memorized training text ...",
        "  done in N s",
        "  memorization: not tested, no row has a long and distinctive output",
        "one seed is not a measurement: another seed may change the score more than the settings do; "
        "run tunegate train --trials N to try several and see how far they spread",
        "adapter: adapter (N MB)",
        "next: pytest fixtures/ --tg-adapter=adapter --tg-against baseline",
    ]


def test_the_gate_takes_the_adapter_and_it_answers_otherwise(done, tiny_model):
    (record,) = done.evaluate(tiny_model, adapters=(Path("adapter"),), against="baseline")

    base = json.loads(next(done.path.glob("baselines/*/desk/triage.json")).read_text())["cases"]
    assert all(result.output != base[key.rpartition("/")[2]]["output"] for key, result in record.cases.items())


@pytest.mark.parametrize(("kind", "key"), [("rslora", "use_rslora"), ("dora", "use_dora")])
def test_another_kind_of_adapter_is_trained_judged_and_gone_on_from(place, tiny_model, kind, key):
    place.recipe(lora={"r": 4, "alpha": 8, kind: True}, optim={"lr": 1e-2, "epochs": 1})

    result = place.train()

    assert result.exit_code == 0, result.output
    assert json.loads(place.read("adapter/adapter_config.json"))[key] is True
    assert json.loads(place.read("adapter/training.json"))["recipe"]["lora"][kind] is True
    (record,) = place.evaluate(tiny_model, adapters=(Path("adapter"),), against="baseline")
    assert record.fingerprint["subject"]["adapter"] == adapter_digest(place.path / "adapter")
    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["lora"]
    (place.path / "recipe.yaml").write_text(json.dumps(recipe | {"start": "adapter", "output": "second"}))
    assert (again := place.train()).exit_code == 0, again.output
    assert json.loads(place.read("second/adapter_config.json"))[key] is True


def test_a_base_in_4_bits_needs_an_nvidia_gpu(place):
    result = place.train("--quantization=4bit", "--device=cpu")

    assert result.exit_code == 3
    assert "--quantization 4bit: expected an NVIDIA GPU, which bitsandbytes needs, found cpu" in result.output


def with_a_teacher(place: Place) -> Place:
    """A place whose rows are what a teacher answered to their inputs."""
    lines = [json.loads(line) for line in place.read("rows.jsonl").splitlines()]
    inputs = [{"unit": "triage", "input": line["input"]} for line in lines]
    (place.path / "inputs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in inputs))
    asked = CliRunner().invoke(app, ["distil", "desk", "inputs.jsonl", "--prompts"]).stdout.splitlines()
    answers = [
        {name: json.loads(call)[name] for name in ("case", "digest")} | {"output": line["output"]}
        for call, line in zip(asked, lines, strict=True)
    ]
    (place.path / "outputs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers))
    (place.path / "rows.jsonl").unlink()
    made = CliRunner().invoke(
        app, ["distil", "desk", "inputs.jsonl", "--model=replay:large=outputs.jsonl", "--output=rows.jsonl"]
    )
    assert made.exit_code == 0, made.output
    return place


def test_the_record_names_the_teacher_whose_answers_the_rows_are(place):
    with_a_teacher(place).recipe(optim={"lr": 5e-2, "epochs": 1})

    result = place.train()

    assert result.exit_code == 0, result.output
    assert "  rows.jsonl: 22 of 22 outputs of replay:large passed the checks" in result.output
    (rows,) = json.loads(place.read("adapter/training.json"))["rows"]
    assert (rows["teacher"]["name"], rows["teacher"]["edited"], rows["rows"]) == ("replay:large", False, 22)


def test_the_answers_of_a_teacher_are_held_against_the_fixtures_like_any_others(place):
    with (place.path / "rows.jsonl").open("a") as file:
        file.write('{"input": "MESSAGE a!", "output": "{\\"product\\": \\"boiler\\"}"}\n')
    with_a_teacher(place).recipe(optim={"lr": 5e-2, "epochs": 1})

    assert "  1 row that repeats a fixture: dropped" in place.train("--dry-run").output


def test_training_again_replaces_the_adapter_whole(done):
    (done.path / "adapter/old.txt").write_text("of the old one")
    before = adapter_digest(done.path / "adapter")
    done.recipe(seed=4, optim={"lr": 5e-2, "epochs": 1})

    assert done.train().exit_code == 0

    assert not (done.path / "adapter/old.txt").exists()
    assert adapter_digest(done.path / "adapter") != before
    assert [path.name for path in done.path.iterdir() if path.is_dir() and "adapter" in path.name] == ["adapter"]


def test_a_training_without_effect_is_refused_and_the_old_adapter_stays(done):
    before = adapter_digest(done.path / "adapter")
    done.recipe(optim={"lr": 1e-30, "epochs": 1})

    result = done.train()

    assert result.exit_code == 4, result.output
    assert "not acting" in result.output
    assert adapter_digest(done.path / "adapter") == before
    assert not list(done.path.glob(".adapter.training"))


# the dry run


def test_a_dry_run_goes_up_to_the_first_step_and_says_what_training_would_cost(place):
    before = place.tree()

    result = place.train("--dry-run")

    assert result.exit_code == 0, result.output
    said = re.sub(r"[0-9.,]+ (s|MB|GB|minutes)\b", r"N \1", result.output)
    assert "Probing the template on real batches ..." in said
    assert re.search(r"  time: N s for 24 steps \(7,\d{3} tokens at \d+/s\)\n", said)
    assert re.search(r"  memory: N GB .*\n  disk: N MB while training, N MB afterwards; N [GM]B free\n", said)
    assert said.endswith("dry run: nothing was trained\n")
    assert place.tree() == before


def test_a_dry_run_refuses_what_the_training_would(place):
    with_a_bad_row(place)
    before = place.tree()

    assert place.train("--dry-run").exit_code == 4
    assert place.tree() == before


def test_the_effective_values_come_first(place):
    with_a_bad_row(place)  # refused right after

    said = [re.sub(" {2,}", "  ", line) for line in place.train("--dry-run").output.splitlines()]

    shown = said[: said.index("the diagnosis:")]
    assert len(shown) == 27
    assert shown[0] == "  task  desk  the task whose units the rows name: a folder of the fixtures"
    assert {
        f"  model  {json.loads(place.read('recipe.yaml'))['model']}  the base model, as in --model",
        "  lora.alpha  8  scale: the adapter's output is multiplied by alpha / r",
        "  lora.dropout  0.0  share of the adapter's inputs dropped at each step (default)",
        "  optim.lr  0.05  peak learning rate",
    } <= set(shown)
    assert shown[-1] == "  seed  3  seed for the initial weights and the order of the rows"


def test_rows_of_samples_make_an_adapter_that_their_check_rewarded(place, tiny_model):
    [unit] = load_tasks(place.path / "fixtures")[0].units
    reward = as_data(rewarding_check(unit))
    teacher = {"name": "tiny", "digest": "c" * 64, "samples": 8, "temperature": 0.8, "selected": [reward]}
    record = {"schema_version": 1, "asked": 176, "kept": 22, "rows": file_digest(place.path / "rows.jsonl")}
    (place.path / "rows.teacher.json").write_text(json.dumps(stamped(record | {"teacher": teacher})))
    write_policy(place.path / "fixtures", triage={"role": "target"})

    trained = place.train()
    assert trained.exit_code == 0, trained.output
    said = "rewarded by the schema check of desk/triage: what a reward saw is no evidence of a gain"
    assert f"{said}\n  a release needs a gain on desk/triage\n" in trained.output
    assert json.loads(place.read("adapter/training.json"))["rewards"] == [reward]
    [judged] = place.evaluate(tiny_model, adapters=(Path("adapter"),), against="baseline")
    assert as_data(judged.rewards) == [reward]
    assert read_record(judged.path).rewards == judged.rewards

    (place.path / "rows.teacher.json").unlink()  # rows of another origin do not end what the start was rewarded by
    place.recipe(start="adapter", output="second")
    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["lora"]
    (place.path / "recipe.yaml").write_text(json.dumps(recipe))
    again = place.train()
    assert again.exit_code == 0, again.output
    assert json.loads(place.read("second/training.json"))["rewards"] == [reward]


def test_the_gate_names_the_cases_that_a_trained_row_comes_near_and_counts_all(done, tiny_model):
    path = done.path / "adapter" / "training.json"
    training = json.loads(path.read_text())
    del training["digest"]
    near = {"case": "desk/triage/a", "row": "rows.jsonl:3", "measure": "likeness", "value": 0.9}
    path.write_text(json.dumps(stamped({**training, "decontamination": {"near": [near]}})))

    [record] = done.evaluate(tiny_model, adapters=(Path("adapter"),), against="baseline")
    assert record.near == {"desk/triage": ["a"]}
    assert read_record(record.path).near == {"desk/triage": ["a"]}
    found = record.verdicts["desk/triage"]
    assert (found.n, found.near.n, found.near.clean) == (2, 1, 1)
    assert "Training rows come near 1 of 2 cases" in found.reason
