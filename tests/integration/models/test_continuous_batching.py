"""Rows leave a batch and join it; each is answered as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_memory import fixed_budget
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.continuous_batching import Batch, RequestState, can_join, generate
from tunegate.harness.models.local.huggingface import Local, load_base

PAD = 0
LENGTHS = [(3, 9), (40, 2), (11, 30), (25, 1), (7, 17), (60, 12), (5, 5), (33, 21), (18, 8), (9, 26), (50, 4), (2, 14)]


def rows(temperature: float = 0.0, shared: int = 0) -> list[RequestState]:
    """Prompts and answers of many lengths, in two openings; those of one begin with so many tokens that all share."""
    return [
        RequestState(
            [3 + number % 2] * shared + [(7 * number + place) % 200 + 3 for place in range(length)],
            f"opening {number % 2}", Decoding(limit, temperature, 0.9), seed=number,
        )
        for number, (length, limit) in enumerate(LENGTHS)
    ]  # fmt: skip


def alone(model: Any, asked: list[RequestState]) -> list[list[int]]:
    return [next(generate(lambda: model, [row], PAD, fixed_budget(1))).tokens for row in asked]


def together(model: Any, asked: list[RequestState], budget: int) -> list[list[int]]:
    finished = list(generate(lambda: model, asked, PAD, fixed_budget(budget)))
    assert sorted(map(id, finished)) == sorted(map(id, asked))
    return [row.tokens for row in asked]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    model = load_base(tiny_model)
    model.generation_config.eos_token_id = [2]
    return model


@pytest.mark.parametrize("begin", [0, 20], ids=["nothing shared", "a prefix read once"])
@pytest.mark.parametrize("temperature", [0.0, 1.3], ids=["greedy", "sampled"])
@pytest.mark.parametrize("budget", [1, 150, 300, 10_000])
def test_a_row_is_answered_as_if_it_were_alone(model: Any, temperature: float, budget: int, begin: int) -> None:
    expected = alone(model, rows(temperature, begin))
    assert together(model, rows(temperature, begin), budget) == expected
    assert all(len(tokens) == limit or tokens[-1] == 2 for tokens, (_, limit) in zip(expected, LENGTHS, strict=True))


def test_a_greedy_answer_is_the_librarys(model: Any) -> None:
    import torch

    for row in rows():
        prompt = torch.tensor([row.prompt])
        answer = model.generate(prompt, max_new_tokens=row.decoding.max_new_tokens, do_sample=False, pad_token_id=PAD)
        assert (
            next(generate(lambda: model, [row], PAD, fixed_budget(1))).tokens == answer[0, len(row.prompt) :].tolist()
        )


def test_a_batch_keeps_to_its_budget_and_is_filled_again(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[list[RequestState]] = []
    advance = Batch.advance
    monkeypatch.setattr(Batch, "advance", lambda self: held.append(list(self.rows)) or advance(self))
    together(model, rows(), 300)
    assert all(len(each) * max(row.room for row in each) <= 300 for each in held)
    assert any(set(later) - set(each) and set(each) & set(later) for each, later in pairwise(held))
    steps = sum(map(len, held))
    assert steps == sum(len(row.tokens) for row in {row for each in held for row in each})  # nobody stays for others


@pytest.fixture
def crowded(model: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the machine hold so many rows at once."""

    def hold(most: int) -> None:
        read = Batch._read

        def within(self: Batch, ids: list[list[int]], mask: Any, cache: Any) -> Any:
            if len(mask) > most:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 GB")
            return read(self, ids, mask, cache)

        monkeypatch.setattr(Batch, "_read", within)

    return hold


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_batch_that_does_not_fit_is_asked_again_in_smaller_ones(model: Any, crowded: Any, most: int) -> None:
    expected = alone(model, rows(1.3))
    crowded(most)
    assert together(model, rows(1.3), 10_000) == expected


def test_a_row_that_does_not_fit_alone_is_an_error(model: Any, crowded: Any) -> None:
    crowded(0)
    with pytest.raises(CouldNotRun, match=r"expected free memory for \d+ tokens"):
        list(generate(lambda: model, rows(), PAD, fixed_budget(8192)))


def test_another_error_is_not_tried_again(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(*_: Any) -> None:
        calls.append(1)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Batch, "_read", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        list(generate(lambda: model, rows(), PAD, fixed_budget(8192)))
    assert len(calls) == 1


# other models


HEADS = {"intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
SOME = {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]}
FAMILIES = {
    "Mistral, a window in every layer": ("MistralConfig", HEADS | {"sliding_window": 8}),
    "Gemma 3, a window in some layers": ("Gemma3TextConfig", HEADS | SOME | {"sliding_window": 8}),
    "GPT-2, learned positions": ("GPT2Config", {"n_head": 4}),
    "Mamba, a running state": ("MambaConfig", {"state_size": 8}),
}


def random_model(config: str, **more: Any) -> Any:
    """Two layers with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    made = getattr(transformers, config)(
        vocab_size=256, hidden_size=32, num_hidden_layers=2, pad_token_id=PAD, eos_token_id=2, bos_token_id=1, **more
    )
    model = transformers.AutoModelForCausalLM.from_config(made).eval()
    model.generation_config.eos_token_id = [2]
    return model


@pytest.mark.parametrize(("config", "more"), FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("begin", [0, 20])
def test_other_models_answer_as_in_the_library_or_do_not_join(config: str, more: dict[str, Any], begin: int) -> None:
    import torch

    model = random_model(config, **more)
    assert can_join(model) is (config != "MambaConfig")
    if not can_join(model):
        return
    asked = rows(shared=begin)
    together(model, asked, 300)
    for row in asked:
        prompt = torch.tensor([row.prompt])
        answer = model.generate(prompt, max_new_tokens=row.decoding.max_new_tokens, do_sample=False)
        assert row.tokens == answer[0, len(row.prompt) :].tolist()


# under a local model


def requests(texts: int, temperature: float = 0.0, repeat: int = 0) -> list[Request]:
    return [
        Request(
            f"desk/triage/{number}", (("system", "Sort."), ("user", "No heat since Monday. " * (number % 5 + 1))),
            Decoding(12, temperature), repeat,
        )
        for number in range(texts)
    ]  # fmt: skip


def test_a_model_that_cannot_join_is_asked_one_at_a_time(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Local(str(tiny_model), quiet())
    asked = requests(6) + requests(6, 1.1)
    expected = {(each.key, each.repeat): each for each in local.complete(asked[:6])}
    sampled = {each.key: each for each in local.complete(asked[6:])}
    monkeypatch.setattr("tunegate.harness.models.local.huggingface.can_join", lambda model: False)
    monkeypatch.setattr(Batch, "join", None)
    assert {(each.key, each.repeat): each for each in local.complete(asked[:6])} == expected
    assert {each.key: each for each in local.complete(asked[6:])} == sampled


def test_two_adapters_that_answer_in_turns_do_not_mix(tiny_model: Path, make_adapter: Callable[[str], Path]) -> None:
    first = Local(str(tiny_model), quiet(), make_adapter("one"))
    second = Local(str(tiny_model), quiet(), make_adapter("two"), base=first.base)
    expected = [{each.key: each.output for each in model.complete(requests(8))} for model in (first, second)]
    assert expected[0] != expected[1]
    turns: list[Iterator[Any]] = [model.complete(requests(8)) for model in (first, second)]
    found: list[dict[str, str]] = [{}, {}]
    for one, other in zip(*turns, strict=True):
        found[0][one.key], found[1][other.key] = one.output, other.output
    assert found == expected
