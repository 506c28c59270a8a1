"""A server as a model: what it is asked and may answer; and that a fault ends soon, in clear words, without a score."""

from __future__ import annotations

import email.utils
import json
import shutil
import time
from pathlib import Path

import pytest

from tests.integration.models.test_huggingface import edit, requests
from tests.support.fault_server import (
    GOOD,
    MODEL,
    FaultServer,
    answers,
    drips,
    drops,
    finds,
    halves,
    leaves,
    reply,
    resets,
    says,
    serving,
    slowly,
    stalls,
    takes_only,
    tears,
)
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.backends import split_server
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.local.loglikelihood import log_probabilities
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client, pace
from tunegate.harness.models.served.http_client import api_key
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.tokenizer import render_prompt

STANDARD = {
    "model": MODEL, "max_tokens": 12, "temperature": 0.0, "top_p": 1.0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "seed": 0, "stop": None, "n": 1, "stream": False,
}  # fmt: skip
FURTHER = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
LATER = email.utils.formatdate(time.time() + 9000, usegmt=True)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.1)


def of(server: FaultServer, **options: object) -> Server:
    return Server(server.model, quiet(), ModelOptions(**{"deadline": 2} | options))


def outputs(model: Server, asked: list[Request]) -> dict[str, str | None]:
    return {answer.key: answer.output for answer in model.complete(asked)}


# what it is asked


def test_chat_messages_with_every_field_of_decoding():
    with serving(answers()) as server:
        model, [asked] = of(server), requests(texts=["It drips."])
        assert outputs(model, [asked]) == {asked.key: GOOD}

    messages = [{"role": "system", "content": "Sort."}, {"role": "user", "content": "It drips."}]
    assert server.asked[-1].path == "/v1/chat/completions"
    assert server.asked[-1].body == STANDARD | FURTHER | {"messages": messages}
    assert "Authorization" not in server.asked[-1].headers
    assert dict(model.fingerprint.engine) == {
        "backend": "openai", "prompt": "chat messages", "sampling": "every field"
    }  # fmt: skip


def test_token_ids_of_the_prompt_that_a_local_model_would_read(tiny_model):
    with serving(answers()) as server:
        model, [asked] = of(server, tokenizer=str(tiny_model)), requests(texts=["It drips."])
        assert outputs(model, [asked]) == {asked.key: GOOD}
        fingerprint = model.fingerprint

    prompt = render_prompt(model.tokenizer, asked)
    ids = model.tokenizer(prompt, add_special_tokens=False).input_ids
    assert server.asked[-1].path == "/v1/completions"
    assert server.asked[-1].body == STANDARD | FURTHER | {"prompt": ids}
    local = Local(str(tiny_model), quiet()).fingerprint.subject
    assert fingerprint.engine["prompt"] == "token ids"
    assert [fingerprint.subject[part] for part in ("tokenizer", "template")] == [local["tokenizer"], local["template"]]


def test_a_server_that_knows_the_standard_fields_alone_is_asked_those_and_the_record_says_so():
    with serving(takes_only(STANDARD.keys() | {"messages"})) as server:
        model = of(server)
        assert outputs(model, requests())

    assert model.fingerprint.engine["sampling"] == "standard fields"


def test_a_sampled_answer_has_a_seed_of_its_own_and_the_same_one_again():
    with serving(answers()) as server:
        sampled = requests(Decoding(max_new_tokens=12, temperature=0.7, top_p=0.9, seed=3))
        for _ in range(2):
            outputs(of(server, in_flight=1), sampled)
        seeds = [each.body["seed"] for each in server.asked if each.body["temperature"]]

    assert seeds[: len(sampled)] == seeds[len(sampled) :]
    assert len(set(seeds)) == len(sampled)
    assert {each.body["top_p"] for each in server.asked if each.body["temperature"]} == {0.9}


def test_so_many_at_a_time():
    at_a_time = 3
    with serving(slowly) as server:
        asked = requests(texts=[f"message {number}" for number in range(12)])
        assert len(outputs(of(server, in_flight=at_a_time), asked)) == 12

    assert server.most == at_a_time


