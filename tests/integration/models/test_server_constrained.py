"""A server that is to hold answers to a schema: how it is told, and what shows that it does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.integration.models.test_huggingface import requests
from tests.support.fault_server import GOOD, FaultServer, answers, holds, says, serving, takes_only
from tests.support.units import SCHEMA
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request, Unconstrainable
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.server import Server

PRODUCT = Constraint(json.dumps(SCHEMA), "product.schema.json")


def of(server: FaultServer, **options: object) -> Server:
    return Server(server.model, quiet(), ModelOptions(**{"deadline": 5} | options), "constrained")


def held() -> list[Request]:
    return [replace(each, constraint=PRODUCT) for each in requests(texts=["It drips."])]


def ask(model: Server, asked: list[Request]) -> dict[str, Completion]:
    return {each.key: each for each in model.complete(asked)}


def refusal(model: Server) -> str:
    with pytest.raises(Unconstrainable) as caught:
        ask(model, held())
    return str(caught.value)


def test_it_is_told_in_response_format_and_the_record_says_so():
    with serving(holds("response_format")) as server:
        model = of(server)
        [found] = ask(model, held()).values()

    assert found.output == GOOD
    assert model.fingerprint.engine["constraint"] == "response_format"
    json_schema = {"name": "answer", "schema": SCHEMA, "strict": True}
    assert server.asked[-1].body["response_format"] == {"type": "json_schema", "json_schema": json_schema}


def test_who_does_not_look_at_that_is_told_in_json_schema(tiny_model):
    with serving(holds("json_schema")) as server:
        model = of(server, tokenizer=str(tiny_model))
        [found] = ask(model, held()).values()

    assert found.output == GOOD
    assert model.fingerprint.engine["constraint"] == "json_schema"
    assert server.asked[-1].body["json_schema"] == SCHEMA
    assert "response_format" not in server.asked[-1].body


def test_what_has_no_schema_is_asked_without():
    with serving(holds("response_format")) as server:
        [free], [bound] = requests(texts=["It hums."]), held()
        found = ask(of(server), [replace(free, key="desk/replies/0"), bound])

    assert [found[key].output for key in ("desk/replies/0", "desk/triage/0")] == ["Hello!", GOOD]


@pytest.mark.parametrize("act", [answers(), holds()], ids=["JSON, but not the word", "words"])
def test_a_server_that_ignores_it_is_refused_before_a_case_is_asked(act):
    with serving(act) as server:
        for use in (lambda model: model.fingerprint, lambda model: ask(model, held())):
            with pytest.raises(Unconstrainable) as caught:
                use(of(server))
            assert "does not constrain outputs to a schema (response_format: ignored; json_schema: ignored)" in (
                str(caught.value)
            )
            assert caught.value.why(PRODUCT).startswith("tuned at http://")

    assert all(each.body["messages"][0]["content"] == "Hello." for each in server.asked)


def test_a_server_that_does_not_know_the_fields_says_so():
    known = {"model", "max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop"}
    with serving(takes_only(known | {"n", "stream", "messages"})) as server:
        said = refusal(of(server))

    assert "unknown field response_format" in said
    assert "unknown field json_schema" in said


def test_an_answer_that_its_schema_does_not_allow_ends_the_run():
    """Some servers hold answers to the schemas that they know, and leave others out without a word."""
    with serving(holds("response_format", output='{"product": "pump"}')) as server:
        said = refusal(of(server))

    assert said.startswith("desk/triage/0: expected an output that the schema of product.schema.json allows, but ")
    assert "tuned does not constrain outputs to it: schema.enum at product; " in said


def test_a_schema_that_it_does_not_take_is_named():
    def act(handler, body):
        is_probe = "word" in json.dumps(body["response_format"]) if "response_format" in body else True
        (holds("response_format") if is_probe else takes_only(set()))(handler, body)

    with serving(act) as server:
        said = refusal(of(server))

    assert said.startswith(
        "desk/triage/0: expected a server that constrains outputs to the schema of product.schema.json, but tuned does "
        "not accept it: "
    )


@pytest.mark.parametrize(
    ("said", "output"),
    [
        ({"message": "The response was filtered.", "param": "prompt", "code": "content_filter"}, None),
        ({"message": "Could not finish the message because max_tokens or model output limit was reached."}, ""),
    ],
    ids=["a filter", "a reasoning that took all tokens"],
)
def test_what_is_of_the_prompt_is_not_taken_for_a_refusal_of_the_schema(said, output):
    def act(handler, body):
        is_probe = "word" in json.dumps(body["response_format"]) if "response_format" in body else True
        (holds("response_format") if is_probe else says(json.dumps({"error": said}), 400))(handler, body)

    with serving(act) as server:
        [found] = ask(of(server), held()).values()

    assert found.output == output


def test_a_cut_answer_is_scored_as_one():
    def act(handler, body):
        if "word" in json.dumps(body.get("response_format")):
            return holds("response_format")(handler, body)
        return handler.send(json.dumps({
            "model": "tuned", "choices": [{"message": {"content": '{"pro'}, "finish_reason": "length"}]
        }))  # fmt: skip

    with serving(act) as server:
        [found] = ask(of(server), held()).values()

    assert (found.output, found.finish) == ('{"pro', "length")
