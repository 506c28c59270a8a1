"""A reference that was recorded on another engine: whether it is asked again, and what the engine alone changed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.support.records import ENGINE, LOCAL, answering, record, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.engines import ask_here, can_ask_base, is_elsewhere
from tunegate.harness.models.evaluation.record import Noise, Record
from tunegate.harness.models.evaluation.run_facts import EngineChange, RunAgain

T = "desk/triage"
HALF = ENGINE | {"dtype": "bfloat16"}
TUNED = LOCAL | {"adapter": "a" * 64}


@pytest.fixture
def tasks(tmp_path):
    write_desk(tmp_path, 6)
    return load_tasks(tmp_path)


def scored(tasks, scores: str, engine: dict, adapter: str | None = None, **more) -> Record:
    who = {"subject": LOCAL | {"adapter": adapter}, "engine": engine, "names": {"model": "tiny"}}
    return record(tasks, {T: scores}, adapter, fingerprint=who, **more)


def asked(tasks, references, **answers):
    models = {name.replace("_", " "): answering(each) for name, each in answers.items()}
    return ask_here(references, models, tasks[0].units, quiet(), 1)


def test_a_run_says_which_reference_it_is_of(tasks):
    steps = []

    @contextmanager
    def watch(step, *_):
        steps.append(step)
        yield lambda *_, **__: None

    base, here = scored(tasks, "111000", ENGINE), answering(scored(tasks, "111000", HALF))
    ask_here({"baseline": base}, {"baseline": here}, tasks[0].units, watch, 1)
    assert steps == ["Scoring tiny, the baseline"]


def test_the_base_of_an_adapter_whose_weights_lie_here_can_be_asked():
    for subject, engine, can in [
        (TUNED, HALF, True),
        (TUNED, ENGINE | {"backend": "vllm"}, True),
        (LOCAL | {"adapter": None}, HALF, False),
        (TUNED, {"backend": "openai"}, False),
        (TUNED, {"backend": "replay"}, False),
        (TUNED, {}, False),
    ]:
        assert can_ask_base(Fingerprint(subject, engine)) is can


@pytest.mark.parametrize(
    ("subject", "engine", "elsewhere"),
    [(TUNED, ENGINE, False), (TUNED, HALF, True), (TUNED | {"base": "other"}, HALF, False),
     (TUNED | {"rung": "steps"}, HALF, True)],
)  # fmt: skip
def test_a_reference_of_the_same_base_and_another_engine_is_elsewhere(tasks, subject, engine, elsewhere):
    assert is_elsewhere(scored(tasks, "110000", ENGINE), Fingerprint(subject, engine), tasks[0].units) is elsewhere


def test_what_fell_and_rose_with_the_engine_alone_is_told_by_unit(tasks):
    before, here = scored(tasks, "110000", ENGINE), scored(tasks, "101-00", HALF)
    found, changes = asked(tasks, {"baseline": before}, baseline=here)
    assert changes == {"baseline": RunAgain(ENGINE, {T: EngineChange(5, 2, ("c001",), ("c002",))})}
    assert found["baseline"].fingerprint == before.fingerprint | {"engine": HALF}
    assert [each.score for each in found["baseline"].cases.values()] == [1, 0, 1, None, 0, 0]
    assert found["baseline"].units[T].unscored == 1


def test_a_reference_that_nobody_names_stays_as_it_was_recorded(tasks):
    baseline, last = scored(tasks, "110000", HALF), scored(tasks, "111000", ENGINE, "b" * 64)
    found, changes = asked(
        tasks, {"baseline": baseline, "last release": last}, last_release=scored(tasks, "0" * 6, HALF)
    )
    assert found["baseline"] == baseline
    assert list(changes) == ["last release"]
    assert changes["last release"].units[T].lost == ("c000", "c001", "c002")


def test_what_flips_by_itself_is_measured_on_this_engine_where_it_was_measured_before(tasks):
    noise = {T: Noise(6, 2, ("c000", "c001"))}
    before, last = (
        scored(tasks, "110000", ENGINE, noise=noise),
        scored(tasks, "110000", ENGINE, "b" * 64, noise=noise),
    )
    here = scored(tasks, "110000", HALF)
    twice = replace(here, cases={key: replace(each, repeats=(each, each)) for key, each in here.cases.items()})
    found, _ = asked(tasks, {"baseline": before, "last release": last}, baseline=twice, last_release=here)
    assert [each.noise for each in found.values()] == [{T: Noise(6, 0, ())}] * 2
    unmeasured, _ = asked(tasks, {"baseline": replace(before, noise={})}, baseline=here)
    assert unmeasured["baseline"].noise == {}
