"""--tg-timing: what is asked in which order, what is counted, what is refused, and that nothing comes from a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.evaluation.latency import SAMPLE, SEED, WARM_UP, render_timing, time_calls
from tunegate.harness.models.evaluation.run_facts import Speed, Timing
from tunegate.harness.models.options.run import Options

IDS = [f"case{number:02}" for number in range(40)]


class Clock:
    """Stands still but for what answers take."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Model:
    """Answers one request at a time in a known time; `asked` is shared, to see the order."""

    fingerprint = Fingerprint({}, {}, {"model": "model"})
    can = frozenset({"generate"})

    def __init__(self, name: str, clock: Clock, seconds: float, asked: list[tuple[str, str]]) -> None:
        self.name, self.clock, self.seconds, self.asked = name, clock, seconds, asked
        self.slow_start = 100.0

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        (request,) = requests
        self.asked.append((self.name, request.key))
        self.clock.now += self.seconds * (1 + int(request.key[-2:]) / 100) + self.slow_start
        self.slow_start = 0.0
        yield Completion(request.key, "...", 10, 30)


@pytest.fixture
def units(tmp_path: Path) -> Any:
    write_unit(tmp_path / "fixtures", IDS)
    return load_tasks(tmp_path / "fixtures")[0].units


@pytest.fixture
def measured(units: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    clock, asked = Clock(), []
    models = [Model("base", clock, 4.0, asked), Model("tuned", clock, 1.0, asked)]
    return time_calls(units, dict(zip(("base", "tuned"), models, strict=True)), "as-is", quiet(), clock), asked


def test_a_sample_is_timed_and_stated(measured):
    timing, asked = measured
    assert (timing.sample, timing.of, timing.seed, timing.warm_up) == (SAMPLE, 40, SEED, WARM_UP)
    assert len(set(timing.cases)) == SAMPLE
    assert len(asked) == 2 * (SAMPLE + WARM_UP)


def test_each_case_is_asked_of_both_in_turn_and_either_goes_first(measured):
    _, asked = measured
    turns = [asked[at : at + 2] for at in range(0, len(asked), 2)]
    assert all(first[1] == second[1] for first, second in turns)
    assert [first[0] for first, _ in turns[:4]] == ["base", "tuned", "base", "tuned"]
    assert all({first[0], second[0]} == {"base", "tuned"} for first, second in turns)


def test_the_warm_up_does_not_count(measured):
    timing, _ = measured
    assert timing.base.p95_s < 4 * 1.4
    assert timing.tuned.p95_s < 1.4


def test_speeds_and_their_ratio(measured):
    timing, _ = measured
    seconds = [1 + int(case[-2:]) / 100 for case in timing.cases]
    assert timing.tuned.median_s == pytest.approx(sorted(seconds)[9] / 2 + sorted(seconds)[10] / 2)
    assert timing.tuned.tokens_out == 30 * SAMPLE
    assert timing.tuned.tokens_per_s == pytest.approx(30 * SAMPLE / sum(seconds))
    assert timing.base.tokens_per_s == pytest.approx(timing.tuned.tokens_per_s / 4)
    assert timing.ratio.estimate == pytest.approx(0.25)
    assert timing.ratio.interval == pytest.approx([0.25, 0.25], abs=1e-5)


def test_another_run_times_the_same_cases(units, measured):
    clock = Clock()
    again = time_calls(
        units, {"base": Model("a", clock, 1, []), "tuned": Model("b", clock, 1, [])}, "as-is", quiet(), clock
    )
    assert again.cases == measured[0].cases


def test_what_people_read(measured):
    lines = render_timing(measured[0])
    assert "20 of 40 cases (seed 20260101), one prompt at a time" in lines[0]
    assert "for information only" in lines[0]
    assert lines[1].startswith("  base: median 4.")
    assert "tokens/s" in lines[2]
    assert lines[3] == "  a call of the tuned model takes 25 % of the base's time on average [95 %: 25, 25]"


def test_a_silent_model_cannot_be_timed(units):
    class Silent(Model):
        def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
            yield Completion(requests[0].key, None)

    clock = Clock()
    with pytest.raises(CouldNotRun, match="expected an output for desk/triage/case"):
        time_calls(
            units,
            {"base": Silent("base", clock, 1, []), "tuned": Model("tuned", clock, 1, [])},
            "as-is",
            quiet(),
            clock,
        )


def test_without_calls_there_is_nothing_to_time(units):
    clock = Clock()
    with pytest.raises(Refused, match="generate an output"):
        time_calls([], {"base": Model("a", clock, 1, []), "tuned": Model("b", clock, 1, [])}, "as-is", quiet(), clock)


@pytest.mark.parametrize(("more", "message"), [
    ({"model": "replay:out.jsonl"}, "the outputs are supplied, there is nothing to time"),
    ({}, "name one with --tg-adapter"),
])  # fmt: skip
def test_what_cannot_be_timed_is_refused(tmp_path, more, message):
    with pytest.raises(Refused, match=message):
        Options(tmp_path, timing=True, **more).check()


def test_long_times_have_no_powers_of_ten():
    speed = Speed(1234.5, 0.0004, 9, 12345.6)
    lines = render_timing(Timing(2, 2, seed=1, warm_up=0, cases=("a", "b"), tuned=speed))
    assert lines[1] == "  tuned: median 1234 s per call, 95 % within 0.0004 s, 12346 tokens/s"
