"""Preference training on the tiny model: what it compares, what it moves, what it starts from, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from functools import partial
from pathlib import Path

import pytest

from tests.support.training import PRODUCTS, Place, refuses, train_in
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import stamped
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import adapter_digest, load_adapter
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.probe import PROBE
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.rows.examples import Example
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.data.preference import Data, check_pairs, tokenize_for
from tunegate.trainers.data.writer import writer_of
from tunegate.trainers.training.estimate import Estimate
from tunegate.trainers.training.trainers import build_trainer, quiet_libraries

BETA = 0.3
DPO = {
    "method": "dpo", "dpo": {"beta": BETA}, "start": "adapter", "output": "better", "rows": ["pairs.jsonl"],
    "optim": {"lr": 5e-3, "epochs": 2, "batch": 4},
}  # fmt: skip


def prefer(place: Place) -> None:
    """Turn a place's recipe into one of preferences: the same tickets, answered in JSON or, rejected, in words."""
    rows = [json.loads(line) for line in place.read("rows.jsonl").splitlines()]
    worse = [{**row, "rejected": f"It is the {PRODUCTS[number % 2]}."} for number, row in enumerate(rows)]
    (place.path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in worse))
    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["lora"]
    (place.path / "recipe.yaml").write_text(json.dumps({**recipe, **DPO}))


@pytest.fixture(scope="module")
def preferred(trained, tmp_path_factory) -> Place:
    """A place with an adapter by sft, one by dpo that went on from it, and what the second training said."""
    place = Place(shutil.copytree(trained.path, tmp_path_factory.mktemp("preferred") / "place"))
    prefer(place)
    return train_in(place)


