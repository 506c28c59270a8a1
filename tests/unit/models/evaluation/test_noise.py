"""A model asked twice: what differs, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.support.records import ENGINE, LOCAL, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.evaluation.noise import measure_noise, run_twice
from tunegate.harness.models.evaluation.record import Noise, Record
from tunegate.harness.models.evaluation.scoring import evaluate

GOOD, BAD = '{"product": "boiler"}', "a boiler"
T = "desk/triage"


class Wavering:
    """A model whose repeats differ: c000 passes at first and then fails, of c001 another right answer comes."""

    can = frozenset({"generate", "loglik"})
    fingerprint = Fingerprint(LOCAL, ENGINE, {"model": "tiny"})

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        self.asked += [(each.key.rpartition("/")[2], each.repeat) for each in requests]
        for each in requests:
            yield Completion(each.key, self._output(each), repeat=each.repeat)

    def _output(self, request: Request) -> str | None:
        if request.key.endswith("c003"):
            return None
        first = request.repeat == 0
        return {"c000": GOOD if first else BAD, "c001": GOOD if first else f" {GOOD}"}.get(request.key[-4:], GOOD)


def asked_twice(tmp_path, repeats=1, **more) -> tuple[dict[str, Noise], Record, Wavering]:
    write_desk(tmp_path, 4, **more)
    units, model = load_tasks(tmp_path)[0].units, Wavering()
    record = evaluate(units, model, quiet(), repeats)
    model.asked.clear()
    return measure_noise(units, model, record, quiet()), record, model


def test_the_second_time_everything_is_asked_as_another_repeat_from_the_last_to_the_first(tmp_path):
    noise, _, model = asked_twice(tmp_path)

    assert model.asked == [("c003", 1), ("c002", 1), ("c001", 1), ("c000", 1)]
    assert noise == {T: Noise(asked=3, other_outputs=2, flips=("c000",))}  # c003 was never answered


def test_greedy_repeats_are_compared_and_nothing_is_asked(tmp_path):
    noise, record, model = asked_twice(tmp_path, repeats=2)

    assert model.asked == []
    assert noise[T].flips == ("c000",)
    assert [unit.key for unit in run_twice(load_tasks(tmp_path)[0].units, record)] == [T]


def test_what_is_sampled_varies_as_it_should(tmp_path):
    noise, record, model = asked_twice(tmp_path, generate={"temperature": 0.7})

    assert (noise, model.asked) == ({}, [])
    assert run_twice(load_tasks(tmp_path)[0].units, replace(record)) == []


def test_what_was_measured_in_words():
    for noise, words in [
        (Noise(60, 0, ()), "none of 60 cases flips on a re-run; 0 outputs differ"),
        (Noise(60, 3, ("a",)), "1 of 60 cases flips on a re-run (a); 3 outputs differ"),
        (Noise(60, 3, ("a", "b")), "2 of 60 cases flip on a re-run (a, b); 3 outputs differ"),
    ]:
        assert str(noise) == words
