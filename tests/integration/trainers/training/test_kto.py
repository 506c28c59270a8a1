"""Training on answers that are liked or not, on the tiny model: what it compares, what it moves, what it refuses."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import pytest

from tests.integration.trainers.training.test_preference import (
    log_probability,
    margins,
    prefer,
    preferences,
    tokenizer,  # noqa: F401  (a fixture)
)
from tests.support.training import Place, refuses, train_in
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import load_adapter
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.probe import PROBE
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.data.preference import LabelledExample, check_labelled, tokenize_for, unpaired
from tunegate.trainers.data.writer import writer_of
from tunegate.trainers.training.trainers import build_trainer, quiet_libraries

BETA = 0.3
KTO = {"method": "kto", "kto": {"beta": BETA}, "optim": {"lr": 5e-3, "epochs": 2, "batch": 4}}


@pytest.fixture(scope="module")
def judged(trained, tmp_path_factory) -> Place:
    """A place with an adapter by sft, and one by kto that went on from it: half of the rows have a rejected answer."""
    place = Place(shutil.copytree(trained.path, tmp_path_factory.mktemp("judged") / "place"))
    prefer(place)
    rows = [json.loads(line) for line in place.read("pairs.jsonl").splitlines()]
    for row in rows[::2]:
        del row["rejected"]
    (place.path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = json.loads(place.read("recipe.yaml"))
    del recipe["dpo"]
    (place.path / "recipe.yaml").write_text(json.dumps({**recipe, **KTO}))
    return train_in(place)


@pytest.fixture
def place(judged, tmp_path, monkeypatch) -> Place:
    """Such a place of the test's own, as working directory."""
    shutil.copytree(judged.path, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return Place(tmp_path / "place")


def pairs(place):
    """Its rows with two answers, without the guards."""
    lines = [json.loads(line) for line in place.read("pairs.jsonl").splitlines()]
    (place.path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines if "rejected" in row))
    return preferences(place)


def test_each_answer_counts_by_itself_and_the_liked_ones_become_more_likely(judged, tiny_model, tokenizer, tmp_path):  # noqa: F811
    record = json.loads(judged.read("better/training.json"))
    assert (record["recipe"]["method"], record["recipe"]["kto"]) == ("kto", {"beta": BETA})
    assert record["training"]["steps"] == 18  # 22 liked and 11 that are not, four a step, twice
    assert record["training"]["first_loss"] == pytest.approx(0.5, abs=0.03)  # nothing is liked yet
    assert record["training"]["last_loss"] < record["training"]["first_loss"] - 0.005

    copy = judged.copy_to(tmp_path / "copy")
    data = tokenize_for(pairs(copy), writer_of(tokenizer), read_recipe(copy.path / "recipe.yaml"))
    probe = tokenizer(PROBE, return_tensors="pt").input_ids
    before, after = (
        margins(load_adapter(load_base(tiny_model), judged.path / name, probe), data) for name in ("adapter", "better")
    )
    assert min(late - early for early, late in zip(before, after, strict=True)) > 0


def test_the_loss_is_that_of_the_paper(place, tiny_model, tokenizer):  # noqa: F811
    import torch

    read = read_recipe(place.path / "recipe.yaml")
    data = unpaired(tokenize_for(pairs(place)[:2], writer_of(tokenizer), read), read)
    with quiet_libraries():
        trainer = build_trainer(read, tiny_model, data, place.path / "work", quiet())
    torch.manual_seed(1)
    with torch.no_grad():  # away from the reference, where every loss is a half
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
    (batch,) = trainer.get_train_dataloader()

    loss = trainer.compute_loss(trainer.model, batch).item()

    trainer.model.eval()
    reference = load_adapter(
        load_base(tiny_model), place.path / "adapter", tokenizer(PROBE, return_tensors="pt").input_ids
    )
    rows = [each.tokens for each in data]
    moved = [log_probability(trainer.model, row) - log_probability(reference, row) for row in rows]
    crossed = [
        crossing(late, early) for early, late in pairwise([rows[-1], *rows])
    ]  # with the answer to the one before
    apart = [log_probability(trainer.model, row) - log_probability(reference, row) for row in crossed]
    divergence = max(0.0, sum(apart) / len(apart))
    signs = [1 if each.liked else -1 for each in data]
    own = [1 - sigmoid(BETA * sign * (each - divergence)) for each, sign in zip(moved, signs, strict=True)]
    assert loss == pytest.approx(sum(own) / len(own), rel=1e-4)
    assert abs(loss - 0.5) > 0.001


def sigmoid(x):
    import torch

    return float(torch.sigmoid(torch.tensor(x)))


def crossing(row, other):
    """A prompt with the answer to another one."""
    answer = [*other.output]
    return type(row)([*row.prompt, *answer], [0] * len(row.prompt) + [1] * len(answer))


def test_a_batch_must_hold_each_answer_whole_and_as_its_row_likes_it(place, tokenizer):  # noqa: F811
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    read = read_recipe(place.path / "recipe.yaml")
    data = unpaired(tokenize_for(pairs(place)[:2], writer_of(tokenizer), read), read)
    collate = DataCollatorForUnpairedPreference(pad_token_id=2)

    check_labelled(collate([each.columns() for each in data]), data)

    turned = [LabelledExample(each.tokens, not each.liked) for each in data]
    with pytest.raises(Refused, match="a disliked output is labelled as liked, or the other way round"):
        check_labelled(collate([each.columns() for each in turned]), data)
    with pytest.raises(Refused, match=r"template probe: a training batch holds \d+ of a row's \d+ tokens"):
        check_labelled(DataCollatorForUnpairedPreference(2, max_length=70)([data[0].columns()]), data)


def test_a_dry_run_and_rows_put_aside_go_with_it(place):
    place.recipe(optim={**KTO["optim"], "epochs": 1, "validation_split": 0.2})

    assert place.train("--dry-run").exit_code == 0
    done = place.train()
    assert done.exit_code == 0, done.output
    assert "the adapter of step" in done.output


def test_without_any_rejected_answer_there_is_nothing_to_learn(place):
    place.recipe(rows=["rows.jsonl"])
    before = place.tree()
    refused = place.train()

    assert refused.exit_code == 4
    assert (
        "rows.jsonl:1: expected a `rejected` output, or a `label: false`, in at least one row with method kto, found "
        "none" in refused.output
    )
    assert place.tree() == before


def test_one_answer_a_step_is_refused(place):
    place.recipe(optim={"batch": 1})

    refuses(place, "optim.batch: expected at least 2 rows per step with method: kto, found 1")
