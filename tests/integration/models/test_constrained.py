"""Answers that are held to a schema: each as if it were alone, and none that is not held is any different."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.models.test_huggingface import requests
from tests.support.fake_memory import fixed_budget
from tests.support.units import SCHEMA
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request, Unconstrainable
from tunegate.harness.models.backends import opener
from tunegate.harness.models.local.constrained import Grammars
from tunegate.harness.models.local.continuous_batching import Batch, RequestState, generate
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.local.ray_model import RayModel, WorkerOpener
from tunegate.harness.models.model_options import ModelOptions, RayOptions
from tunegate.harness.models.served.structured_outputs import violation
from tunegate.harness.models.tokenizer import load_tokenizer

PRODUCT = Constraint(json.dumps(SCHEMA), "product.schema.json")
NUMBERS = Constraint(
    '{"type": "object", "properties": {"a": {"type": "array", "items": {"enum": [1, 22]}, "maxItems": 9}}, '
    '"required": ["a"], "additionalProperties": false}', "numbers.schema.json",
)  # fmt: skip
LONG = Decoding(max_new_tokens=60)


@pytest.fixture(scope="module")
def local(tiny_model) -> Local:
    return Local(str(tiny_model), quiet(), rung="constrained")


def held(constraint: Constraint, decoding: Decoding = LONG, name: str = "held") -> list[Request]:
    return [replace(each, key=each.key.replace("triage", name), constraint=constraint) for each in requests(decoding)]


def answered(model: Local, asked: list[Request]) -> dict[str, Completion]:
    return {each.key: each for each in model.complete(asked)}


@pytest.mark.parametrize("decoding", [LONG, Decoding(60, 1.3, 0.9)], ids=["greedy", "sampled"])
def test_answers_keep_to_their_schema_whatever_the_weights(local, decoding):
    asked = [*held(PRODUCT, decoding), *held(NUMBERS, decoding, "numbers")]
    found = answered(local, asked)
    assert {each.finish for each in found.values()} == {"stop"}
    assert [violation(each.constraint, found[each.key].output) for each in asked] == [""] * len(asked)


@pytest.mark.parametrize("decoding", [LONG, Decoding(60, 1.3, 0.9)], ids=["greedy", "sampled"])
def test_who_else_is_in_the_batch_changes_nothing(local, decoding):
    free, product, numbers = requests(decoding), held(PRODUCT, decoding), held(NUMBERS, decoding, "numbers")
    together = answered(local, [*free, *product, *numbers])
    alone: dict[str, Completion] = {}
    for each in [*free, *product, *numbers]:
        alone |= answered(local, [each])
    assert together == alone
    assert {each.key: together[each.key] for each in free} == answered(local, free)


def test_a_model_that_takes_no_batches_answers_the_same(local, monkeypatch):
    asked = held(PRODUCT) + held(NUMBERS, Decoding(60, 1.3), "sampled")
    expected = answered(local, asked)
    monkeypatch.setattr("tunegate.harness.models.local.huggingface.can_join", lambda model: False)
    monkeypatch.setattr(Batch, "join", None)
    found = answered(local, asked)
    assert {key: each for key, each in found.items() if "held" in key} == {
        key: each for key, each in expected.items() if "held" in key
    }
    assert not any(violation(NUMBERS, each.output) for key, each in found.items() if "sampled" in key)


def test_a_batch_that_did_not_fit_begins_its_answers_anew(tiny_model, local, monkeypatch):
    grammars, model = local.base.grammars, local.base.with_adapter(None)
    read, calls = Batch._read, []

    def at_first(self: Batch, ids: list[list[int]], mask: Any, cache: Any) -> Any:
        calls.append(len(mask))
        if len(calls) == 6:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 GB")
        return read(self, ids, mask, cache)

    def rows() -> list[RequestState]:
        return [RequestState([5, 6 + at], "", LONG, at, constrained=grammars.constrain(PRODUCT)) for at in range(4)]

    expected = [next(generate(lambda: model, [row], 2, fixed_budget(8192))).tokens for row in rows()]
    monkeypatch.setattr(Batch, "_read", at_first)
    asked = rows()
    list(generate(lambda: model, asked, 2, fixed_budget(8192)))
    assert [row.tokens for row in asked] == expected
    assert len(calls) > 6


def test_a_cut_answer_is_cut_and_no_error(local):
    found = answered(local, held(PRODUCT, Decoding(max_new_tokens=5)))
    assert {(each.finish, each.tokens_out) for each in found.values()} == {("length", 5)}


def test_a_reasoning_that_the_template_opened_is_free_until_its_end(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    grammars = Grammars(tokenizer, [2], len(tokenizer))
    closing = tokenizer.convert_tokens_to_ids("Z")
    answer = grammars.constrain(PRODUCT, after=closing)
    import torch

    logits = torch.zeros(len(tokenizer))
    for token in (*tokenizer("So", add_special_tokens=False).input_ids, closing):
        assert answer.mask(logits).isfinite().all()
        answer.take(token)
    [allowed] = answer.mask(logits).isfinite().nonzero().flatten().tolist()
    assert tokenizer.decode([allowed]) == "{"
    answer.begin()
    assert answer.mask(logits).isfinite().all()


def test_a_schema_that_no_grammar_is_made_of_is_refused_before_the_model_is_loaded(tiny_model, monkeypatch):
    model = Local(str(tiny_model), quiet(), rung="constrained")
    monkeypatch.setattr(type(model.base), "_load", None)
    bad = Constraint('{"not": {}}', "bad.schema.json")
    with pytest.raises(Unconstrainable, match=r"bad\.schema\.json: Unimplemented keys"):
        list(model.complete([*requests(), *held(bad)]))


def test_a_library_that_gives_up_on_the_way_ends_the_run_and_not_the_answer(local):
    answer = local.base.grammars.constrain(PRODUCT)
    with pytest.raises(CouldNotRun, match=r"product\.schema\.json: llguidance failed while an output was constrained "):
        answer.take(5)


def test_a_tokenizer_that_is_not_read_is_refused():
    class Slow:
        def __len__(self) -> int:
            return 3

    with pytest.raises(Refused, match="expected a tokenizer that llguidance can read, found Slow"):
        Grammars(Slow(), [2], 3)


def test_the_record_names_the_rung_and_what_held_the_answers(local, tiny_model):
    plain = Local(str(tiny_model), quiet()).fingerprint
    found = local.fingerprint
    assert (found.subject["rung"], plain.subject["rung"]) == ("constrained", "as-is")
    assert found.engine.keys() - plain.engine.keys() == {"constraint"}
    opened = opener(str(tiny_model), quiet(), ModelOptions(), rung="constrained")(None)  # as a release asks again
    assert opened.fingerprint == found
    one, other = held(PRODUCT)[0], replace(held(PRODUCT)[0], constraint=None)
    assert found.generation(one) != found.generation(other)


def test_the_engine_of_workers_names_what_constrains_outputs(tiny_model):
    """Without it a cached output of another grammar, or another library, would count as one of this."""
    here = Local(str(tiny_model), quiet(), None, "constrained").fingerprint
    model = RayModel(str(tiny_model), quiet(), None, "constrained", None, ModelOptions(ray=RayOptions()))
    opener = WorkerOpener(str(tiny_model), ModelOptions())
    model.base.pool = SimpleNamespace(fingerprint=lambda adapter: opener(adapter).fingerprint)

    assert model.fingerprint == here
