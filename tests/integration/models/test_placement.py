"""Where a model is computed and in which precision: what `auto` comes to, what is refused, what a record says of it."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.integration.models.test_huggingface import answers, requests
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.local import placement
from tunegate.harness.models.local.huggingface import Local, engine, load_base
from tunegate.harness.models.local.placement import (
    Placement,
    choose_gpus,
    hide_other_gpus,
    load_placed,
    place,
)
from tunegate.harness.models.memory import loaded_size, stored_dtype, stored_tensors
from tunegate.harness.models.model_options import ModelOptions

HAS_BF16 = {"avx512_bf16": True}


@pytest.fixture(scope="module")
def half(tiny_model, tmp_path_factory) -> Path:
    """The tiny model with its weights in bfloat16."""
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("half") / "model")
    weights = {name: weight.bfloat16() for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture
def cpu_can(monkeypatch):
    """Says what the CPU multiplies natively."""
    return lambda **can: monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)


@pytest.fixture
def has_gpu(monkeypatch, tmp_path):
    """A machine with NVIDIA GPUs, as far as torch tells: whether they multiply bfloat16, and what each has free."""

    def has(bfloat16: bool, *free: float) -> None:
        (tmp_path / "nvidiactl").touch()
        monkeypatch.setattr(placement, "ACCELERATORS", (str(tmp_path / "nvidiactl"),))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (int(free[gpu]), 80 * 10**9))

    return has


def weights(folder: Path) -> list[Path]:
    return [folder / "model.safetensors"]


# what auto comes to


@pytest.mark.parametrize("can", [{}, HAS_BF16])
def test_float32_weights_stay_float32_on_every_cpu(tiny_model, cpu_can, can):
    cpu_can(**can)
    assert place(ModelOptions(), weights(tiny_model)) == Placement("cpu", "float32")


@pytest.mark.parametrize(("can", "dtype"), [({}, "float32"), (HAS_BF16, "bfloat16"), ({"amx_bf16": 1}, "bfloat16")])
def test_bfloat16_weights_stay_so_where_the_cpu_multiplies_them(half, cpu_can, can, dtype):
    cpu_can(**can)
    assert place(ModelOptions(), weights(half)) == Placement("cpu", dtype)


@pytest.mark.parametrize(("able", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_comes_before_the_cpu(half, has_gpu, able, dtype):
    has_gpu(able)
    assert place(ModelOptions(), weights(half)) == Placement("cuda", dtype)
    assert place(ModelOptions("cpu", "float16"), weights(half)) == Placement("cpu", "float16")


def test_most_weights_decide_whatever_a_few_are_stored_in(half, tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(9).half(), "b": torch.zeros(3)}, tmp_path / "a.safetensors")
    save_file({"a": torch.zeros(9, dtype=torch.int8)}, tmp_path / "b.safetensors")

    assert stored_dtype([tmp_path / "a.safetensors"]) == "float16"
    assert stored_dtype([tmp_path / "b.safetensors"]) == "float32"
    assert stored_dtype([tmp_path / "model.safetensors.index.json"]) == "float32"


# what is refused


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_an_outage(tiny_model, device):
    model = Local(str(tiny_model), quiet(), options=ModelOptions(device))

    with pytest.raises(CouldNotRun, match=f"--tg-device {device}: expected such a device and a torch built"):
        _ = model.fingerprint


def test_what_does_not_fit_on_the_gpus_is_not_computed_elsewhere_unseen():
    asked = []

    def load(**given: object) -> SimpleNamespace:
        asked.append(given)
        return SimpleNamespace(hf_device_map={"model.layers.0": 0, "model.layers.1": "disk"}, name_or_path="big")

    with pytest.raises(CouldNotRun, match=r"big: expected room for the whole model on 0 GPUs, found none for 1 of its"):
        load_placed(partial(load), Placement("cuda", "bfloat16"), (0, 1))
    assert asked == [{"dtype": torch.bfloat16, "device_map": "auto"}]


# several GPUs

GIGA = 10**9


def test_a_gpu_is_named_by_its_number_and_recorded_without(tiny_model, has_gpu):
    has_gpu(True, GIGA, GIGA)
    placed = place(ModelOptions("cuda:1"), weights(tiny_model))

    assert placed == Placement("cuda", "float32", gpu=1)
    assert engine(placed) == engine(Placement("cuda", "float32")), "the number is another on another machine"
    assert engine(placed)["token_budget"] == "by memory"


@pytest.mark.parametrize(
    ("device", "found"),
    [("cuda:2", 2), ("cuda:16", 2)],
)
def test_a_gpu_that_is_not_there_could_not_run(tiny_model, has_gpu, device, found):
    has_gpu(True, GIGA, GIGA)
    with pytest.raises(
        CouldNotRun, match=f"--tg-device {device}: expected a GPU of that number, counted from 0, found {found} that"
    ):
        place(ModelOptions(device), weights(tiny_model))


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda:01", "cuda:-1", "cpu:0", "CUDA", "", "cuda:100"])
def test_a_device_that_cannot_be_is_refused(device):
    with pytest.raises(Refused, match="--tg-device: expected auto, cpu, cuda, cuda:N or mps, found"):
        ModelOptions(device)


@pytest.mark.parametrize(
    ("asked", "free", "gpus"),
    [
        (None, (GIGA, GIGA), (0,)),
        (None, (0.5 * GIGA, 2 * GIGA), (1,)),
        (None, (0.9 * GIGA, 0.9 * GIGA), (0, 1)),
        (None, (0.9 * GIGA,), (0,)),
        (1, (GIGA, 0.1 * GIGA), (1,)),
    ],
    ids=["the first", "the first with room", "over all", "there is one", "the one that is named"],
)
def test_one_gpu_is_used_where_it_suffices(has_gpu, asked, free, gpus):
    has_gpu(True, *free)
    placed = Placement("cuda", "bfloat16", gpu=asked)
    given: dict = {}
    load_placed(
        lambda **options: given.update(options) or SimpleNamespace(hf_device_map={}), placed,
        choose_gpus(placed, 0.8 * GIGA),
    )  # fmt: skip

    assert choose_gpus(placed, 0.8 * GIGA) == gpus
    assert given["device_map"] == ({"": gpus[0]} if len(gpus) == 1 else "auto")
    assert choose_gpus(Placement("cpu"), 0.8 * GIGA) == ()


@pytest.mark.parametrize(
    ("asked", "free", "told"),
    [
        (
            1,
            (GIGA, 1000),
            r"GB of free memory on cuda:1 \(\S+ of weights, .* in float32\), found 0\.000 GB; use --dtype",
        ),
        (None, (1000, 2000), r"GB of free memory on 2 GPUs \("),
    ],
)
def test_what_the_gpus_cannot_hold_is_refused_before_it_is_loaded(tiny_model, has_gpu, asked, free, told):
    has_gpu(True, *free)
    with pytest.raises(CouldNotRun, match=told):
        load_base(tiny_model, Placement("cuda", gpu=asked))


def test_a_quantized_weight_takes_less(tiny_model):
    every, four = (loaded_size(weights(tiny_model), "bfloat16", bits) for bits in ("none", "4bit"))
    kept = sum(
        each.size * 2 for each in stored_tensors(weights(tiny_model)) if "embed" in each.name or "lm_head" in each.name
    )

    assert four == kept + (every - kept) / 4


@pytest.mark.parametrize(("visible", "left"), [(None, "1"), ("4,6", "6"), ("GPU-a,GPU-b", "GPU-b")])
def test_a_training_sees_no_gpu_but_the_one_that_is_named(has_gpu, monkeypatch, visible, left):
    has_gpu(True, GIGA, GIGA)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")

    assert hide_other_gpus(ModelOptions("cuda:1", "bfloat16")) == ModelOptions("cuda", "bfloat16")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == left
    assert hide_other_gpus(ModelOptions()) == ModelOptions()
    with pytest.raises(CouldNotRun, match="--tg-device cuda:2: expected a GPU of that number"):
        hide_other_gpus(ModelOptions("cuda:2"))


# what a model does there


def test_the_precision_that_was_asked_for_is_computed_in_and_recorded(tiny_model):
    opened = [ModelOptions(dtype=each, tokenizer="for servers alone") for each in ("auto", "bfloat16")]
    plain, model = (Local(str(tiny_model), quiet(), options=each) for each in opened)

    assert {weight.dtype for weight in model.base.with_adapter(None).parameters()} == {torch.bfloat16}
    assert (model.fingerprint.engine["dtype"], model.fingerprint.engine["device"]) == ("bfloat16", "cpu")
    assert model.fingerprint.names == {"model": tiny_model.name, "options": "--tg-dtype=bfloat16"}
    assert "options" not in plain.fingerprint.names
    assert model.fingerprint.subject == plain.fingerprint.subject, "the same model, computed otherwise"
    [one, other] = (each.fingerprint.generation(requests()[0]) for each in (plain, model))
    assert one != other, "or the cache would serve one's answers as the other's"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_base_and_adapter_answer_in_it(tiny_model, tiny_adapter, dtype):
    told = [
        answers(Local(str(tiny_model), quiet(), adapter, options=ModelOptions(dtype=dtype)), requests())
        for adapter in (None, tiny_adapter)
    ]

    assert all(answer.output is not None for side in told for answer in side.values())
    assert told[0] != told[1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_an_adapter_is_multiplied_in_the_type_of_its_base(tiny_model, tiny_adapter, dtype):
    model = Local(str(tiny_model), quiet(), tiny_adapter, options=ModelOptions(dtype=dtype))
    tuned = model.base.with_adapter(tiny_adapter)

    assert {weight.dtype for weight in tuned.parameters()} == {getattr(torch, dtype)}


# attention and quantization


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_attention_that_is_named_is_taken_and_told(tiny_model, attention):
    model = Local(str(tiny_model), quiet(), options=ModelOptions(attention=attention))

    assert answers(model, requests(texts=["It drips."]))
    assert model._loaded[1].config._attn_implementation == attention
    assert model.fingerprint.engine["attention"] == attention
    assert model.fingerprint.names["options"] == f"--tg-attention={attention}"


def test_an_attention_that_is_not_installed_could_not_run(tiny_model):
    model = Local(str(tiny_model), quiet(), options=ModelOptions(attention="flash_attention_2"))
    with pytest.raises(CouldNotRun, match=r"expected a model that transformers can load, found: .*[Ff]lash"):
        answers(model, requests(texts=["It drips."]))


def test_what_is_not_asked_for_is_not_told(tiny_model):
    assert not {"attention", "quantization"} & set(Local(str(tiny_model), quiet()).fingerprint.engine)


def test_quantization_without_a_gpu_could_not_run(tiny_model):
    with pytest.raises(
        CouldNotRun, match=r"--tg-quantization 4bit: expected an NVIDIA GPU, .* found cpu; leave it out"
    ):
        place(ModelOptions(quantization="4bit"), weights(tiny_model))


def test_quantization_without_bitsandbytes_says_what_to_install(tiny_model, has_gpu, monkeypatch):
    has_gpu(bfloat16=True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(CouldNotRun, match=r"expected bitsandbytes, found none; run: pip install 'tunegate\[quantiz"):
        place(ModelOptions(quantization="4bit"), weights(tiny_model))


@pytest.mark.parametrize(
    ("bits", "asked"),
    [
        ("8bit", {"load_in_8bit": True}),
        ("4bit", {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16}),
    ],
)
def test_quantization_on_a_gpu_is_asked_of_bitsandbytes_and_told(half, has_gpu, monkeypatch, bits, asked):
    has_gpu(bfloat16=True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace())
    placed = place(ModelOptions(quantization=bits), weights(half))
    given: dict = {}
    load_placed(lambda **options: given.update(options) or SimpleNamespace(hf_device_map={"": 0}), placed)

    assert placed == Placement("cuda", "bfloat16", quantization=bits)
    assert {name: getattr(given["quantization_config"], name) for name in asked} == asked
    assert engine(placed)["quantization"] == bits