def test_tokens_are_those_that_the_server_counts():
    with serving(answers()) as server:
        [answer] = of(server).complete(requests(texts=["It drips."]))

    assert (answer.tokens_in, answer.tokens_out, answer.finish) == (7, 5, "stop")


def test_who_gives_up_early_waits_for_nobody():
    with serving(stalls, answers(), answers()) as server:
        given = of(server, deadline=3600).complete(requests())  # an hour, were it to wait
        next(given)
        given.close()


# what mends itself


PASSING = {
    "drops": drops, "resets": resets, "halves": halves, "leaves": leaves, "tears": tears,
    "429": says("", 429), "503": says("", 503),
}  # fmt: skip


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_another_try_mends_is_tried_again(fault):
    with serving(answers(), answers(), fault, fault) as server:
        assert len(outputs(of(server), requests())) == len(requests())

    assert len(server.asked) == 1 + len(requests()) + 2


def test_it_comes_back_when_it_is_asked_to():
    with serving(answers(), says("", 429, Retry_After="1")) as server:
        start = time.monotonic()
        assert of(server, deadline=9).fingerprint

        assert time.monotonic() - start >= 1


def test_tokens_of_a_reasoning_count_towards_those_a_minute(monkeypatch):
    monkeypatch.setattr(pace, "MINUTE", 1.0)
    with serving(answers()) as server:
        start = time.monotonic()
        outputs(of(server, tokens_per_minute=1000, reasoning_tokens=100), requests())

        assert time.monotonic() - start >= 4 * 0.1


def test_nobody_waits_for_his_turn_after_an_error_that_ends_the_run():
    refuses = pytest.raises(CouldNotRun, match="status 401: no")
    with serving(answers(), answers(), says("no", 401)) as server, refuses:
        outputs(of(server, requests_per_minute=1), requests())  # the fifth one's turn would come in four minutes

    assert len(server.asked) == 2


def test_an_answer_that_was_cut_is_kept_where_an_error_ends_the_run():
    asked, given = requests(), []
    with serving(answers(), answers(), finds("length"), answers(), says("no", 401)) as server:
        model = of(server, in_flight=1)
        with pytest.raises(CouldNotRun, match=f"{asked[2].key}: .*status 401: no"):
            given.extend(model.complete(asked))

    assert {answer.key for answer in given} == {asked[0].key, asked[1].key}


# what does not: in bounded time, in clear words, and never a score

