"""What only an NVIDIA GPU shows: `make gpu`, of the embedded model, or the one that TUNEGATE_GPU_MODEL names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.local.placement import choose_gpus, free_on_gpu
from tunegate.harness.models.local.token_budget import SHARE, budget_for_outputs, budget_for_texts
from tunegate.harness.models.model_options import ModelOptions

if not torch.cuda.is_available():
    pytest.skip("no NVIDIA GPU", allow_module_level=True)

MODEL = os.environ.get("TUNEGATE_GPU_MODEL", "smollm2")
WORDS = Path(__file__).read_text("utf-8").split()
LAST = torch.cuda.device_count() - 1


def asked(count: int = 600, words: int = 60) -> list[Request]:
    """Prompts of up to so many words, each of an output and of the log-probabilities of a text."""
    some = [" ".join(WORDS[: 1 + number % words]) for number in range(count)]
    outputs = [Request(f"gpu/outputs/{number}", (("user", f"{number}: {text}"),), Decoding(48))
               for number, text in enumerate(some)]  # fmt: skip
    return outputs + [Request(f"gpu/texts/{number}", (), Decoding(), texts=(f"{number}: {text}",))
                      for number, text in enumerate(some)]  # fmt: skip


def found(model: Local, requests: list[Request]) -> dict[str, Completion]:
    return {each.key: each for each in model.complete(requests)}


@contextmanager
def no_more_than(spare: int) -> Iterator[None]:
    """Let torch take only so many bytes beside what it holds; what the driver calls free is as before."""
    torch.cuda.empty_cache()
    held, every = torch.cuda.memory_reserved(LAST), torch.cuda.mem_get_info(LAST)[1]
    torch.cuda.set_per_process_memory_fraction((held + spare) / every, LAST)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, LAST)


@pytest.fixture
def model() -> Iterator[Local]:
    """The model in float32 on the last GPU."""
    local = Local(MODEL, quiet(), options=ModelOptions(f"cuda:{LAST}", "float32"))
    yield local
    local.base.forget()
    torch.cuda.empty_cache()


def test_it_stands_on_the_gpu_that_is_named_and_on_no_other(model: Local) -> None:
    places = {weight.device for weight in model.base.with_adapter(None).parameters()}

    assert places == {torch.device("cuda", LAST)}
    assert model.fingerprint.engine["device"] == "cuda"
    assert choose_gpus(Local(MODEL, quiet(), options=ModelOptions("cuda")).base.placement, 1) == (0,)


def test_a_gpu_that_is_not_there_could_not_run() -> None:
    with pytest.raises(CouldNotRun, match=f"cuda:{LAST + 1}: expected a GPU of that number"):
        _ = Local(MODEL, quiet(), options=ModelOptions(f"cuda:{LAST + 1}")).fingerprint


def test_batches_begin_by_what_is_free_and_leave_half_of_it(model: Local) -> None:
    budgets = [model.base.budget(of) for of in (budget_for_outputs, budget_for_texts)]
    before, begun = free_on_gpu(LAST), [budget.tokens for budget in budgets]
    found(model, asked())

    print(  # noqa: T201  (what `make gpu` is started for)
        f"tokens at a time: {begun} -> {[budget.tokens for budget in budgets]}, "
          f"GB free: {before / 1e9:.1f} -> {free_on_gpu(LAST) / 1e9:.1f}"
    )  # fmt: skip
    assert not any(budget.exhausted for budget in budgets)
    assert free_on_gpu(LAST) >= (1 - SHARE) * before / 2, "an estimate is not far too low"
    assert all(budget.tokens >= tokens for budget, tokens in zip(budgets, begun, strict=True))


def test_with_little_memory_it_answers_the_same_in_smaller_batches(model: Local) -> None:
    expected = found(model, asked())
    with no_more_than(1 << 30):
        some = found(model, asked())
    budgets = [model.base.budget(of) for of in (budget_for_outputs, budget_for_texts)]

    print(f"tokens at a time: {[budget.tokens for budget in budgets]}")  # noqa: T201
    assert all(budget.exhausted for budget in budgets)
    assert some.keys() == expected.keys()
    same = [some[key].output == each.output for key, each in expected.items() if each.output is not None]
    assert sum(same) >= 0.98 * len(same), "the order of sums may tip a token"
    for key, each in expected.items():
        for one, other in zip(each.logprobs, some[key].logprobs, strict=True):
            assert one == pytest.approx(other, abs=1e-2), key


def test_a_text_that_does_not_fit_alone_is_named_with_its_numbers(model: Local) -> None:
    model.base.with_adapter(None)
    text = " ".join(WORDS * 3)[:6000]
    with no_more_than(1 << 25), pytest.raises(CouldNotRun, match=r"^gpu/long: expected free memory for [\d,]+ tokens"):
        found(model, [Request("gpu/long", (), Decoding(), texts=(text,))])
