"""Generations kept by content: what decides an output is in its key, and nothing else is."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.fixtures.model import Decoding
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.cache import Cached, Store

SUBJECT = {"model": "tiny-1", "base": "b", "adapter": None, "tokenizer": "t", "template": "c", "rung": "as-is"}
ENGINE = {"backend": "transformers", "torch": "2.13", "dtype": "float32"}
FINGERPRINT = Fingerprint(SUBJECT, ENGINE, {"model": "tiny"})
GREEDY = Request("desk/triage/a", (("system", "Sort."), ("user", "It is cold.")), Decoding(max_new_tokens=8))
SAMPLED = replace(GREEDY, decoding=Decoding(8, temperature=0.7, seed=1))


class Counting:
    """A model that answers with its own count and remembers what it was asked."""

    can = frozenset({"generate"})

    def __init__(self, fingerprint: Fingerprint = FINGERPRINT, silent: bool = False) -> None:
        self.fingerprint, self.silent, self.asked = fingerprint, silent, []

    def answer(self, requests):
        for request in requests:
            self.asked.append(request)
            output = None if self.silent else f"answer {len(self.asked)}"
            yield Completion(request.key, output, 5, 2, 0.25, "stop", request.repeat)


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path / "cache" / "generations.sqlite")) as store:
        yield store


def test_what_was_answered_is_not_asked_again(store):
    model = Counting()
    first = list(Cached(model, store).answer([GREEDY]))
    again = Cached(model, store)
    second = list(again.answer([GREEDY]))
    assert (len(model.asked), again.reused) == (1, 1)
    assert [answer.output for answer in second] == [answer.output for answer in first] == ["answer 1"]
    assert second[0].generation == first[0].generation == FINGERPRINT.generation(GREEDY)


def test_a_kept_answer_has_no_latency(store):
    assert [answer.latency_s for answer in Cached(Counting(), store).answer([GREEDY])] == [0.25]
    assert [answer.latency_s for answer in Cached(Counting(), store).answer([GREEDY])] == [None]


@pytest.mark.parametrize("part", ["base", "adapter", "tokenizer", "template"])
def test_another_model_gets_its_own_answers(store, part):
    list(Cached(Counting(), store).answer([GREEDY]))
    other = Counting(replace(FINGERPRINT, subject=SUBJECT | {part: "another"}))
    list(Cached(other, store).answer([GREEDY]))
    assert len(other.asked) == 1


@pytest.mark.parametrize("part", ["backend", "torch", "dtype", "planner"])
def test_another_engine_gets_its_own_answers(store, part):
    list(Cached(Counting(), store).answer([GREEDY]))
    other = Counting(replace(FINGERPRINT, engine=ENGINE | {part: "another"}))
    list(Cached(other, store).answer([GREEDY]))
    assert len(other.asked) == 1


@pytest.mark.parametrize(
    "request_",
    [
        replace(GREEDY, messages=(("system", "Sort!"), ("user", "It is cold."))),
        replace(GREEDY, messages=(("user", "Sort."), ("user", "It is cold."))),
        replace(GREEDY, messages=GREEDY.messages[1:]),
        replace(GREEDY, decoding=Decoding(max_new_tokens=9)),
        SAMPLED,
    ],
)
def test_another_prompt_or_decoding_is_asked(store, request_):
    model = Counting()
    list(Cached(model, store).answer([GREEDY]))
    list(Cached(model, store).answer([request_]))
    assert model.asked == [GREEDY, request_]


@pytest.mark.parametrize(
    "fingerprint",
    [
        replace(FINGERPRINT, names={"model": "renamed", "adapter": "/elsewhere"}),
        replace(FINGERPRINT, subject=SUBJECT | {"model": "moved-1"}),
        replace(FINGERPRINT, subject=SUBJECT | {"rung": "few-shot"}),  # the rung is in the messages
    ],
)
def test_names_do_not_matter(store, fingerprint):
    list(Cached(Counting(), store).answer([GREEDY]))
    renamed = Counting(fingerprint)
    assert [answer.output for answer in Cached(renamed, store).answer([GREEDY])] == ["answer 1"]
    assert renamed.asked == []


def test_a_greedy_answer_serves_every_case_with_the_same_prompt(store):
    list(Cached(Counting(), store).answer([GREEDY]))
    twin = replace(GREEDY, key="desk/other/b", decoding=replace(GREEDY.decoding, seed=7, top_p=0.5))
    model = Counting()
    assert [answer.key for answer in Cached(model, store).answer([twin])] == ["desk/other/b"]
    assert model.asked == []


@pytest.mark.parametrize(
    "other",
    [
        replace(SAMPLED, repeat=1),
        replace(SAMPLED, key="desk/triage/b"),
        replace(SAMPLED, decoding=replace(SAMPLED.decoding, seed=2)),
        replace(SAMPLED, decoding=replace(SAMPLED.decoding, temperature=0.8)),
        replace(SAMPLED, decoding=replace(SAMPLED.decoding, top_p=0.9)),
    ],
)
def test_a_sampled_answer_is_of_its_case_repeat_and_seed_alone(store, other):
    model = Counting()
    list(Cached(model, store).answer([SAMPLED]))
    list(Cached(model, store).answer([SAMPLED]))
    list(Cached(model, store).answer([other]))
    assert model.asked == [SAMPLED, other]


def test_what_was_not_answered_is_not_kept(store):
    silent = Counting(silent=True)
    assert [answer.output for answer in Cached(silent, store).answer([GREEDY])] == [None]
    assert store.get(FINGERPRINT.generation(GREEDY)) is None
    assert [answer.output for answer in Cached(Counting(), store).answer([GREEDY])] == ["answer 1"]


def test_known_answers_come_before_the_store(store):
    list(Cached(Counting(), store).answer([GREEDY]))
    known = {FINGERPRINT.generation(GREEDY): Completion("x", "from the baseline")}
    assert [answer.output for answer in Cached(Counting(), store, known).answer([GREEDY])] == ["from the baseline"]


def test_each_answer_is_kept_as_it_comes(store):
    later = replace(GREEDY, key="desk/triage/b", messages=(("user", "It is hot."),))
    answers = Cached(Counting(), store).answer([GREEDY, later])
    next(answers)
    answers.close()  # an interrupted run
    model = Counting()
    list(Cached(model, store).answer([GREEDY, later]))
    assert model.asked == [later]


def test_a_file_that_is_no_store_says_what_to_do(tmp_path):
    path = tmp_path / "generations.sqlite"
    path.write_bytes(b"something else " * 100)
    with pytest.raises(CouldNotRun, match=r"generations\.sqlite: expected a store.*not a database; delete it"):
        Store(path)


def test_fresh_answers_are_asked_for_past_the_store_and_what_is_known_and_kept(store):
    list(Cached(Counting(), store).answer([GREEDY]))
    known = {FINGERPRINT.generation(GREEDY): Completion(GREEDY.key, "a forged answer")}
    model = Counting()
    model.asked.append("so that its next answer is another")
    assert [answer.output for answer in Cached(model, store, known, fresh=True).answer([GREEDY])] == ["answer 2"]
    assert [answer.output for answer in Cached(Counting(), store).answer([GREEDY])] == ["answer 2"]