FAULTS = {
    "stalls": (stalls, "within 2 s, found none .before that: no whole response in 1 s.; is the server stuck, or"),
    "drips": (drips, "expected a response within 2 s, found none"),
    "drops": (drops, r"expected a response, found none in \d+ tries: RemoteProtocolError: Server disconnected"),
    "halves": (halves, r"expected a response, found none in \d+ tries: RemoteProtocolError: peer closed connection"),
    "429, come back in an hour": (says("", 429, Retry_After="3600"), "status 429: nothing; it asks to wait 3600 s"),
    "429, come back at a time": (says("", 429, Retry_After=LATER), r"status 429: nothing; it asks to wait \d{4} s"),
    "429 for ever": (says("", 429, Retry_After="soon"), "expected a response within 2 s, found"),
    "500": (says('{"error": {"message": "out of memory"}}', 500), r"found none in \d+ tries: status 500: out of mem"),
    "401": (says('{"detail": "who?"}', 401), r"found status 401: who\?; the key is read from TUNEGATE_API_KEY"),
    "404": (says("<html>", 404), "found status 404: <html>; check that the address ends in /v1"),
    "elsewhere": (says("", 307, Location="http://127.0.0.1:1/"), "found status 307: nothing"),
    "no JSON": (says("Service is up!"), r"found none in \d+ tries: no JSON \(a mistake in column 1\)?.*Service is up!"),
    "NaN": (says('{"model": NaN}'), r"found none in \d+ tries: no JSON \("),
    "no UTF-8": (says(json.dumps(reply({}, "caf\xe9"), ensure_ascii=False).encode("latin-1")), "no UTF-8: .*caf\ufffd"),
    "half of the JSON": (says('{"model": "tuned", "choices": ['), r"found none in \d+ tries: no JSON \("),
    "a list": (says("[]"), r"found none in \d+ tries: no JSON object: \[\]"),
    "bytes": (says("\x00\x1b[2J"), r"no JSON \(.*\\x00\\x1b\[2J"),
    "no choices": (answers(choices=[]), r"an invalid response: \$\.choices: \[\] should be non-empty"),
    "two choices": (answers(choices=[{"text": "a"}] * 2), "an invalid response: .*choices"),
    "no text": (answers(choices=[{"finish_reason": "stop"}]), "an invalid response: .*choices"),
    "the text of the other endpoint": (answers(choices=[{"text": "a"}]), "'message' is a required property"),
    "another choice": (answers(choices=[{"index": 1, "message": {}}]), r"index: 1 is not one of \[0, None\]"),
    "another role": (answers(choices=[{"message": {"role": "user"}}]), "role: 'user' is not one of"),
    "no model": (says('{"choices": [{"text": ""}]}'), "an invalid response: .*'model' is a required"),
    "a flood": (says(" " * (1 << 25)), "/chat/completions: expected a response of at most 16,777,216 bytes, found"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_ends_with_clear_words(fault, said):
    with serving(fault, answers()) as server:  # the probe is answered
        with pytest.raises(CouldNotRun, match=said) as error:
            outputs(of(server), requests(texts=["It drips."]))

        assert "\n" not in str(error.value)


def test_who_is_not_there_is_told_soon():
    with serving(answers()) as server:
        model = of(server)

    with pytest.raises(CouldNotRun, match=r"expected a response, found none in 6 tries: ConnectError: .*; is it up\?"):
        _ = model.fingerprint


@pytest.mark.parametrize("first", [True, False], ids=["at once", "later"])
def test_a_server_that_answers_as_another_model_is_refused_with_its_name(first):
    said = r"expected outputs of tuned, found outputs of other at .*/v1#other"
    with serving(answers(model="other"), *([] if first else [answers()])) as server, pytest.raises(Refused, match=said):
        outputs(of(server), requests())


def test_an_alias_may_lead_to_a_version_of_its_name_and_the_names_say_to_which():
    with serving(answers(model=f"{MODEL}-2026-08-07")) as server:
        model = of(server)
        assert outputs(model, requests(texts=["?"])) == {"desk/triage/0": GOOD}

    assert model.fingerprint.names["served"] == f"{MODEL}-2026-08-07"


def test_an_alias_that_leads_elsewhere_in_the_middle_is_refused():
    said = "expected outputs of tuned-2026-08-07, found outputs of tuned-2026-11-01 at .*: tuned changed meanwhile"
    before, after = (answers(model=f"{MODEL}-{day}") for day in ("2026-08-07", "2026-11-01"))
    with serving(after, before, before) as server, pytest.raises(Refused, match=said):
        outputs(of(server, in_flight=1), requests())


def test_a_server_that_reads_other_tokens_is_refused(tiny_model):
    said = r"token ids were sent, but .* counts 99: it adds some, or reads them as text"
    with serving(answers(usage={"prompt_tokens": 99})) as server, pytest.raises(Refused, match=said):
        outputs(of(server, tokenizer=str(tiny_model)), requests())


@pytest.mark.parametrize("act", [finds("content_filter"), finds("tool_calls"), finds(None)])
def test_what_is_no_answer_is_unscored(act):
    with serving(act) as server:
        assert outputs(of(server), requests(texts=["It drips."])) == {"desk/triage/0": None}


def test_a_strange_end_is_named():
    with serving(finds("END_TURN")) as server:
        model = of(server)
        outputs(model, requests(texts=["It drips.", "It leaks."]))

    [note] = model.notes_at_end
    assert "2 outputs ended with the finish_reason END_TURN; expected stop or length" in note


@pytest.mark.parametrize(("finish", "output"), [("length", ""), ("content_filter", None), ("stop", None)])
def test_a_message_without_content_is_no_answer_unless_it_was_cut(finish, output):
    empty = answers(choices=[{"index": 0, "finish_reason": finish, "message": {"role": "assistant"}}])
    with serving(empty) as server:
        assert outputs(of(server), requests(texts=["It drips."])) == {"desk/triage/0": output}


@pytest.mark.parametrize("finish", ["stop", "eos", "eos_token"])
def test_an_answer_that_came_to_its_end_counts_however_the_server_calls_that(finish):
    with serving(finds(finish)) as server:
        assert outputs(of(server), requests(texts=["It drips."])) == {"desk/triage/0": GOOD}


# likelihoods of given texts


def echoes(folder: Path):
    """A server that has the log-probabilities of what it is given, as vLLM does."""
    model = Local(str(folder), quiet()).base.with_adapter(None)

    def act(handler, body) -> None:
        found = reply(body)
        if body.get("echo"):
            [first, *rest] = body["prompt"]
            [logprobs] = log_probabilities(model, [([first], rest)])
            found["choices"][0]["logprobs"] = {"token_logprobs": [None, *logprobs, -0.5]}
        handler.send(json.dumps(found))

    return act


def of_texts() -> list[Request]:
    return [
        Request("desk/passages/a", (), Decoding(), texts=("It drips again.",)),
        Request("desk/pairs/b", (("user", "Why?"),), Decoding(), texts=("Air.", "A pump that hums.")),
    ]


def test_likelihoods_are_those_of_the_model_itself(tiny_model):
    with serving(echoes(tiny_model)) as server:
        given = {each.key: each.logprobs for each in of(server, tokenizer=str(tiny_model)).complete(of_texts())}

    assert given == {each.key: each.logprobs for each in Local(str(tiny_model), quiet()).complete(of_texts())}


def test_likelihoods_that_are_asked_again_are_those_of_the_repeat(tiny_model):
    asked = Request("desk/passages/a", (), Decoding(), texts=("It drips.",), repeat=1)
    with serving(echoes(tiny_model)) as server:
        [found] = of(server, tokenizer=str(tiny_model)).complete([asked])
    assert (found.key, found.repeat) == ("desk/passages/a", 1)


NONE = "expected log-probabilities of a given text .*, but tuned at .* has "


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (answers(), f"{NONE}none of them in its response; leave such units out"),
        (takes_only(STANDARD.keys() | FURTHER.keys() | {"prompt"}), f"{NONE}.*found status 400: unknown field echo"),
    ],
    ids=["ignores", "refuses"],
)
def test_a_server_without_them_is_refused_before_anything_is_generated(tiny_model, act, said):
    with serving(act) as server, pytest.raises(Refused, match=said):
        outputs(of(server, tokenizer=str(tiny_model)), [*requests(), *of_texts()])

    assert sum("echo" not in each.body for each in server.asked) == 1, "the probe alone"


