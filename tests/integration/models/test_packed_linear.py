"""Packed layers compute what plain ones do, and never from a weight that has changed since."""

from __future__ import annotations

import platform
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.harness.core.progress import quiet
from tunegate.harness.models.local.huggingface import Base, load_base
from tunegate.harness.models.local.packed_linear import MACHINES, pack, unpack
from tunegate.harness.models.local.placement import Placement
from tunegate.harness.models.model_options import ModelOptions

pytestmark = pytest.mark.skipif(platform.machine() not in MACHINES, reason="packed on x86 only")
ENOUGH = 1e12


def kinds(model: Any) -> set[str]:
    return {type(each).__name__ for each in model.modules() if isinstance(each, torch.nn.Linear)}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_it_gives_what_a_plain_layer_gives(dtype: str, rows: int) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(96, 130).to(getattr(torch, dtype))
    given = torch.randn(rows, 3, 96).to(layer.weight.dtype)
    with torch.inference_mode():
        plain = layer(given)
        pack(layer, ENOUGH)
        packed = layer(given)
    assert kinds(layer) == {"PackedLinear"}
    assert torch.allclose(plain, packed, atol=1e-5 if dtype == "float32" else 1e-2)


def test_a_model_is_packed_where_it_is_loaded(tiny_model: Path) -> None:
    packed = Base(str(tiny_model), quiet(), ModelOptions(device="cpu")).with_adapter(None)
    assert kinds(packed) == {"PackedLinear"}
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        assert torch.allclose(packed(ids).logits, load_base(tiny_model)(ids).logits, atol=1e-5)


def test_without_memory_for_a_copy_nothing_is_packed() -> None:
    layer = torch.nn.Linear(96, 130)
    pack(layer, layer.weight.nbytes)
    assert kinds(layer) == {"Linear"}


def evaluated(folder: Path) -> Any:
    model = Base(str(folder), quiet(), ModelOptions(device="cpu", dtype="bfloat16")).with_adapter(None)
    unpack(model)  # as without memory for a copy
    return model


def trained(folder: Path) -> Any:
    return load_base(folder, Placement(dtype="bfloat16"))


@pytest.mark.parametrize("loaded", [evaluated, trained])
def test_the_head_reads_no_slice(tiny_model: Path, loaded: Callable[[Path], Any]) -> None:
    model = loaded(tiny_model)
    read: list[bool] = []
    model.get_output_embeddings().register_forward_hook(lambda _, given, __: read.append(given[0].is_contiguous()))
    with torch.inference_mode():
        model(torch.tensor([[5, 6, 7], [8, 9, 10]]), logits_to_keep=1)
    assert read == [True]


def test_a_copy_that_is_changed_computes_with_its_own_weight() -> None:
    layer = torch.nn.Linear(8, 8)
    pack(layer, ENOUGH)
    changed, given = deepcopy(layer), torch.ones(1, 8)
    with torch.inference_mode():
        changed.weight.data.zero_()
        assert torch.equal(changed(given), changed.bias[None])
        assert not torch.equal(layer(given), layer.bias[None])


def test_a_replaced_weight_counts() -> None:
    layer, given = torch.nn.Linear(8, 8), torch.ones(1, 8)
    pack(layer, ENOUGH)
    layer.weight.data = torch.zeros(8, 8)
    with torch.inference_mode():
        assert torch.equal(layer(given), layer.bias[None])


def test_gradients_flow() -> None:
    layer = torch.nn.Linear(8, 8)
    pack(layer, ENOUGH)
    layer(torch.ones(1, 8)).sum().backward()
    assert layer.weight.grad is not None


def test_an_unpacked_layer_may_be_changed_in_place() -> None:
    layer, given = torch.nn.Linear(8, 8), torch.ones(1, 8)
    pack(layer, ENOUGH)
    unpack(layer)
    with torch.inference_mode():
        layer.weight.data.zero_()
        assert kinds(layer) == {"Linear"}
        assert torch.equal(layer(given), layer.bias[None])
