"""A full fine-tune or a merged folder: adopted for its base, gated, and refused where it is something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner, Result

from tests.support.kept import Kept
from tests.support.training import Place
from tunegate.harness.cli.main import app
from tunegate.harness.models.adapters import TRAINING, adapter_digest, training_record
from tunegate.harness.models.whole_model import is_whole_model

TUNED = "adapters/tuned"


def fine_tune(base: Path, rows: Path, folder: Path) -> None:
    """Train all weights of a model on rows, as anybody's loop does, and save it with its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    for row in map(json.loads, rows.read_text().splitlines() * 3):
        turns = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": row["input"]}]
        before = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        text = [*tokenizer(row["output"]).input_ids, tokenizer.eos_token_id]
        labels = [-100] * len(before) + text
        model(torch.tensor([before + text]), labels=torch.tensor([labels])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "optimizer.pt").write_bytes(b"a pickle")


@pytest.fixture(scope="session")
def tuned(kept: Kept, recorded, tiny_model) -> Path:
    """A full fine-tune of the tiny model on the rows of `recorded`; to be copied."""
    return kept("tuned", lambda folder: fine_tune(tiny_model, recorded.path / "rows.jsonl", folder))


@pytest.fixture
def place(recorded, tuned, tmp_path, monkeypatch) -> Place:
    """A place with a baseline, a diagnosis, rows, and `tuned`: a full fine-tune on these rows."""
    place = recorded.copy_to(tmp_path / "place")
    monkeypatch.chdir(place.path)
    shutil.copytree(tuned, "tuned")
    return place


@pytest.fixture
def adopt(place, tiny_model) -> Callable[..., Result]:
    """Runs the command, with the rows claimed by default."""

    def run(*arguments: str, folder: str = "tuned", model: Path = tiny_model) -> Result:
        given = arguments or ("--rows=rows.jsonl", "--trainer=a loop")
        return CliRunner().invoke(app, ["adopt", folder, f"--model={model}", *given])

    return run