TALK = Request(
    "desk/chat/a", (("user", "It drips."), ("assistant", "Where?"), ("user", "Below.")), Decoding(max_new_tokens=12)
)


def test_a_conversation_is_sent_turn_by_turn():
    with serving(answers()) as server:
        assert outputs(of(server), [TALK]) == {TALK.key: GOOD}

    turns = [{"role": role, "content": text} for role, text in TALK.messages]
    assert server.asked[-1].body["messages"] == turns


def test_turns_that_the_servers_template_refuses_are_named_with_their_case():
    wrong = says(json.dumps({"error": {"message": "roles must alternate"}}), 400)
    with serving(wrong, answers()) as server, pytest.raises(Refused) as refused:
        outputs(of(server), [TALK])

    assert str(refused.value).startswith(
        "desk/chat/a: expected turns that the server's chat template accepts, found user, assistant, user: "
    )
    assert str(refused.value).endswith("found status 400: roles must alternate")


TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9120 tokens."


def test_turns_that_are_too_long_are_not_taken_for_turns_that_it_does_not_take():
    too_long = says(json.dumps({"error": {"message": TOO_LONG, "code": "context_length_exceeded"}}), 400)
    with serving(too_long, answers()) as server, pytest.raises(CouldNotRun, match=f"^{TALK.key}: http.*{TOO_LONG}"):
        outputs(of(server), [TALK])


