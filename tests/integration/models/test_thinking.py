"""A thinking model: its reasoning is cut, counted and kept apart, in the record as in the fingerprint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.models.test_huggingface import requests
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.record import read_result
from tunegate.harness.evaluation.scoring import score_completion
from tunegate.harness.models.continuous_batching import RequestState
from tunegate.harness.models.huggingface import Local


@pytest.fixture
def thinking(tiny_model, tmp_path) -> Path:
    """The tiny model with a tokenizer that has such tags; its template begins the reasoning."""
    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_model, tmp_path / "thinking")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template += "{% if add_generation_prompt %}<think>{% endif %}"
    tokenizer.save_pretrained(folder)
    return folder


def says(model: Local, text: str, monkeypatch) -> None:
    """Let the model answer with a text."""
    ids = model.tokenizer(text, add_special_tokens=False).input_ids

    def generate(loaded: object, rows: list[RequestState], *_: object) -> Iterator[RequestState]:
        for row in rows:
            row.tokens += [*ids, 2]
            yield row

    # the tiny model knows none of the two new tokens: the prompts are not read
    monkeypatch.setattr("tunegate.harness.models.huggingface.generate", generate)


def test_the_reasoning_is_cut_counted_and_kept(thinking, monkeypatch):
    model = Local(str(thinking), quiet())
    says(model, "\nIt drips.\n</think>\n\n{}", monkeypatch)
    [found] = model.answer(requests(texts=["It drips."]))

    assert (found.output, found.reasoning, found.finish) == ("{}", "It drips.", "stop")
    assert found.tokens_out == len("\nIt drips.\n") + 1 + len("\n\n{}") + 1
    assert model.fingerprint.engine["reasoning"] == "cut at </think>"


def test_a_reasoning_without_an_end_is_no_answer(thinking, monkeypatch):
    model = Local(str(thinking), quiet())
    says(model, "It drips, and", monkeypatch)
    [found] = model.answer(requests(texts=["It drips."]))

    assert (found.output, found.reasoning) == ("", "It drips, and")


def test_a_model_that_does_not_think_says_nothing_of_it(tiny_model):
    assert "reasoning" not in Local(str(tiny_model), quiet()).fingerprint.engine


def test_a_record_keeps_it_apart():
    from tunegate.harness.models.api import Completion

    class Case:
        check = staticmethod(lambda *_: __import__("tunegate").Outcome(1.0))
        expect, input, text, context = None, "", "", None

    result = score_completion(Case, Completion("a", "{}", 1, 2, reasoning="Hm."), "as-is", "pass/fail")
    assert (result.output, result.reasoning) == ("{}", "Hm.")
    assert read_result(result.as_dict()) == result
    assert result.as_completion("a").reasoning == "Hm."
