"""A thinking model: its reasoning is cut, counted and kept apart, in the record as in the fingerprint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.models.test_huggingface import requests
from tests.support.fault_server import Act, FaultServer, Handler, answers, reply, serving
from tunegate.harness.core.progress import quiet
from tunegate.harness.core.typed import as_data, read_as
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.models.evaluation.scoring import score_completion
from tunegate.harness.models.local.continuous_batching import RequestState
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.server import UNSETTLED, Server


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
    monkeypatch.setattr("tunegate.harness.models.local.huggingface.generate", generate)


def test_the_reasoning_is_cut_counted_and_kept(thinking, monkeypatch):
    model = Local(str(thinking), quiet())
    says(model, "\nIt drips.\n</think>\n\n{}", monkeypatch)
    [found] = model.complete(requests(texts=["It drips."]))

    assert (found.output, found.reasoning, found.finish) == ("{}", "It drips.", "stop")
    assert found.tokens_out == len("\nIt drips.\n") + 1 + len("\n\n{}") + 1
    assert model.fingerprint.engine["reasoning"] == "cut at </think>"


def test_a_reasoning_without_an_end_is_no_answer(thinking, monkeypatch):
    model = Local(str(thinking), quiet())
    says(model, "It drips, and", monkeypatch)
    [found] = model.complete(requests(texts=["It drips."]))

    assert (found.output, found.reasoning) == ("", "It drips, and")


def cut(text: str | None, **message: str) -> Act:
    """Answer with a text that the limit of tokens cut."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        found = reply(body, text)
        found["choices"][0]["finish_reason"] = "length"
        found["choices"][0].get("message", {}).update(message)
        handler.send(json.dumps(found))

    return act


def asked(server: FaultServer, texts: list[str], **options: str) -> list[tuple[str | None, str]]:
    model = Server(server.model, quiet(), ModelOptions(deadline=2, in_flight=1, **options))
    found = {each.key: (each.output, each.reasoning) for each in model.complete(requests(texts=texts))}
    return [found[key] for key in sorted(found)]


def test_a_servers_reasoning_that_was_cut_is_no_answer_where_the_template_begins_it(thinking, tiny_model):
    with serving(cut("It drips, and")) as server:
        assert asked(server, ["It drips."], tokenizer=str(thinking)) == [("", "It drips, and")]
        assert asked(server, ["It drips."], tokenizer=str(tiny_model)) == [("It drips, and", "")]


def test_where_the_template_is_the_servers_the_other_answers_tell(thinking):
    hello = answers("Hm.</think>Hello!")  # to the probe
    with serving(cut("It drips, and"), hello, cut("It drips, and"), answers("Hm.</think>{}")) as server:
        assert asked(server, ["It drips.", "It leaks."]) == [("", "It drips, and"), ("{}", "Hm.")]
    with serving(cut("It drips, and")) as server:
        assert asked(server, ["It drips."]) == [("It drips, and", "")], "nobody thinks"


def test_outputs_that_are_all_cut_are_given_before_the_last_one():
    texts = [f"Pipe {number} drips." for number in range(UNSETTLED + 2)]
    with serving(cut("It drips, and")) as server:
        found = Server(server.model, quiet(), ModelOptions(deadline=2, in_flight=1)).complete(requests(texts=texts))
        assert next(found).output == "It drips, and"
        assert len(server.asked) <= 1 + UNSETTLED + 1, "the probe, those that were waited for, and one under way"
        assert len(list(found)) == UNSETTLED + 1


def test_a_server_that_parts_a_cut_reasoning_itself_gave_no_answer():
    with serving(cut(None, reasoning_content="It drips, and")) as server:
        assert asked(server, ["It drips."]) == [("", "It drips, and")]


def test_a_model_that_does_not_think_says_nothing_of_it(tiny_model):
    assert "reasoning" not in Local(str(tiny_model), quiet()).fingerprint.engine


def test_a_record_keeps_it_apart():
    from tunegate.harness.models.api import Completion

    class Case:
        check = staticmethod(lambda *_: __import__("tunegate").Outcome(1.0))
        expect, input, text, context, tools = None, "", "", None, ()

    result = score_completion(Case, Completion("a", "{}", 1, 2, reasoning="Hm."), "as-is", "pass/fail")
    assert (result.output, result.reasoning) == ("{}", "Hm.")
    assert read_as(as_data(result), Result, Path(), "a result") == result
    assert result.as_completion("a").reasoning == "Hm."