def test_a_conversation_whose_reasoning_took_all_tokens_has_an_empty_answer():
    said = "Could not finish the message because max_tokens or model output limit was reached. Please try again."
    with serving(says(json.dumps({"error": {"message": said}}), 400), answers()) as server:
        assert outputs(of(server), [TALK]) == {TALK.key: ""}


def test_in_chat_messages_there_are_none():
    with serving(answers()) as server, pytest.raises(Refused, match="needs token ids: name the tokenizer with"):
        outputs(of(server), of_texts())


# its name


@pytest.mark.parametrize(
    "name",
    [
        "openai:",
        "openai:localhost:8000/v1#m",
        "openai:http://host/v1",
        "openai:ftp://host/v1#m",
        "openai:http:///v1#m",
        "openai:http://[::1/v1#m",
        "openai:http://host:99999/v1#m",
    ],
)
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(Refused, match=r"expected a name such as openai:http://localhost:8000/v1#my-model"):
        split_server(name)


@pytest.mark.parametrize("name", ["openai:http://me:secret@host/v1#m", "openai:https://host/v1?key=secret#m"])
def test_a_secret_in_an_address_is_refused_and_not_shown(name):
    with pytest.raises(Refused, match="expected an address without a user, a password and a query") as error:
        split_server(name)
    assert "secret" not in str(error.value)


