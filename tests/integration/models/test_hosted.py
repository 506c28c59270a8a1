"""Hosted models: what each takes is found, what it finished is kept, and what ends a run is told at once."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from tests.integration.models.test_huggingface import requests
from tests.support.fault_server import GOOD, FaultServer, Handler, answers, holds, reply, says, serving
from tests.support.hosted import EXPECTED, HOSTED, KEY, READ, output_of
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.cache import Cached, Store
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client, pace
from tunegate.harness.models.served.server import Server

ROOM = Decoding(max_new_tokens=256)
QUOTA = "You exceeded your current quota, please check your plan and billing details."
EXHAUSTED = {"error": {"message": QUOTA, "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}}
FILTER = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
FILTERED = {"error": {"message": FILTER, "type": None, "param": "prompt", "code": "content_filter", "status": 400}}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.1)


def of(server: FaultServer, name: str, monkeypatch, **options: object) -> Server:
    """A hosted model, with the key that is for it."""
    monkeypatch.setenv("TUNEGATE_API_KEY", KEY)
    monkeypatch.setenv("TUNEGATE_API_HOST", server.address.removeprefix("http://"))
    return Server(HOSTED[name].model(server.address), quiet(), ModelOptions(**{"deadline": 5} | options))


def plain(server: FaultServer, **options: object) -> Server:
    return Server(server.model, quiet(), ModelOptions(**{"deadline": 5} | options))


def given(model: Server, asked: list[Request]) -> dict[str, Completion]:
    return {answer.key: answer for answer in model.complete(asked)}


def cases(count: int) -> list[Request]:
    return requests(ROOM, [f"message {number}" for number in range(count)])


def texts(server: FaultServer) -> list[str]:
    """The cases that it was asked, without the probes."""
    said = (each.body["messages"][-1]["content"] for each in server.asked)
    return [text for text in said if text != "Hello."]


# what each takes


@pytest.mark.parametrize("name", HOSTED)
def test_a_hosted_model_is_asked_for_what_it_takes(name, monkeypatch):
    probes, sampling, written = EXPECTED[name]
    with serving(HOSTED[name].act) as server:
        model, asked = of(server, name, monkeypatch), cases(3)
        found = given(model, asked)

    assert {key: answer.output for key, answer in found.items()} == {
        each.key: output_of(each.messages[-1][1]) for each in asked
    }
    assert {(each.tokens_in, each.tokens_out, each.finish) for each in found.values()} == {(READ, written, "stop")}
    assert (len(server.asked) - len(asked), model.fingerprint.engine["sampling"]) == (probes, sampling)


def test_azure_is_asked_at_its_deployment_with_the_key_in_its_own_header(monkeypatch):
    with serving(HOSTED["Azure, classic"].act) as server:
        model = of(server, "Azure, classic", monkeypatch)
        given(model, cases(1))

    assert {each.path for each in server.asked} == {"/openai/deployments/desk/chat/completions?api-version=2024-10-21"}
    assert {each.headers["api-key"] for each in server.asked} == {KEY}
    assert all("Authorization" not in each.headers for each in server.asked)
    assert model.fingerprint.names["served"] == "gpt-4o-2024-11-20"


def test_a_model_that_takes_no_temperature_says_that_its_answers_vary(monkeypatch):
    with serving(HOSTED["GPT-5"].act) as server:
        assert of(server, "GPT-5", monkeypatch).notes == [
            "gpt-5 does not support temperature, so its outputs vary: --tg-repeats averages over several"
        ]


# which version answers


@pytest.mark.parametrize(
    ("alias", "version"),
    [
        ("gpt-5", "gpt-5-2025-08-07"),
        ("gpt-4", "gpt-4-0613"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("mistral-large-latest", "mistral-large-2512"),
        ("gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025"),
        ("command-r", "command-r-08-2024"),
        ("gemini-2.5-flash", "gemini-2.5-flash-preview-05-20"),
        ("openai/gpt-5", "openai/gpt-5-2025-08-07"),
    ],
)
def test_the_dated_version_of_an_alias_answers_for_it(alias, version):
    with serving(answers(model=version)) as server:
        model = Server(f"openai:{server.address}/v1#{alias}", quiet(), ModelOptions(deadline=5))
        assert given(model, cases(1))["desk/triage/0"].output == GOOD

    assert model.fingerprint.names["served"] == version


@pytest.mark.parametrize(
    ("alias", "other"),
    [("gpt-5", "gpt-5-mini"), ("gpt-5", "gpt-5-mini-2025-08-07"), ("gpt-4", "gpt-4-32k"), ("gpt-5", "gpt-51")],
)
def test_another_model_does_not(alias, other):
    with serving(answers(model=other)) as server:
        model = Server(f"openai:{server.address}/v1#{alias}", quiet(), ModelOptions(deadline=5))
        with pytest.raises(Refused, match=f"expected outputs of {alias}, found outputs of {other} at .*#{other}$"):
            given(model, cases(1))


def test_a_version_is_part_of_what_an_answer_is_kept_by():
    keys = set()
    for version in ("gpt-5-2025-08-07", "gpt-5-2025-11-01"):
        with serving(answers(model=version)) as server:
            fingerprint = Server(f"openai:{server.address}/v1#gpt-5", quiet(), ModelOptions(deadline=5)).fingerprint
            keys.add(json.dumps(fingerprint.names["served"]) + fingerprint.generation(cases(1)[0]))

    assert len(keys) == 2


# what ends a run


def test_a_quota_that_is_used_up_is_told_after_one_request_in_the_servers_words():
    with serving(says(json.dumps(EXHAUSTED), 429)) as server, pytest.raises(CouldNotRun) as error:
        given(plain(server), cases(3))

    assert len(server.asked) == 1
    assert f"status 429: {QUOTA.rstrip('.')}; the account has no quota left, and waiting" in str(error.value)


def test_a_quota_that_is_used_up_is_no_limit_for_a_while_even_with_a_time_to_come_back():
    body = json.dumps({"error": EXHAUSTED["error"] | {"code": "429"}})
    with serving(says(body, 429, Retry_After="3600")) as server, pytest.raises(CouldNotRun, match="no quota left"):
        given(plain(server), cases(1))

    assert len(server.asked) == 1


def test_what_the_server_is_at_is_kept_when_an_error_ends_the_run_and_nobody_new_is_asked():
    """Eight are under way: the fifth of them is refused while the others are still being answered."""
    asked, refused, all_there = cases(30), threading.Event(), threading.Barrier(8)

    def act(handler: Handler, body: dict) -> None:
        text = body["messages"][-1]["content"]
        if text == "Hello.":
            return answers()(handler, body)
        all_there.wait(30)
        if text == "message 4":
            says('{"error": {"message": "who are you?"}}', 401)(handler, body)
            return refused.set()
        refused.wait(30)
        time.sleep(0.05)  # the client has read the refusal by then
        return handler.send(json.dumps(reply(body, output_of(text))))

    kept = []
    said = "^desk/triage/4: .*found status 401: who are you[?]; the key is read from TUNEGATE_API_KEY"
    with serving(act) as server, pytest.raises(CouldNotRun, match=said):
        kept.extend(plain(server, in_flight=8, deadline=60).complete(asked))

    assert {each.key for each in kept} == {f"desk/triage/{number}" for number in range(8) if number != 4}
    assert all(each.output == output_of(f"message {each.key.rpartition('/')[2]}") for each in kept)
    assert sorted(texts(server)) == [f"message {number}" for number in range(8)]


def test_what_was_kept_is_not_asked_again(tmp_path):
    def act(handler: Handler, body: dict) -> None:
        is_over = len(server.asked) == 6
        (says("no", 403) if is_over else answers())(handler, body)

    store = Store(tmp_path / "kept.sqlite")
    with serving(act) as server:
        with pytest.raises(CouldNotRun, match=r"desk/triage/\d: .*found status 403: no"):
            list(Cached(plain(server, in_flight=1), store).complete(cases(8)))
        model = Cached(plain(server, in_flight=1), store)
        found = list(model.complete(cases(8)))
    store.close()

    assert (len(found), model.reused) == (8, 4)
    assert len(texts(server)) == 8 + 1, "the one that was refused, twice"


TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9120 tokens."
PAGE = "<html><center><h1>413 Request Entity Too Large</h1></center><hr><center>nginx</center></html>"
ENDS = {
    "too long": (400, json.dumps({"error": {"message": TOO_LONG, "code": "context_length_exceeded"}}), TOO_LONG),
    "too large": (413, PAGE, PAGE),
    "not paid": (402, '{"error": {"message": "Insufficient Balance"}}', "Insufficient Balance; the account has no"),
    "forbidden": (403, '{"error": "no access to this model"}', "no access to this model; the key is read from"),
    "not found": (
        404,
        '{"error": {"message": "The model `m` does not exist"}}',
        "does not exist; check that the address",
    ),
}


@pytest.mark.parametrize(("status", "body", "said"), ENDS.values(), ids=ENDS)
def test_an_error_that_ends_a_run_names_its_case_and_is_asked_once(status, body, said):
    def act(handler: Handler, asked: dict) -> None:
        is_it = asked["messages"][-1]["content"] == "message 1"
        (says(body, status) if is_it else answers())(handler, asked)

    with serving(act) as server, pytest.raises(CouldNotRun) as error:
        given(plain(server), cases(3))

    assert str(error.value).startswith(f"desk/triage/1: {server.address}/v1/chat/completions: expected a response, ")
    assert f"found status {status}: " in str(error.value)
    assert said in str(error.value)
    assert texts(server).count("message 1") == 1


def test_a_prompt_that_a_filter_keeps_from_the_model_leaves_its_case_unscored_and_the_run_goes_on():
    def act(handler: Handler, body: dict) -> None:
        (says(json.dumps(FILTERED), 400) if body["messages"][-1]["content"] == "message 1" else answers())(
            handler, body
        )

    with serving(act) as server:
        found = given(plain(server), cases(3))

    assert {key: answer.output for key, answer in found.items()} == {
        "desk/triage/0": GOOD, "desk/triage/1": None, "desk/triage/2": GOOD,
    }  # fmt: skip
    assert len(texts(server)) == 3


# no more than so many a minute


@pytest.mark.parametrize("limit", [{"requests_per_minute": 10}, {"tokens_per_minute": 10 * (2 + 256)}])
def test_no_more_are_asked_than_so_many_a_minute(limit, monkeypatch):
    monkeypatch.setattr(pace, "MINUTE", 1.0)  # so each has a tenth of a second
    came = []

    def act(handler: Handler, body: dict) -> None:
        if body["messages"][-1]["content"] != "Hello.":
            came.append(time.monotonic())
        answers()(handler, body)

    asked = [Request(f"desk/triage/{number}", (("user", "12345678"),), ROOM) for number in range(6)]
    with serving(act) as server:
        given(plain(server, **limit), asked)

    assert len(came) == 6
    assert came[-1] - came[0] > 0.4  # five turns, less what the first took to be asked


# how much it reasons


def test_how_much_it_is_to_reason_is_sent_and_stands_in_the_record(monkeypatch):
    with serving(HOSTED["GPT-5"].act) as server:
        model = of(server, "GPT-5", monkeypatch, reasoning_effort="low", reasoning_tokens=1000)
        given(model, cases(1))

    assert {each.body["reasoning_effort"] for each in server.asked} == {"low"}
    assert server.asked[-1].body["max_completion_tokens"] == 256 + 1000
    engine = model.fingerprint.engine
    assert (engine["reasoning_effort"], engine["reasoning_tokens"]) == ("low", "1000")
    assert "--tg-reasoning-effort=low --tg-reasoning-tokens=1000" in model.fingerprint.names["options"]


def test_an_effort_that_it_does_not_take_is_refused_in_its_words(monkeypatch):
    said = "'reasoning_effort' does not support 'none' with this model. Supported values are: minimal, low"
    with serving(HOSTED["GPT-5"].act) as server, pytest.raises(CouldNotRun, match=f"^the probe: .*{said}"):
        _ = of(server, "GPT-5", monkeypatch, reasoning_effort="none").fingerprint


def test_a_reasoning_that_took_all_tokens_is_an_empty_answer_that_was_cut(monkeypatch):
    asked = requests(Decoding(max_new_tokens=12), ["It drips."])
    for name in ("o-series", "Gemini"):
        with serving(HOSTED[name].act) as server:
            [found] = of(server, name, monkeypatch).complete(asked)
        assert (found.output, found.finish) == ("", "length")


# what an attacker found


def test_answers_that_are_all_cut_are_kept_when_an_error_ends_the_run():
    cut = answers("Once upon", choices=[{"index": 0, "finish_reason": "length", "message": {"content": "Once upon"}}])
    with serving(says("{}", 400), answers("Hello!"), cut, cut) as server:
        kept = []
        with pytest.raises(CouldNotRun):
            kept.extend(Server(server.model, quiet(), ModelOptions(in_flight=1)).complete(cases(3)))

    assert [each.output for each in kept] == ["Once upon"] * 2


def test_a_refusal_is_an_answer_on_a_constrained_rung_too():
    refusal = [{"index": 0, "finish_reason": "stop", "message": {"content": None, "refusal": "I cannot."}}]
    request = replace(cases(1)[0], constraint=Constraint('{"type": "object"}'))
    with serving(holds("response_format", output="{}")) as server:
        model = Server(server.model, quiet(), ModelOptions())
        assert model._way
        server.then = answers(choices=refusal)
        [answer] = model.complete([request])

    assert (answer.output, answer.finish) == ("I cannot.", "stop")


def test_a_count_that_is_written_as_a_decimal_is_a_count():
    with serving(answers(usage={"prompt_tokens": 7.0, "completion_tokens": 5.0, "total_tokens": 12.0})) as server:
        [answer] = plain(server).complete(cases(1))

    assert [type(each) for each in (answer.tokens_in, answer.tokens_out)] == [int, int]


def test_a_word_of_english_is_no_field():
    said = json.dumps({"error": {"message": "The temperature of the GPU is high."}})
    with serving(answers(), says(said, 400)) as server:
        assert "temperature" not in plain(server)._dialect.without


def test_a_name_without_end_is_no_answer():
    with serving(answers(model="m" * 10_000)) as server, pytest.raises(CouldNotRun) as error:
        given(plain(server), cases(1))

    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize("url", ["http://[v1.x]/v1", f"http://localhost/{'a' * 70_000}/v1", "http://\u2603.test:80/v1"])
def test_an_address_that_is_none_is_told_in_a_line(url, monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    with pytest.raises((CouldNotRun, Refused), match="expected ") as error:
        _ = Server(f"openai:{url}#m", quiet(), ModelOptions(deadline=1)).fingerprint

    assert "\n" not in str(error.value)


def test_a_key_in_the_place_of_its_host_is_not_shown(monkeypatch):
    monkeypatch.setenv("TUNEGATE_API_KEY", "api.example.com")
    monkeypatch.setenv("TUNEGATE_API_HOST", "sk-not-to-be-seen")
    with pytest.raises(Refused, match="found another") as error:
        _ = Server("openai:https://api.example.com/v1#m", quiet(), ModelOptions()).fingerprint

    assert "sk-not" not in str(error.value)
