"""Responses of a server that look valid and are not: none is scored as an output, and what passes is retried."""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
import zlib

import pytest

from tests.integration.models.test_huggingface import requests
from tests.support.fault_server import GOOD, Act, FaultServer, answers, drips, reply, says, serving, stalls
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client
from tunegate.harness.models.served import server as server_module
from tunegate.harness.models.served.anthropic import AnthropicServer
from tunegate.harness.models.served.http_client import LACKING_TRIES
from tunegate.harness.models.served.server import Server

PROBE = 1  # request
BLANK = ["", " \n\t", "\0\0", "\u200b\ufeff", None]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.1)


def of(server: FaultServer, **options: object) -> Server:
    return Server(server.model, quiet(), ModelOptions(**{"deadline": 5} | options))


def one(model: Server) -> Completion:
    [found] = model.complete(requests(texts=["It drips."]))
    return found


def message(finish: str = "stop", **fields: object) -> Act:
    return answers(choices=[{"index": 0, "finish_reason": finish, "message": {"role": "assistant", **fields}}])


# empty outputs


@pytest.mark.parametrize("blank", BLANK)
def test_an_empty_output_is_asked_for_again(blank):
    with serving(answers(), answers(), answers(blank), answers(blank)) as server:
        model = of(server)
        assert one(model).output == GOOD

    assert len(server.asked) == PROBE + 3
    assert model.notes_at_end == []


@pytest.mark.parametrize("blank", BLANK)
def test_one_that_stays_empty_has_no_score_and_is_counted(blank):
    with serving(answers(blank), answers()) as server:
        model = of(server)
        assert not one(model).is_given

    assert len(server.asked) == PROBE + LACKING_TRIES
    [note] = model.notes_at_end
    assert note.startswith("tuned: 1 case got an empty output in each of 5 tries, and is unscored")


def test_a_text_with_nul_has_no_score_either():
    with serving(answers("bil\0ling")) as server:
        model = of(server)
        assert one(model).output is None

    assert "1 case got an output with the character NUL" in model.notes_at_end[0]


def test_an_empty_text_of_given_token_ids_has_no_score(tiny_model):
    with serving(answers("")) as server:
        assert one(of(server, tokenizer=str(tiny_model))).output is None


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_calls_are_an_output_without_a_text(finish):
    calls = [{"id": "a", "type": "function", "function": {"name": "cancel", "arguments": "{}"}}]
    with serving(message(finish, content="", tool_calls=calls), answers()) as server:
        model = of(server)
        one(model)

    assert len(server.asked) == PROBE + 1  # whether they were offered or not


def test_an_output_that_was_cut_before_its_text_is_one():
    with serving(message("length", content="")) as server:
        assert one(of(server)).output == ""


def test_an_empty_output_of_the_messages_api_has_no_score():
    body = {"model": "m", "role": "assistant", "content": [{"type": "text", "text": ""}], "stop_reason": "end_turn"}
    with serving(says(json.dumps(body))) as server:
        model = AnthropicServer(f"anthropic:{server.address}/v1#m", quiet(), ModelOptions(deadline=5))
        assert one(model).output is None

    assert "an empty output" in model.notes_at_end[0]


@pytest.mark.parametrize("content", [None, "", " "])
def test_a_refusal_is_what_the_model_said_and_is_named(content):
    with serving(message(content=content, refusal="I cannot."), answers()) as server:
        model = of(server)
        assert one(model).output == "I cannot."

    assert model.notes_at_end == ["tuned: 1 output came in the field `refusal`: it is scored as what the model said"]


# what takes for ever