def test_another_address_or_name_or_tokenizer_is_another_model(tiny_model, tmp_path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    edit(other / "tokenizer_config.json", add_prefix_space=True)

    def key(server: FaultServer, **options: object) -> str:
        return of(server, **options).fingerprint.generation(requests()[0])

    with serving(answers()) as one, serving(answers()) as two:
        asked = [(one, {}), (two, {}), (one, {"tokenizer": str(tiny_model)}), (one, {"tokenizer": str(other)})]
        assert len({key(server, **options) for server, options in asked}) == 4
        assert key(one, in_flight=1, deadline=9) == key(one)


# its key


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setenv("TUNEGATE_API_KEY", 'sk-not/to"be\\seen')
    return 'sk-not/to"be\\seen'


def meant_for(monkeypatch, server: FaultServer) -> FaultServer:
    monkeypatch.setenv("TUNEGATE_API_HOST", server.address.removeprefix("http://"))
    return server


def test_the_key_is_sent_and_a_server_that_repeats_it_does_not_show_it(key, monkeypatch):
    with serving(answers(f"your key is {key}"), answers()) as server:
        meant_for(monkeypatch, server)
        assert outputs(of(server), requests(texts=["?"])) == {"desk/triage/0": "your key is [key]"}
        assert server.asked[0].headers["Authorization"] == f"Bearer {key}"
        server.then = says(json.dumps({"error": f"bad key {key}"}), 401)
        with pytest.raises(CouldNotRun, match=r"status 401: bad key \[key\]"):
            outputs(of(server), requests())


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_what_is_asked_in_the_clear_goes_past_no_proxy(key, monkeypatch, name):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(answers()) as server, serving(answers()) as proxy:
        monkeypatch.setenv(name, proxy.address)
        outputs(of(meant_for(monkeypatch, server)), requests(texts=["?"]))

    assert (len(proxy.asked), server.asked[0].headers["Authorization"]) == (0, f"Bearer {key}")


def test_what_is_asked_over_https_goes_through_the_proxy_and_is_not_shown_to_it(key, monkeypatch):
    monkeypatch.setenv("TUNEGATE_API_HOST", "api.example.com")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(answers()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        with pytest.raises(CouldNotRun, match="found none in 6 tries: ProxyError: 501"):  # it takes no CONNECT
            outputs(Server("openai:https://api.example.com/v1#m", quiet(), ModelOptions()), requests())

    assert proxy.asked == []


TOLD = {
    "a key of JSON twice": ('{"%s": 1, "%s": 2}', "no JSON (the key '[key]' twice)"),
    "no JSON": ("<%s>", "<[key]>"),
    "another model": ('{"model": "%s", "choices": [{"message": {}}]}', "found outputs of [key] at"),
    "something else": ('{"model": "m", "choices": "%s"}', "'[key]' is not of type 'array'"),
    "an error": ('{"error": {"message": "%s"}}', "found status 400: [key]"),
    "an error in an error": ('{"error": "{\\"message\\": \\"%s\\"}"}', '{"message": "[key]"}'),
}


@pytest.mark.parametrize("escape", ["\\u{:04x}", "\\u{:04X}", "\\\\u{:04x}"])
@pytest.mark.parametrize(("text", "said"), TOLD.values(), ids=TOLD)
def test_a_key_in_the_escapes_of_json_is_shown_in_no_message(key, monkeypatch, escape, text, said):
    escaped = "".join(escape.format(ord(char)) for char in key)
    status = 400 if "error" in text else 200
    with serving(says(text.replace("%s", escaped), status)) as server, pytest.raises((CouldNotRun, Refused)) as error:
        outputs(of(meant_for(monkeypatch, server)), requests())

    assert said in str(error.value)
    assert key not in str(error.value)
    assert escaped[-12:] not in str(error.value)


SENT = {
    "https://api.example.com/v1": "api.example.com",
    "https://API.example.com:443/v1": "api.example.com:443",
    "https://api.example.com:8443/v1": "API.example.com:8443",
    "http://localhost:8000/v1": "localhost:8000",
    "http://127.0.0.1/v1": "127.0.0.1",
    "http://[::1]:8000/v1": "[::1]:8000",
}


@pytest.mark.parametrize(("url", "host"), SENT.items())
def test_a_key_goes_to_the_host_and_port_that_it_is_for(key, monkeypatch, url, host):
    monkeypatch.setenv("TUNEGATE_API_HOST", host)
    assert api_key(url) == key


@pytest.mark.parametrize(
    ("url", "host", "set_to"),
    [
        ("https://api.example.com/v1", "", "api.example.com"),
        ("https://other.example.com/v1", "api.example.com", "other.example.com"),
        ("https://api.example.com:81/v1", "api.example.com", "api.example.com:81"),
        ("http://api.example.com:81/v1", "api.example.com", "api.example.com:81"),
        ("https://api.example.com/v1", "api.example.com:81", "api.example.com"),
        ("http://localhost:8001/v1", "localhost:8000", "localhost:8001"),
        ("http://[::1]:8000/v1", "[::1]", "[::1]:8000"),
    ],
)
def test_a_key_goes_to_no_other_host_or_port(key, monkeypatch, url, host, set_to):
    monkeypatch.setenv("TUNEGATE_API_HOST", host)
    with pytest.raises(Refused) as error:
        api_key(url)

    assert str(error.value) == (
        "TUNEGATE_API_KEY: expected the key's host in TUNEGATE_API_HOST, with its port if the address has one, "
        f"found {host or 'none'}; to send it to {set_to}, set TUNEGATE_API_HOST={set_to}"
    )


@pytest.mark.parametrize("host", ["api.example.com", "10.0.0.1:8000", "localhost.example.com"])
def test_a_key_is_not_sent_in_the_clear(key, monkeypatch, host):
    monkeypatch.setenv("TUNEGATE_API_HOST", host)
    with pytest.raises(Refused, match=rf"expected an address that begins with https://, found http://{host}/v1; a key"):
        api_key(f"http://{host}/v1")


def test_a_key_that_is_for_another_is_not_sent(key, monkeypatch):
    monkeypatch.setenv("TUNEGATE_API_HOST", "api.example.com")
    with serving(answers()) as server, pytest.raises(Refused, match=r"to send it to 127\.0\.0\.1:"):
        _ = of(server).fingerprint
    assert not server.asked


@pytest.mark.parametrize("key", ["sk-not-to-be-seen\nX-Header: 1", "sk-no\u200btto-be-seen", "EMPTY"])
def test_a_key_that_is_none_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("TUNEGATE_API_KEY", key)
    with serving(answers()) as server, pytest.raises(Refused, match="expected at least 12 printable") as error:
        _ = of(meant_for(monkeypatch, server)).fingerprint
    assert key[:5] not in str(error.value)
