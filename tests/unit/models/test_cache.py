"""Generations kept by content: what decides an output is in its key, and nothing else is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tunegate.harness.cases.model import Decoding
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.cache import Cached, Run, Store

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

    def complete(self, requests):
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
    first = list(Cached(model, store).complete([GREEDY]))
    again = Cached(model, store)
    second = list(again.complete([GREEDY]))
    assert (len(model.asked), again.reused) == (1, 1)
    assert [answer.output for answer in second] == [answer.output for answer in first] == ["answer 1"]
    assert second[0].generation == first[0].generation == FINGERPRINT.generation(GREEDY)


def test_a_kept_answer_has_no_latency(store):
    assert [answer.latency_s for answer in Cached(Counting(), store).complete([GREEDY])] == [0.25]
    assert [answer.latency_s for answer in Cached(Counting(), store).complete([GREEDY])] == [None]


def test_another_model_gets_its_own_answers(store):
    for part in ["base", "adapter", "tokenizer", "template"]:
        list(Cached(Counting(), store).complete([GREEDY]))
        other = Counting(replace(FINGERPRINT, subject=SUBJECT | {part: "another"}))
        list(Cached(other, store).complete([GREEDY]))
        assert len(other.asked) == 1


def test_another_engine_gets_its_own_answers(store):
    for part in ["backend", "torch", "dtype", "planner"]:
        list(Cached(Counting(), store).complete([GREEDY]))
        other = Counting(replace(FINGERPRINT, engine=ENGINE | {part: "another"}))
        list(Cached(other, store).complete([GREEDY]))
        assert len(other.asked) == 1


@pytest.mark.parametrize("request_", [
    replace(GREEDY, messages=(("system", "Sort!"), ("user", "It is cold."))),
    replace(GREEDY, messages=(("user", "Sort."), ("user", "It is cold."))),
    replace(GREEDY, messages=GREEDY.messages[1:]),
    replace(GREEDY, decoding=Decoding(max_new_tokens=9)),
    SAMPLED,
])  # fmt: skip
def test_another_prompt_or_decoding_is_asked(store, request_):
    model = Counting()
    list(Cached(model, store).complete([GREEDY]))
    list(Cached(model, store).complete([request_]))
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
    list(Cached(Counting(), store).complete([GREEDY]))
    renamed = Counting(fingerprint)
    assert [answer.output for answer in Cached(renamed, store).complete([GREEDY])] == ["answer 1"]
    assert renamed.asked == []


def test_a_greedy_answer_serves_every_case_with_the_same_prompt(store):
    list(Cached(Counting(), store).complete([GREEDY]))
    twin = replace(GREEDY, key="desk/other/b", decoding=replace(GREEDY.decoding, seed=7, top_p=0.5))
    model = Counting()
    assert [answer.key for answer in Cached(model, store).complete([twin])] == ["desk/other/b"]
    assert model.asked == []


@pytest.mark.parametrize("other", [
    replace(SAMPLED, repeat=1),
    replace(SAMPLED, key="desk/triage/b"),
    replace(SAMPLED, decoding=replace(SAMPLED.decoding, seed=2)),
    replace(SAMPLED, decoding=replace(SAMPLED.decoding, temperature=0.8)),
    replace(SAMPLED, decoding=replace(SAMPLED.decoding, top_p=0.9)),
])  # fmt: skip
def test_a_sampled_answer_is_of_its_case_repeat_and_seed_alone(store, other):
    model = Counting()
    list(Cached(model, store).complete([SAMPLED]))
    list(Cached(model, store).complete([SAMPLED]))
    list(Cached(model, store).complete([other]))
    assert model.asked == [SAMPLED, other]


def test_what_was_not_answered_is_not_kept(store):
    silent = Counting(silent=True)
    assert [answer.output for answer in Cached(silent, store).complete([GREEDY])] == [None]
    assert store.get(FINGERPRINT.generation(GREEDY)) is None
    assert [answer.output for answer in Cached(Counting(), store).complete([GREEDY])] == ["answer 1"]


def test_known_answers_come_before_the_store(store):
    list(Cached(Counting(), store).complete([GREEDY]))
    known = {FINGERPRINT.generation(GREEDY): Completion("x", "from the baseline")}
    assert [answer.output for answer in Cached(Counting(), store, known).complete([GREEDY])] == ["from the baseline"]


def test_each_answer_is_kept_as_it_comes(store):
    later = replace(GREEDY, key="desk/triage/b", messages=(("user", "It is hot."),))
    answers = Cached(Counting(), store).complete([GREEDY, later])
    next(answers)
    answers.close()  # an interrupted run
    model = Counting()
    list(Cached(model, store).complete([GREEDY, later]))
    assert model.asked == [later]


def test_a_file_that_is_no_store_says_what_to_do(tmp_path):
    path = tmp_path / "generations.sqlite"
    path.write_bytes(b"something else " * 100)
    with pytest.raises(CouldNotRun, match=r"generations\.sqlite: expected a store.*not a database; delete it"):
        Store(path)


def test_fresh_answers_are_asked_for_past_the_store_and_what_is_known_and_kept(store):
    list(Cached(Counting(), store).complete([GREEDY]))
    known = {FINGERPRINT.generation(GREEDY): Completion(GREEDY.key, "a forged answer")}
    model = Counting()
    model.asked.append("so that its next answer is another")
    assert [answer.output for answer in Cached(model, store, known, run=Run("another")).complete([GREEDY])] == [
        "answer 2"
    ]
    assert [answer.output for answer in Cached(Counting(), store).complete([GREEDY])] == ["answer 2"]


# bounded


def big(number: int) -> Completion:
    return Completion("case", f"{number:05} " * 2000)  # 12 kB


def key(number: int) -> str:
    return f"{number:064x}"


def filled(path, megabytes: int, count: int, start: int = 0) -> None:
    with closing(Store(path, megabytes)) as store:
        for number in range(start, start + count):
            store.put(key(number), big(number))


def test_what_is_kept_stays_within_its_bound(tmp_path):
    path = tmp_path / "generations.sqlite"
    filled(path, 2, 600)  # 7 MB

    assert path.stat().st_size < 6_000_000, "also while one run writes more than it"
    with closing(Store(path, 2)) as store:
        assert store.kept().used_bytes <= 2_000_000
        assert store.get(key(599)) == big(599), "the newest stays"
        assert store.get(key(0)) is None


def test_what_was_used_last_stays_longest(tmp_path, monkeypatch):
    path = tmp_path / "generations.sqlite"
    filled(path, 2, 100)  # 1.2 MB
    monkeypatch.setattr("time.time", lambda: 10.0 * 365 * 86_400 * 10)
    with closing(Store(path, 2)) as store:
        assert store.get(key(0)) == big(0)
    filled(path, 2, 90, start=1000)

    with closing(Store(path, 2)) as store:
        assert store.get(key(0)) == big(0)
        assert store.get(key(1)) is None


def test_within_the_bound_nothing_goes(tmp_path):
    path = tmp_path / "generations.sqlite"
    filled(path, 2, 100)
    with closing(Store(path, 2)) as store:
        assert store.kept().outputs == 100


# looked at, checked and cleared


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path))
    filled(tmp_path / "generations.sqlite", 2, 3)
    return tmp_path / "generations.sqlite"


def run(*arguments: str):
    return CliRunner().invoke(app, ["cache", *arguments])


def test_a_look_says_how_much_is_kept(kept):
    (kept.parent / "models/tiny-1").mkdir(parents=True)
    (kept.parent / "models/tiny-1/model.safetensors").write_bytes(b"0" * 2_000_000)
    done = run("--cache-size=50")

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("3 outputs, 0.1 of 50 MB (")
    assert "model tiny-1, 2.0 MB" in done.stdout


def test_a_check_finds_it_whole(kept):
    assert run("check").stdout.endswith("all entries are readable\n")


ODD = [
    '{"key": "a", "output": 5}', '{"key": "a", "output": "b", "tokens_in": "5"}', '{"key": "a", "output": ["b"]}',
    '{"key": "a", "output": "b", "tokens_out": true}', '{"key": "a", "output": null, "logprobs": [["-1"]]}',
    '{"key": "a", "output": "b", "sum": 1}',
]  # fmt: skip


def test_an_answer_of_other_types_is_none(kept):
    for answer in ODD:
        with closing(sqlite3.connect(kept)) as store, store:
            store.execute("UPDATE generations SET answer = ? WHERE key = ?", (answer, key(1)))
        with closing(Store(kept)) as store, pytest.raises(CouldNotRun, match="expected a store of generations, found"):
            store.get(key(1))


def test_a_store_that_another_process_writes_to_is_not_deleted(kept, monkeypatch):
    monkeypatch.setattr("tunegate.harness.models.cache.PATIENCE", 0.01)
    with closing(sqlite3.connect(kept, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        done = run("clear")
        writer.execute("ROLLBACK")

    assert done.exit_code == 3
    assert "another run has been writing for 0.01 s; wait until it ends" in done.stderr
    assert run().stdout.startswith("3 outputs")


def test_a_check_finds_an_answer_that_cannot_be_read(kept):
    for answer in ['{"key": "a"}', "{", '{"key": "a", "output": null}', "[]", *ODD]:
        with closing(sqlite3.connect(kept)) as store, store:
            store.execute("UPDATE generations SET answer = ? WHERE key = ?", (answer, key(1)))
        done = run("check")

        assert done.exit_code == 3
        assert (
            "expected complete outputs, found: the output under 000000000000 cannot be read; run: tunegate cache"
            in done.stderr
        )


def test_a_damaged_file_is_found_and_cleared(kept):
    content = bytearray(kept.read_bytes())
    content[4096:20_000] = b"\xff" * (20_000 - 4096)
    kept.write_bytes(content)

    assert run("check").exit_code == 3
    assert run("clear").exit_code == 0
    assert run().stdout.startswith("0 outputs")


def test_it_is_cleared(kept):
    assert run("clear").stdout.startswith("cleared: 3 outputs")
    assert json.loads(run("--json").stdout)["outputs"] == 0
    assert kept.stat().st_size < 50_000


def test_what_is_no_store_is_deleted(kept):
    kept.write_bytes(b"something else " * 100)
    assert run().exit_code == 3
    assert run("clear").exit_code == 0
    assert run().exit_code == 0