def dawdles(handler, _) -> None:
    """Begin the headers of a response, and never end them."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.faults.over.wait(0.05):
        try:
            handler.wfile.write(b"X-Slow: yes\r\n")
        except OSError:
            break
    handler.close_connection = True


@pytest.mark.parametrize("act", [stalls, drips, dawdles])
def test_a_try_that_does_not_end_is_followed_by_another(act):
    with serving(answers(), answers(), act) as server:
        assert one(of(server, deadline=2, stall=1)).output == GOOD

    assert len(server.asked) == PROBE + 2


def test_a_try_ends_after_the_time_without_a_byte():
    with serving(answers(), answers(), stalls, stalls) as server:
        assert one(of(server, deadline=600, stall=1)).output == GOOD

    assert len(server.asked) == PROBE + 3


def test_one_that_stalls_each_time_ends_the_run_and_says_so():
    said = "within 3 s, found none .*no byte for 1 s"
    with serving(stalls, answers()) as server, pytest.raises(CouldNotRun, match=said):
        one(of(server, deadline=3, stall=1))


# bodies


def packed(body: bytes, coding: str) -> Act:
    return says(body, 200, Content_Encoding=coding)


def test_gzip_is_read_although_nobody_asked_for_it():
    def act(handler, body) -> None:
        handler.send(gzip.compress(json.dumps(reply(body)).encode()), Content_Encoding="gzip")

    with serving(act) as server:
        assert one(of(server)).output == GOOD


@pytest.mark.parametrize(
    ("body", "coding", "found"),
    [
        (zlib.compress(b"{}"), "deflate", "a body in deflate, although none was asked for"),
        (b"\x8b", "br", "a body in br, although none was asked for"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-9], "gzip", "a body in gzip that is cut"),
        (b"\x1f\x8bnothing", "gzip", "a body in gzip that cannot be read"),
    ],
    ids=["deflate", "br", "cut", "damaged"],
)
def test_what_cannot_be_unpacked_is_named(body, coding, found):
    with serving(packed(body, coding), answers()) as server, pytest.raises(CouldNotRun, match=found):
        one(of(server))


def test_a_small_body_that_unpacks_to_a_flood_is_not_read():
    flood = gzip.compress(b" " * (1 << 25))
    with serving(packed(flood, "gzip"), answers()) as server, pytest.raises(CouldNotRun, match="found more"):
        one(of(server))


USAGES = [
    None, [], "7", 7, {}, {"prompt_tokens": "7"}, {"prompt_tokens": -1}, {"prompt_tokens": True}, {"prompt_tokens": []},
    {"prompt_tokens": 1e300}, {"prompt_tokens": 10**40}, {"prompt_tokens": 7.5}, {"completion_tokens": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("usage", USAGES)
def test_a_broken_count_of_tokens_costs_no_run(usage):
    with serving(answers(usage=usage)) as server:
        found = one(of(server))

    assert (found.output, found.tokens_in, found.tokens_out) == (GOOD, None, None)


@pytest.mark.parametrize("usage", [*USAGES, {"input_tokens": "3"}, {"input_tokens": 3, "output_tokens": "five"}])
def test_nor_in_the_messages_api(usage):
    body = {"model": "m", "content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn", "usage": usage}
    with serving(says(json.dumps(body))) as server:
        model = AnthropicServer(f"anthropic:{server.address}/v1#m", quiet(), ModelOptions(deadline=5))
        assert one(model).tokens_out is None


# Ctrl-C


def interrupts(at: int, arrived: threading.Barrier) -> Act:
    """Interrupt the run once so many requests are under way, then answer them."""

    def act(handler, body) -> None:
        if body["messages"][-1]["content"] != "Hello." and arrived.wait() == at - 1:
            os.kill(os.getpid(), signal.SIGINT)
        handler.send(json.dumps(reply(body)))

    return act


def test_after_ctrl_c_no_request_starts_and_those_under_way_are_kept():
    together, came = 4, []
    with serving(interrupts(together, threading.Barrier(together, timeout=9))) as server:
        model = of(server, in_flight=together)
        with pytest.raises(KeyboardInterrupt):
            came.extend(model.complete(requests(texts=[f"{n} drips." for n in range(20)])))

    assert len(came) == together
    assert len(server.asked) == PROBE + together


def test_a_response_that_does_not_come_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(server_module, "LAST_SECONDS", 0.1)

    def act(handler, body) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        stalls(handler, body)

    with serving(act, answers()) as server, pytest.raises(KeyboardInterrupt):
        one(of(server, deadline=600))