def alter(folder: str, change: Callable[[torch.nn.Module], object]) -> None:
    """Save a model again with something changed."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    change(model)
    model.save_pretrained(folder)


def test_it_is_adopted_for_its_base(place, adopt, tiny_model):
    before = place.tree()

    done = adopt()
    assert done.exit_code == 0, done.output
    assert "note: it is a whole model, a full fine-tune or a merged folder" in done.output
    record = training_record(Path(TUNED))
    assert record["adapter"] == adapter_digest(Path(TUNED))
    assert record["adoption"]["whole"] is True
    loss = record["adoption"]["loss"]["rows"]
    assert loss["adapter"] < loss["base"]
    after = place.tree()
    assert {name: after[name] for name in before} == before, "the given folder was edited"
    assert not Path(TUNED, "optimizer.pt").exists()
    assert Path(TUNED, "tokenizer.json").read_bytes() == (tiny_model / "tokenizer.json").read_bytes()


def test_the_gate_evaluates_it_and_not_its_base(place, adopt, tiny_model):
    assert adopt().exit_code == 0

    [record] = place.evaluate(tiny_model, adapters=(Path(TUNED),), against="baseline")
    assert record.fingerprint["subject"]["adapter"] == adapter_digest(Path(TUNED))
    assert record.adopted == training_record(Path(TUNED))["adoption"]["claim"]
    [alone] = place.evaluate(Path("tuned"))
    assert {key: each.output for key, each in record.cases.items()} == {
        key: each.output for key, each in alone.cases.items()
    }
    [base] = place.evaluate(tiny_model)
    assert {each.output for each in base.cases.values()} != {each.output for each in record.cases.values()}


def test_weights_that_changed_since_block(place, adopt, tiny_model):
    assert adopt().exit_code == 0
    alter(TUNED, lambda model: model.lm_head.weight.data.add_(0.01))

    done = CliRunner().invoke(app, ["gate", f"--model={tiny_model}", f"--adapter={TUNED}"])
    assert done.exit_code == 4
    assert f"{TUNED}: expected the weights and settings that its training.json describes" in done.output
    assert "they changed; restore them" in done.output


def test_one_that_was_not_adopted_is_not_evaluated_as_a_tune(place, tiny_model):
    done = CliRunner().invoke(app, ["gate", f"--model={tiny_model}", "--adapter=tuned"])

    assert done.exit_code == 4
    assert "tuned: expected an adapter, or a whole model that was adopted for its base, found one" in done.output


def test_a_merged_adapter_in_half_precision_is_adopted(place, adopt, tiny_model, tiny_adapter):
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    PeftModel.from_pretrained(base, tiny_adapter).merge_and_unload().half().save_pretrained("merged")

    done = adopt("--rows=none", "--reason=x", folder="merged")
    assert done.exit_code == 0, done.output
    assert is_whole_model(Path("adapters/merged"))
    assert Path("adapters/merged/tokenizer.json").is_file(), "the base's tokenizer is not beside it"


def refuses(done: Result, said: str) -> None:
    assert done.exit_code == 4, done.output
    assert said in done.output
    assert not Path(TUNED).exists()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_base_itself_is_refused(place, adopt, tiny_model, dtype):
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=getattr(torch, dtype)).save_pretrained("tuned")

    refuses(adopt(), "found the same: nothing was tuned")


def test_another_model_of_the_same_shape_is_refused(place, adopt):
    def begin_anew(model: torch.nn.Module) -> None:
        torch.manual_seed(7)
        for weight in model.parameters():
            weight.data.normal_(0, 0.02)

    alter("tuned", begin_anew)
    refuses(adopt(), "expected a fine-tune of tiny, found the weights of another model: their cosine with")


def test_what_does_not_fit_the_base_is_refused_by_name(place, adopt, tiny_model):
    alter("tuned", lambda model: model.resize_token_embeddings(len(model.model.embed_tokens.weight) + 1))
    refuses(adopt(), "found model.embed_tokens.weight of (260, 32) where it has (259, 32)")


def test_another_setting_is_refused_by_name(place, adopt):
    path = Path("tuned/config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "rms_norm_eps": 0.1}))
    refuses(adopt(), "found that rms_norm_eps is 0.1 where 1e-06 was evaluated")


def test_weights_that_are_missing_or_broken_are_refused_by_name(place, adopt):
    from safetensors.torch import load_file, save_file

    path = Path("tuned/model.safetensors")
    weights = load_file(path)
    save_file({**weights, "lm_head.weight": weights["lm_head.weight"] * torch.nan}, path, {"format": "pt"})
    refuses(adopt(), "expected finite weights, found NaN or infinity in lm_head.weight")
    save_file({**weights, "extra.weight": torch.zeros(3)}, path, {"format": "pt"})
    refuses(adopt(), "found a file that has too extra.weight")
    save_file({name: each for name, each in weights.items() if name != "lm_head.weight"}, path, {"format": "pt"})
    refuses(adopt(), "found a file that lacks lm_head.weight")
    path.unlink()
    assert adopt().exit_code == 3


def test_another_tokenizer_is_refused(place, adopt):
    path = Path("tuned/tokenizer.json")
    settings = json.loads(path.read_text())
    vocabulary = settings["model"]["vocab"]
    vocabulary["!"], vocabulary["#"] = vocabulary["#"], vocabulary["!"]
    path.write_text(json.dumps(settings))
    refuses(adopt(), "expected the tokenizer of")


def test_one_of_the_hub_is_recorded_with_its_commit(place, adopt, monkeypatch):
    patterns, snapshot = [], Path("cache", "snapshots", "c0ffee")
    shutil.copytree("tuned", snapshot)

    def deliver(name: str, revision: str, allow_patterns: list[str]) -> str:
        patterns.append(allow_patterns)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", deliver)
    done = adopt("--rows=none", "--reason=No card.", folder="hub:someone/tuned@v1")
    assert done.exit_code == 0, done.output
    assert ["*.safetensors" in each for each in patterns] == [False, True], "weights before it is known to be a model"
    assert training_record(Path(TUNED))["adoption"]["origin"] == "hub:someone/tuned@c0ffee"


def test_its_record_is_its_own(place, adopt):
    shutil.copy("tuned/config.json", "tuned/training.json")
    assert adopt().exit_code == 4
    Path("tuned", TRAINING).unlink()
    assert adopt().exit_code == 0
