"""The memory that a training needs is estimated before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.model_options import ModelOptions
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import Lora, Optim
from tunegate.trainers.data.tokenize import Tokens
from tunegate.trainers.training.memory_use import check_training_memory, training_memory
from tunegate.trainers.training.trainers import build_trainer, precision

ROWS = [Tokens([3] * 10, [0] * 8 + [1] * 2), Tokens([3] * 40, [0] * 8 + [1] * 32)]


def recipe(**more) -> Recipe:
    return Recipe(Path("recipe.yaml"), "desk", (), Path("out"), optim=Optim(batch=2), **more)


def parts(tiny_model, given=None, rows=ROWS, **more) -> list[float]:
    found = training_memory(
        given or recipe(), tiny_model, rows, **{"weights": "float32", "products": "bfloat16", **more}
    )
    return [size for size, _ in found]


def trainer(tiny_model, tmp_path, dtype="auto", **more):
    return build_trainer(recipe(opened=ModelOptions(dtype=dtype), **more), tiny_model, ROWS, tmp_path, quiet())


@pytest.mark.parametrize("target", ["all-linear", ["q_proj", "down_proj"]])
def test_weights_and_adapter_are_those_of_the_model_in_training(tiny_model, tmp_path, target):
    lora = Lora(r=3, target=target)
    model = trainer(tiny_model, tmp_path, lora=lora).model
    weights, _, adapter, *_ = parts(tiny_model, recipe(lora=lora))

    assert adapter == 16 * sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert weights == 4 * sum(each.numel() for each in model.parameters() if not each.requires_grad)


def test_bfloat16_halves_the_weights_and_needs_no_copies(tiny_model):
    single, half = (parts(tiny_model, weights=dtype) for dtype in ("float32", "bfloat16"))

    assert half[0] == single[0] / 2
    assert (half[1], single[1] > 0) == (0, True)
    assert half[2:] == single[2:]


def test_activations_grow_with_the_longest_row_and_the_rows_of_a_process(tiny_model):
    assert parts(tiny_model, rows=ROWS[:1])[3] == parts(tiny_model)[3] / 4
    assert parts(tiny_model, processes=2)[3] == parts(tiny_model)[3] / 2
    assert parts(tiny_model, products="float32")[3] > parts(tiny_model)[3]


@pytest.mark.parametrize(("weights", "less"), [("float32", "--dtype bfloat16, "), ("bfloat16", "")])
def test_what_does_not_fit_is_refused_with_what_needs_less(tiny_model, weights, less):
    needs = sum(parts(tiny_model, weights=weights))
    said = (
        r"recipe\.yaml: training: expected 0\.1 GB of free memory \(\S+ of weights in \w+.*, \S+ of adapter and "
        r"optimizer, \S+ of activations for 2 rows of up to 40 tokens, .*\), found 0\.1 GB; "
        rf"use {less}a smaller optim\.batch"
    )

    check_training_memory(recipe(), tiny_model, ROWS, weights, "bfloat16", free=int(needs) + 1)
    with pytest.raises(CouldNotRun, match=said):
        check_training_memory(recipe(), tiny_model, ROWS, weights, "bfloat16", free=int(needs) - 1)


def test_it_is_refused_before_the_model_is_loaded(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1_000_000}))
    monkeypatch.setattr("tunegate.trainers.training.trainers.load_base", lambda *_: pytest.fail("it was loaded"))

    with pytest.raises(CouldNotRun, match=r"recipe\.yaml: training: expected"):
        trainer(tiny_model, tmp_path)


@pytest.mark.parametrize(("dtype", "weights"), [
    ("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16"), ("float16", "float32"),
])  # fmt: skip
def test_the_base_is_trained_in_bfloat16_where_asked_and_the_adapter_in_float32(tiny_model, tmp_path, dtype, weights):
    built = trainer(tiny_model, tmp_path, dtype)
    types = {each.requires_grad: str(each.dtype) for each in built.model.parameters()}

    assert types == {False: f"torch.{weights}", True: "torch.float32"}
    assert built.args.bf16 == (precision() == "bfloat16")