@pytest.fixture
def place(preferred, tmp_path, monkeypatch) -> Place:
    """Such a place of the test's own, as working directory."""
    shutil.copytree(preferred.path, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return Place(tmp_path / "place")


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return load_tokenizer(tiny_model)


# the training


def test_it_is_one_plain_adapter_that_the_suites_take(place, tiny_model):
    better = place.path / "better"

    assert {path.name for path in better.iterdir()} == {
        "adapter_model.safetensors", "adapter_config.json", "training.json",
    }  # fmt: skip
    (record,) = place.evaluate(tiny_model, adapters=(better,), against="baseline")
    assert record.fingerprint["subject"]["adapter"] == adapter_digest(better)


def test_the_record_tells_what_it_went_on_from(preferred):
    record, first = (json.loads(preferred.read(f"{name}/training.json")) for name in ("better", "adapter"))

    assert record["start"] == {name: first[name] for name in ("adapter", "task", "recipe", "rows", "memorization")} | {
        "start": None
    }
    assert record["recipe"]["start"] == adapter_digest(preferred.path / "adapter")
    assert record["recipe"]["lora"] == first["recipe"]["lora"]
    assert (record["recipe"]["method"], record["recipe"]["dpo"]) == ("dpo", {"beta": BETA})
    assert {"whole", "answer", "rejected"} == set(record["grading"]["tokens"])


def test_the_loss_begins_at_that_of_the_start_itself_and_falls(preferred):
    training = json.loads(preferred.read("better/training.json"))["training"]

    assert training["first_loss"] == pytest.approx(0.693, abs=0.03)  # ln 2: nothing is preferred yet
    assert training["last_loss"] < training["first_loss"] - 0.05
    assert training["last_margin"] > 0.1
    assert training["last_accuracy"] > 0.9


def test_progress_shows_the_margin_and_how_often_it_is_right():
    from types import SimpleNamespace

    from tunegate.trainers.training.loop import _progress

    state = SimpleNamespace(log_history=[], global_step=0)
    told: list[str] = []
    progress = _progress(lambda _, words="": told.append(words))
    for step in (1, 2):
        state.log_history.append(
            {"loss": 0.5 / step, "num_tokens": 100, "rewards/margins": 0.1 * step, "rewards/accuracies": step / 2}
        )
        progress.on_log(None, state, None)

    assert re.fullmatch(r"loss 0\.375, margin 0\.15, 75% right, \d+ tokens/s", told[1])


def preferences(place: Place) -> list[Example]:
    """Its rows, without the guards."""
    rows = [json.loads(line) for line in place.read("pairs.jsonl").splitlines()]
    return [
        Example((("system", "Sort it."), ("user", row["input"])), row["input"], row["output"], "pairs.jsonl", line,
            rejected=row["rejected"])
        for line, row in enumerate(rows, start=1)
    ]  # fmt: skip


def log_probability(model, row) -> float:
    """Of a row's answer, a second way: one row at a time, by the whole vocabulary's log-softmax."""
    import torch

    with torch.inference_mode():
        ids = torch.tensor([row.input_ids])
        every = model(ids).logits[0, :-1].log_softmax(-1)
    taken = every[range(len(every)), ids[0, 1:]]
    return float(sum(value for value, mask in zip(taken, row.completion_mask[1:], strict=True) if mask))


def margins(model, data: Data) -> list[float]:
    return [log_probability(model, pair.chosen) - log_probability(model, pair.rejected) for pair in data]


def test_what_is_preferred_becomes_more_likely_against_what_is_rejected(preferred, tiny_model, tokenizer):
    data = tokenize_for(preferences(preferred), writer_of(tokenizer), read_recipe(preferred.path / "recipe.yaml"))
    probe = tokenizer(PROBE, return_tensors="pt").input_ids

    before, after = (
        margins(load_adapter(load_base(tiny_model), preferred.path / name, probe), data)
        for name in ("adapter", "better")
    )

    grown = [late - early for early, late in zip(before, after, strict=True)]
    assert min(grown) > 0
    told = json.loads(preferred.read("better/training.json"))["training"]["last_margin"]
    assert BETA * sum(grown) / len(grown) == pytest.approx(told, abs=0.3 * told)  # told before the last steps were done


@pytest.mark.parametrize("start", ["adapter", None], ids=["start", "base"])
def test_the_loss_is_that_of_the_paper_and_its_reference_is_the_start(place, tiny_model, tokenizer, start):
    import torch

    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["start"]
    (place.path / "recipe.yaml").write_text(json.dumps({**recipe, **({"start": start} if start else {})}))
    read = read_recipe(Path("recipe.yaml"))
    data = tokenize_for(preferences(place)[:4], writer_of(tokenizer), read)
    with quiet_libraries():
        trainer = build_trainer(read, tiny_model, data, place.path / "work", quiet())
    torch.manual_seed(1)
    with torch.no_grad():  # away from the reference, where every loss is ln 2
        for name, weight in trainer.model.named_parameters():
            if weight.requires_grad:
                assert ".default." in name
                weight.add_(0.1 * torch.randn_like(weight))
    (batch,) = trainer.get_train_dataloader()

    loss = trainer.compute_loss(trainer.model, batch).item()

    bare = load_base(tiny_model)
    probe = tokenizer(PROBE, return_tensors="pt").input_ids
    reference = load_adapter(bare, place.path / start, probe) if start else bare
    trainer.model.eval()
    pairs = list(zip(margins(trainer.model, data), margins(reference, data), strict=True))
    own = [float(torch.nn.functional.softplus(torch.tensor(-BETA * (mine - theirs)))) for mine, theirs in pairs]
    assert loss == pytest.approx(sum(own) / len(own), rel=1e-4)
    assert abs(loss - 0.6931) > 0.01


# the dry run


def test_a_checkpoint_holds_the_reference_too():
    cost = Estimate(steps=9, tokens=900, tokens_per_second=9, memory=0, adapter=10, reference=10, free=0)

    assert cost.disk == 3 * (3 * 10 + 10) + 10  # three at most, each with both moments, and then the adapter


def test_a_dry_run_counts_the_tokens_of_both_answers(place):
    before = place.tree()

    result = place.train("--dry-run")

    assert result.exit_code == 0, result.output
    tokens = [
        re.findall(rf"tokens per row: .*?{name} output: (\d+) to (\d+)", result.output) for name in ("per", "rejected")
    ]
    assert all(tokens)
    assert re.search(r"  time: \S+ \w+ for 12 steps \(7,\d{3} tokens at \d+/s\)\n", result.output)
    assert result.output.endswith("dry run: nothing was trained\n")
    assert place.tree() == before


# the probe


@pytest.fixture
def data(preferred, tokenizer) -> Data:
    return tokenize_for(preferences(preferred)[:3], writer_of(tokenizer), read_recipe(preferred.path / "recipe.yaml"))


def batch_of(pairs, max_length=None):
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    return DataCollatorForPreference(pad_token_id=2, max_length=max_length)([pair.columns() for pair in pairs])


def test_both_answers_end_their_turn_after_the_prompt_that_the_suites_send(data, tokenizer):
    from tunegate.harness.cases.model import Decoding
    from tunegate.harness.models.api import Request
    from tunegate.harness.models.tokenizer import render_prompt

    asked = Request("a", (("system", "Sort it."), ("user", "Ticket 0, please help.")), Decoding())
    sent = tokenizer(render_prompt(tokenizer, asked), add_special_tokens=False).input_ids
    whole = [row.input_ids for row in (data[0].chosen, data[0].rejected)]
    texts = ['{"product": "boiler"}', "It is the boiler."]
    assert whole == [[*sent, *tokenizer(text).input_ids, tokenizer.eos_token_id] for text in texts]
    assert data[0].length == sum(map(len, whole))


def test_a_batch_must_hold_each_pair_whole_and_together(data):
    import torch

    check_pairs(batch_of(data), data)

    longest = max(max(len(pair.chosen.input_ids), len(pair.rejected.input_ids)) for pair in data)
    with pytest.raises(Refused, match=r"template probe: a training batch holds \d+ of a row's \d+ tokens"):
        check_pairs(batch_of(data, longest - 1), data)
    crossed = {name: torch.cat([each[:3], each[3:].roll(1, 0)]) for name, each in batch_of(data).items()}
    with pytest.raises(Refused, match="template probe: a batch compares the outputs of two rows"):
        check_pairs(crossed, data)
    turned = [type(data[0])(pair.rejected, pair.chosen) for pair in data]
    with pytest.raises(Refused, match="template probe: the tokens of a training batch differ from those of its row"):
        check_pairs(batch_of(turned), data)


def test_a_batch_must_train_both_ends_of_turn(data):
    for half in (0, 1):
        batch = batch_of(data)
        row = half * len(data)
        batch["completion_mask"][row][batch["attention_mask"][row].sum() - 1] = 0

        with pytest.raises(Refused, match="template probe: the end-of-turn token has no loss"):
            check_pairs(batch, data)


# the guards


def test_every_row_needs_a_rejected_answer(place):
    place.recipe(rows=["pairs.jsonl", "rows.jsonl"])
    before = place.tree()

    result = place.train()

    assert result.exit_code == 4
    told = "rows.jsonl:1: expected a `rejected` output, since method dpo compares two, found none; write a worse"
    assert told in result.output
    assert "(and 21 more like it: lines 2, 3, 4, ...)" in result.output
    assert place.tree() == before


def test_sft_leaves_rejected_answers_aside_and_says_so(place):
    place.recipe(method="sft", optim={"lr": 1e-3, "epochs": 1})
    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["dpo"]
    (place.path / "recipe.yaml").write_text(json.dumps(recipe))

    result = place.train()

    assert result.exit_code == 0, result.output
    assert "  rejected outputs: 22, ignored by method sft\n" in result.output
    record = json.loads(place.read("better/training.json"))
    assert record["grading"]["tokens"]["rejected"] is None
    assert record["start"]["adapter"] == adapter_digest(place.path / "adapter")
    assert adapter_digest(place.path / "better") != record["start"]["adapter"]


def test_dpo_without_a_start_trains_a_new_adapter(place):
    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["start"]
    (place.path / "recipe.yaml").write_text(
        json.dumps({**recipe, "lora": {"r": 2}, "optim": {"lr": 0.01, "epochs": 1}})
    )

    result = place.train()

    assert result.exit_code == 0, result.output
    assert json.loads(place.read("better/adapter_config.json"))["r"] == 2
    assert "start" not in json.loads(place.read("better/training.json"))


def edit_weights(adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, adapter / "adapter_model.safetensors")


def forget(adapter: Path) -> None:
    (adapter / "training.json").unlink()


def rebase(adapter: Path, part: str) -> None:
    """Say that it was trained on another model."""
    record = json.loads((adapter / "training.json").read_text())
    record.pop("digest")
    record["model"][part] = "0" * 64
    (adapter / "training.json").write_text(json.dumps(stamped(record)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "adapter adapter: expected adapter_config.json and adapter_model.safetensors, found no such"),
        (forget, "start: adapter: expected training.json, found none: its training rows are unknown"),
        (edit_weights, "start: adapter: expected the adapter that its training.json describes"),
        (partial(rebase, part="base"), "adapter adapter: expected the base it was trained on (00000000), found"),
        (
            partial(rebase, part="template"),
            "adapter adapter: expected the template it was trained on (00000000), found",
        ),
    ],
    ids=["missing", "unknown", "edited", "other base", "other template"],
)
def test_a_start_that_is_not_what_it_should_be_is_refused(place, spoil, said):
    spoil(place.path / "adapter")

    refuses(place, said)


