"""An adapter that was trained elsewhere: adopted with its claims, refused where it is something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import CliRunner, Result

from tests.support.training import Place
from tests.support.units import write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.models.adapters import CONFIG, TRAINING, WEIGHTS, adapter_digest, training_record
from tunegate.trainers.adoption import adopt as adopting


@pytest.fixture
def place(trained, tmp_path, monkeypatch) -> Place:
    """A place with a baseline, a diagnosis, rows, and `elsewhere`: a LoRA that was trained on these rows."""
    shutil.copytree(trained.path, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    folder = Path(shutil.copytree("adapter", "elsewhere"))
    shutil.rmtree("adapter")
    for path in folder.iterdir():
        if path.name not in (CONFIG, WEIGHTS):
            path.unlink()
    (folder / "optimizer.pt").write_bytes(b"a pickle")
    edit(folder / CONFIG, base_model_name_or_path="someone/tiny-chat", revision="main")
    return Place(tmp_path / "place")


def edit(path: Path, **keys: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.fixture
def adopt(place, tiny_model) -> Callable[..., Result]:
    """Runs the command, with the rows claimed by default."""

    def run(*arguments: str, adapter: str = "elsewhere", model: Path = tiny_model) -> Result:
        given = arguments or ("--rows=rows.jsonl", "--trainer=a TRL script")
        return CliRunner().invoke(app, ["adopt", adapter, f"--model={model}", *given])

    return run


def test_an_adapter_is_adopted_with_its_claims(place, adopt, tiny_model):
    before = place.tree()

    done = adopt()
    assert done.exit_code == 0, done.output
    assert f"names someone/tiny-chat as its base; it is adopted for {tiny_model}" in done.output
    record = training_record(Path("adapters/elsewhere"))
    assert record["adapter"] == adapter_digest(Path("elsewhere"))
    assert record["adoption"]["trainer"] == "a TRL script"
    assert record["adoption"]["named_base"] == "someone/tiny-chat"
    assert record["adoption"]["loss"]["rows"]["adapter"] < record["adoption"]["loss"]["rows"]["base"]
    assert record["rows"][0]["rows"] == 22
    assert record["grading"]["failed"] == 0
    assert "recipe" not in record
    config = json.loads(Path("adapters/elsewhere", CONFIG).read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (str(tiny_model), None)
    after = place.tree()
    assert {name: after[name] for name in before} == before, "the given folder was edited"
    new = {name for name in after.keys() - before.keys() if not name.endswith(".lock")}
    assert new == {"adapters", "adapters/elsewhere", *(f"adapters/elsewhere/{n}" for n in (CONFIG, WEIGHTS, TRAINING))}


def test_without_rows_the_record_says_so(place, adopt):
    done = adopt("--rows=none", "--reason=The vendor keeps them.")

    assert done.exit_code == 0, done.output
    assert "training data unknown: contamination not checked. The vendor keeps them." in done.output
    record = training_record(Path("adapters/elsewhere"))
    assert record["rows"] == []
    assert record["adoption"]["claim"] == "unknown"
    assert "decontamination" not in record


def test_a_declared_reward_is_in_the_record(place, adopt):
    done = adopt("--rows=none", "--reason=Made by samples.", "--reward=triage")

    assert done.exit_code == 0, done.output
    [reward] = training_record(Path("adapters/elsewhere"))["rewards"]
    assert (reward["unit"], reward["check"], reward["expectations"]) == ("desk/triage", "schema", True)


def test_a_declared_reward_names_a_unit(place, adopt):
    done = adopt("--rows=none", "--reason=Made by samples.", "--reward=nowhere")

    assert done.exit_code == 2
    assert "--reward nowhere: expected a unit of desk, found none; name one of triage" in done.output


def test_cases_that_rows_repeat_are_no_evidence_of_a_gain(place, adopt):
    copies = [{"input": f"message {case}", "output": '{"product": "boiler"}'} for case in "ab"]
    Path("rows.jsonl").write_text(place.read("rows.jsonl") + "".join(json.dumps(row) + "\n" for row in copies))

    done = adopt()
    assert done.exit_code == 0, done.output
    assert "2 rows that repeat fixtures: trained on" in done.output
    near = training_record(Path("adapters/elsewhere"))["decontamination"]["near"]
    assert [each["case"] for each in near] == ["desk/triage/a", "desk/triage/b"]


def test_what_cannot_be_left_out_any_more_is_named(place, adopt):
    rows = [
        {"input": "Where is it?", "output": "no JSON"},
        {"input": "Ring me on +49 170 1234567.", "output": '{"product": "boiler"}'},
        {"input": "Where is it?", "output": "no JSON"},
    ]
    Path("rows.jsonl").write_text(place.read("rows.jsonl") + "".join(json.dumps(row) + "\n" for row in rows))

    done = adopt()
    assert done.exit_code == 0, done.output
    assert "2 rows fail, and were trained on" in done.output
    assert "secrets and personal data in 1 row (1 phone number): trained on" in done.output
    assert training_record(Path("adapters/elsewhere"))["private_data"]["policy"] == "trained on"


def test_rows_that_it_learned_less_of_than_of_cases_are_doubted(place, adopt, tiny_model):
    write_unit(Path("fixtures"), list("abcdefghijkl"), prompt={"system": "Sort it."})
    place.evaluate(tiny_model, record=True)
    rows = [{"input": f"{n} bottles", "output": json.dumps({"wine": n * 7919 % 1000})} for n in range(30)]
    Path("others.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    for path in Path("baselines").rglob("diagnosis.json"):
        path.unlink()
    done = adopt("--rows=others.jsonl", "--override=a test")
    assert done.exit_code == 0, done.output
    assert "are a claim, which is doubted. The loss on 30 claimed rows went from " in done.output
    assert "that on 12 cases that no row comes near from " in done.output
    assert training_record(Path("adapters/elsewhere"))["adoption"]["claim"] == "doubted"


def test_a_diagnosis_or_a_dated_reason(place, adopt):
    for path in Path("baselines").rglob("diagnosis.json"):
        path.unlink()

    refused = adopt()
    assert refused.exit_code == 4
    assert "diagnosis.json, found none; run: tunegate diagnose desk" in refused.output
    assert "or add --override REASON" in refused.output
    done = adopt("--rows=rows.jsonl", "--override=It has been in service since May.")
    assert done.exit_code == 0, done.output
    record = training_record(Path("adapters/elsewhere"))
    assert record["diagnosis"]["digest"] is None
    assert record["diagnosis"]["override"] == "It has been in service since May."
    assert record["created"] >= "2026"


def test_the_base_needs_its_baseline(place, adopt):
    shutil.rmtree("baselines")

    refuses(place, adopt(), "desk/triage: expected a baseline at ")


def refuses(place: Place, done: Result, *said: str, code: int = 4) -> None:
    assert done.exit_code == code, done.output
    for text in said:
        assert text in done.output
    assert not Path("adapters/elsewhere").exists()
    assert not list(Path("adapters").glob(".*.adopting"))


def test_a_base_that_it_does_not_fit_is_refused(place, adopt, tiny_model, tmp_path):
    from transformers import AutoModelForCausalLM

    other = shutil.copytree(tiny_model, tmp_path / "other")
    model = AutoModelForCausalLM.from_pretrained(other)
    config = type(model.config)(**{**model.config.to_dict(), "hidden_size": 48})
    type(model)(config).save_pretrained(other)
    place.evaluate(other, record=True)

    done = adopt("--rows=rows.jsonl", "--override=a test", model=other)
    refuses(place, done, "adapter elsewhere: expected one that fits this base; PEFT says: ")
    assert ".adopting" not in done.output, "that folder is gone"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trainer=x"], "--rows: expected the rows that it was trained on, found none"),
        (["--rows=none"], "--rows none: expected a reason, found none; add --reason TEXT"),
        (["--rows=none", "--rows=rows.jsonl"], "--rows none: expected no file beside it"),
        (["--rows=rows.jsonl", "--reason=x"], "--reason: expected --rows none with it"),
        (["--rows=none", "--reason=x", "--report=r.json"], "--report: expected rows to report on"),
        (["--rows=rows.jsonl", "--override= "], "--override: expected a reason, found none"),
    ],
)
def test_claims_that_contradict_each_other(place, adopt, arguments, said):
    refuses(place, adopt(*arguments), said, code=2)


def test_what_is_no_lora_of_elsewhere_is_refused_by_name(place, adopt, trained):
    folder = Path("elsewhere")
    refuses(place, adopt(adapter="nowhere"), "nowhere: expected a LoRA of PEFT", "found no such folder")
    refuses(place, adopt(adapter=str(trained.path / "adapter")), "found one of tunegate train")
    refuses(place, adopt("--rows=rows.jsonl", "--output=elsewhere"), "which is never edited; name one with --output")
    refuses(place, adopt("--rows=rows.jsonl", "--output=fixtures"), "or an adapter that was adopted before")
    refuses(place, adopt(adapter="hub:owner/name"), "expected a revision", code=2)
    refuses(place, adopt("--rows=rows.jsonl", "--rung=few-shot"), "--rung few-shot: expected as-is or constrained")
    refuses(place, adopt("--rows=rows.jsonl", "--task=other"), "task 'other': expected one of desk")
    edit(folder / CONFIG, a_new_key=3)
    refuses(place, adopt(), "found a_new_key too, which it would leave out; pip install -U peft")
    edit(folder / CONFIG, a_new_key=None, init_lora_weights="pissa_niter_4")
    refuses(place, adopt(), "found 'pissa_niter_4', which alters the base's weights; convert it")
    edit(folder / CONFIG, init_lora_weights=True, layer_replication=[[0, 2], [0, 2]])
    refuses(place, adopt(), "layer_replication: expected none")
    edit(folder / CONFIG, layer_replication=None, alpha_pattern=5)
    refuses(place, adopt(), "elsewhere/adapter_config.json: alpha_pattern: expected names of modules, found 5")
    edit(folder / CONFIG, alpha_pattern={}, peft_type="IA3")
    refuses(place, adopt(), "peft_type: expected LORA, found IA3")
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    refuses(place, adopt(), "found adapter_model.bin, which may run code when loaded; save the adapter as safetensors")
    Path("run").mkdir()
    folder.rename("run/checkpoint-40")
    refuses(place, adopt(adapter="run"), "a folder of checkpoints; name the one that you mean: checkpoint-40")


def test_an_adapter_of_the_hub_is_recorded_with_its_commit(place, adopt, monkeypatch):
    asked, snapshot = [], Path("cache", "snapshots", "c0ffee")
    shutil.copytree("elsewhere", snapshot)

    def deliver(name: str, revision: str, **_: object) -> str:
        asked.append((name, revision))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", deliver)
    done = adopt("--rows=none", "--reason=No card.", adapter="hub:someone/tuned@v1")
    assert done.exit_code == 0, done.output
    assert asked == [("someone/tuned", "v1")]
    assert training_record(Path("adapters/tuned"))["adoption"]["origin"] == "hub:someone/tuned@c0ffee"


def test_a_template_of_its_own_is_named(place, adopt):
    Path("elsewhere/chat_template.jinja").write_text("{{ messages }}")

    done = adopt("--rows=none", "--reason=x")
    assert "the chat template in its folder is not that of the base" in done.output
    assert any("chat template" in note for note in training_record(Path("adapters/elsewhere"))["adoption"]["notes"])


def test_a_kill_at_the_end_leaves_the_old_one(place, adopt, monkeypatch):
    assert adopt("--rows=none", "--reason=first").exit_code == 0
    before = place.tree()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adopting, "replace_folder", killed)
    assert adopt().exit_code != 0
    assert {name: data for name, data in place.tree().items() if not name.endswith(".lock")} == {
        name: data for name, data in before.items() if not name.endswith(".lock")
    }
    monkeypatch.undo()


def test_the_gate_reads_it(place, adopt, tiny_model):
    assert adopt().exit_code == 0
    [record] = place.evaluate(tiny_model, adapters=(Path("adapters/elsewhere"),), against="baseline")

    assert record.adopted == training_record(Path("adapters/elsewhere"))["adoption"]["claim"]
    assert "Trained elsewhere: its training rows are a claim" in record.tasks["desk"].reason


def test_another_base_is_refused_at_the_gate(place, adopt, tiny_model, tmp_path):
    assert adopt().exit_code == 0
    other = shutil.copytree(tiny_model, tmp_path / "other")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(other)
    model.lm_head.weight.data += 0.01
    model.save_pretrained(other)
    place.evaluate(other, record=True)

    done = CliRunner().invoke(app, ["gate", f"--model={other}", "--adapter=adapters/elsewhere"])
    assert done.exit_code == 4
    assert "expected the base it was adopted for (" in done.output


def test_a_training_does_not_continue_it(place, adopt):
    assert adopt().exit_code == 0
    recipe = {key: value for key, value in json.loads(place.read("recipe.yaml")).items() if key != "lora"}
    Path("recipe.yaml").write_text(json.dumps(recipe | {"start": "adapters/elsewhere"}))

    done = place.train()
    assert done.exit_code == 4
    assert "found one trained elsewhere: its rows are only claimed" in done.output
