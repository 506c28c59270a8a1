"""How many tokens are asked at a time: it grows, is halved, and what does not fit alone is said, on a fake memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from tests.integration.models.test_continuous_batching import FAMILIES, PAD, alone, random_model, rows
from tests.integration.models.test_huggingface import answers, requests
from tests.support.fake_memory import FakeMemory
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.batching import LOGITS, TOKEN_BUDGET
from tunegate.harness.models.local.continuous_batching import generate
from tunegate.harness.models.local.huggingface import Local, load_base
from tunegate.harness.models.local.token_budget import (
    MOST_LOGITS_ON_GPU,
    MOST_ON_GPU,
    TokenBudget,
    budget_for_outputs,
    budget_for_texts,
    is_out_of_memory,
)


@pytest.fixture(scope="module")
def model(tiny_model) -> Any:
    model = load_base(tiny_model)
    model.generation_config.eos_token_id = [2]
    return model


# the number itself


@pytest.mark.parametrize(
    ("free", "most", "tokens"), [(1000, 10_000, 64), (1023, 10_000, 64), (1024, 10_000, 128), (1000, 50, 50), (0, 9, 1)]
)
def test_half_of_the_free_memory_counts_at_first(free, most, tokens):
    assert TokenBudget(lambda: free, 4, 4, most).tokens == tokens


def test_it_grows_by_what_is_measured_and_never_past_half():
    left = [8000]
    budget = TokenBudget(lambda: left[0], 64, 4, 10_000)
    assert budget.tokens == 32
    left[0] = 8000 - 64 * 32  # the estimate was right
    budget.grow(32)
    assert budget.tokens == 32
    left[0] = 8000 - 10 * 32  # it was not
    for tokens in (64, 128, 256, 256):
        budget.grow(32)
        assert budget.tokens == tokens
    left[0] = 16_000  # somebody else has gone
    budget.grow(256)
    assert budget.tokens == 512


@pytest.mark.parametrize(("held", "tokens"), [(600, 300), (1, 1), (9000, 512)])
def test_what_was_exhausted_is_never_asked_again(held, tokens):
    budget = TokenBudget(lambda: 4096, 4, 1, 10_000)
    assert budget.tokens == 512
    budget.halve(held)
    budget.grow(1)

    assert budget.tokens == tokens


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: 8 GB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_exhausted(error, found):
    assert is_out_of_memory(error) is found


# what a model's tokens take


def test_on_a_cpu_with_enough_memory_it_is_what_baselines_name(model, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**11))

    assert budget_for_outputs(model).tokens == TOKEN_BUDGET == 8192
    assert budget_for_texts(model).tokens == LOGITS // model.config.vocab_size


def test_on_a_cpu_it_is_less_where_memory_is_short(model, monkeypatch):
    config = model.config
    layer = (8 * config.hidden_size + 3 * config.intermediate_size) * 4
    kept = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * 1000 * (layer + kept)))

    assert budget_for_outputs(model).tokens == 512


@pytest.mark.parametrize(("config", "more"), FAMILIES.values(), ids=FAMILIES)
def test_other_models_are_estimated_too(config, more):
    model = random_model(config, **more)

    assert budget_for_outputs(model).tokens > 1
    assert budget_for_texts(model).tokens > 1


@pytest.mark.parametrize("gpus", [1, 2])
def test_on_gpus_the_fullest_decides_and_much_memory_takes_more_tokens(model, monkeypatch, gpus):
    weights = [SimpleNamespace(device=torch.device("cuda", number)) for number in range(gpus)]
    placed = SimpleNamespace(config=model.config, dtype=torch.bfloat16, parameters=lambda: weights)
    free = {0: 4_000_000, 1: 2_000_000}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (free[gpu], 80 * 10**9))
    with_little = budget_for_outputs(placed).tokens
    free.update({0: 70 * 10**9, 1: 70 * 10**9})

    assert with_little == 1024, "two GPUs: twice what the fuller one has, which is here what one has"
    assert budget_for_outputs(placed).tokens == MOST_ON_GPU
    assert budget_for_texts(placed).tokens <= MOST_LOGITS_ON_GPU // model.config.vocab_size


# outputs


def asked_within(model: Any, memory: FakeMemory, likely: float, temperature: float = 0.0) -> tuple[list[Any], Any]:
    budget, asked = TokenBudget(memory.free, likely, memory.per_token, 10_000), rows(temperature)
    with memory.holding(model):
        finished = list(generate(lambda: model, asked, PAD, budget))
    assert sorted(map(id, finished)) == sorted(map(id, asked))
    return [row.tokens for row in asked], budget


@pytest.mark.parametrize("temperature", [0.0, 1.3], ids=["greedy", "sampled"])
def test_batches_grow_where_tokens_take_less_than_was_estimated(model, temperature):
    memory = FakeMemory(size=100_000, per_token=10)
    found, budget = asked_within(model, memory, 400, temperature)

    assert found == alone(model, rows(temperature))
    assert not memory.refused
    assert memory.passes[0] < 128 < max(memory.passes), "it began at 64 tokens, where one row of 72 stands alone"
    assert budget.tokens > 256


@pytest.mark.parametrize("temperature", [0.0, 1.3], ids=["greedy", "sampled"])
def test_batches_are_halved_where_they_take_more_and_asked_again(model, temperature):
    memory = FakeMemory(size=3000, per_token=20)
    found, budget = asked_within(model, memory, 1, temperature)

    assert found == alone(model, rows(temperature))
    assert memory.refused
    assert max(memory.passes) <= 150
    assert budget.tokens <= max(memory.refused)


def test_a_prompt_that_does_not_fit_alone_is_named_with_its_numbers(model):
    memory, asked = FakeMemory(size=60 * 10**8, per_token=10**8), rows()
    asked[5].key = "desk/triage/long"

    with memory.holding(model), pytest.raises(CouldNotRun) as error:
        list(generate(lambda: model, asked, PAD, TokenBudget(memory.free, 10**8, 1, 10_000)))
    assert str(error.value) == (
        "desk/triage/long: expected free memory for 72 tokens, prompt and output, about 7.2 GB beside the model, found "
        "6.0 GB; shorten it, use --dtype bfloat16, a smaller model, or a server (docs/servers.md)"
    )


def test_a_model_that_is_asked_one_by_one_names_it_too(tiny_model, monkeypatch):
    local = Local(str(tiny_model), quiet())
    monkeypatch.setattr("tunegate.harness.models.local.huggingface.can_join", lambda model: False)

    with (
        FakeMemory(size=100, per_token=10).holding(local.base.with_adapter(None)),
        pytest.raises(CouldNotRun, match=r"^desk/triage/0: expected free memory for \d+ tokens"),
    ):
        answers(local, requests())


# the whole way: outputs and log-probabilities of a local model


def texts(count: int = 9) -> list[Request]:
    return [
        Request(f"desk/pairs/{number}", (("user", "It drips."),), Decoding(), texts=("Fog. " * (number + 1), "Rain."))
        for number in range(count)
    ]


def test_a_local_model_answers_the_same_with_little_memory(tiny_model):
    local = Local(str(tiny_model), quiet())
    asked = [*requests(), *texts()]
    expected = answers(local, asked)
    with FakeMemory(size=1300, per_token=10).holding(local.base.with_adapter(None)) as memory:
        found = answers(local, asked)
        first = len(memory.refused)
        again = answers(local, asked)

    assert {key: each.output for key, each in found.items()} == {key: each.output for key, each in expected.items()}
    for key, each in expected.items():
        for one, other in zip(each.logprobs, found[key].logprobs, strict=True):
            assert one == pytest.approx(other, abs=2e-4), key
    assert first >= 2, "both kinds were halved"
    assert len(memory.refused) == first, "and what did not fit is not tried again"
    assert again == found


def test_a_text_that_does_not_fit_alone_is_named(tiny_model):
    local = Local(str(tiny_model), quiet())

    with (
        FakeMemory(size=700, per_token=10).holding(local.base.with_adapter(None)),
        pytest.raises(CouldNotRun, match=r"^desk/pairs/8: expected free memory for 7\d tokens, prompt and output, "),
    ):
        answers(local, texts())


def test_on_a_cpu_it_grows_once_memory_is_given_back(tiny_model, monkeypatch):
    local, free = Local(str(tiny_model), quiet()), [600_000]
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free[0]))
    with FakeMemory(size=10**9, per_token=1).holding(local.base.with_adapter(None)) as memory:
        expected = answers(local, requests())
        little = max(memory.passes)
        free[0] = 60_000_000
        answers(local, requests())
        found = answers(local, requests())

    assert little < max(memory.passes)
    assert {key: each.output for key, each in found.items()} == {key: each.output for key, each in expected.items()}