def test_a_start_that_would_be_replaced_is_refused(place):
    place.recipe(output="adapter")

    refuses(place, "recipe.yaml: output: expected a folder other than that of `start`")


def test_a_start_that_changes_after_it_was_checked_is_refused(place, tiny_model, tokenizer):
    read = read_recipe(Path("recipe.yaml"))
    data = tokenize_for(preferences(place)[:4], writer_of(tokenizer), read)
    edit_weights(place.path / "adapter")

    with pytest.raises(Refused, match=r"start: adapter: expected the adapter that its training\.json describes"):
        build_trainer(read, tiny_model, data, place.path / "work", quiet())


def test_nothing_is_looked_for_on_a_hub_when_a_start_of_a_named_base_is_saved(place, tiny_model, tokenizer):
    config = Path("adapter/adapter_config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": "smollm2"}))
    read = read_recipe(Path("recipe.yaml"))
    data = tokenize_for(preferences(place)[:4], writer_of(tokenizer), read)
    with quiet_libraries():
        trainer = build_trainer(read, tiny_model, data, place.path / "work", quiet())

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer.model.save_pretrained("saved")

    assert [
        str(each.message) for each in told if "config file" in str(each.message) or "fetch" in str(each.message)
    ] == []


def test_the_shape_of_the_start_is_shown_as_effective(place):
    said = [re.sub(" {2,}", "  ", line) for line in place.train("--dry-run").output.splitlines()]

    digest = adapter_digest(place.path / "adapter")
    assert f"  start  {digest}  an adapter to continue from, relative to the recipe; its shape is kept" in said
    assert "  lora.r  4  rank: the size of the adapter" in said
    assert f"  dpo.beta  {BETA}  how strongly the model is kept close to its starting policy" in said


# the resume


def test_a_kill_changes_no_bit_and_the_reference_is_still_the_start(place, tmp_path):
    from tests.support.killed import Killed, same

    place.recipe(optim={**DPO["optim"], "epochs": 6, "checkpoint_steps": 6})
    cut = Killed(shutil.copytree(place.path, tmp_path / "cut"), ".better.training")
    whole = Killed(place.path, ".better.training")

    cut.kill(18, 0)
    said = cut.finish()
    assert "resuming" not in whole.finish()

    assert re.search(r"resuming at step (6|12|18) of 36\n", said)
    assert same(cut.path / "better", whole.path / "better")
    records = [json.loads(each.read("better/training.json"))["training"] for each in (cut, whole)]
    assert records[0]["last_margin"] == records[1]["last_margin"]


def test_another_start_is_another_training(place):
    read = read_recipe(Path("recipe.yaml"))
    place.recipe(start="better", output="best")

    assert read_recipe(Path("recipe.yaml")).deciding() != read.deciding()
