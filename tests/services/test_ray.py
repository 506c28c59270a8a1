"""Real workers on a real Ray, on this machine: the record of one process, whoever dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.divided import differing, executed, write_divisible
from tests.support.mortal import ENGINE, NAMES, SUBJECT, Mortal
from tests.support.records import record, units_of, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import results_of
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.local import worker_pool
from tunegate.harness.models.local.worker_pool import SETTINGS, WorkerPool
from tunegate.harness.models.model_options import ModelOptions, RayOptions
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.prompts import requests

WHO = Fingerprint(SUBJECT, ENGINE, NAMES)


class Killing:
    """A watch that kills a worker when so many answers are there."""

    def __init__(self, answers: int) -> None:
        self.left, self.killed = answers, []

    @contextmanager
    def __call__(self, step, *_):
        yield lambda more, note="", work=None: self.done() if step.startswith("Scoring") else None

    def done(self) -> None:
        self.left -= 1
        if self.left == 0:
            beside = psutil.Process().children(recursive=True)
            worker = next(each for each in beside if each.name().startswith("ray::Worker.com"))
            worker.kill()
            self.killed.append(worker.pid)


@pytest.mark.real
def test_the_embedded_model_on_workers_makes_the_record_of_one_process(tmp_path, monkeypatch):
    import ray

    monkeypatch.chdir(tmp_path)
    # past the cache, which would answer with what the first run was told
    options = Options(
        tmp_path, cases=write_divisible(tmp_path), baselines=tmp_path / "baselines", out=tmp_path / "whole.json",
        fresh=True,
    )  # fmt: skip
    executed(options)
    for workers, watch in ((1, quiet()), (2, killing := Killing(4))):
        opened = ModelOptions(ray=RayOptions(workers=workers))
        executed(replace(options, opened=opened, out=tmp_path / f"{workers}.json"), watch)
        assert differing(tmp_path / f"{workers}.json", tmp_path / "whole.json") == []
        assert not ray.is_initialized()  # what was started for the run is stopped with it
    assert len(killing.killed) == 1


def test_a_run_of_pytest_asks_workers_for_every_adapter(project, tiny_model, make_adapter):
    project.unit([f"c{number}" for number in range(6)])
    adapters = [f"--tg-adapter={make_adapter(name)}" for name in ("one", "two")]
    asked = [f"--tg-model={tiny_model}", "--tg-fresh", *adapters]
    # in processes of their own: what pytest imports for a run inside another one, Ray's extension too, it forgets again
    run = partial(project.pytester.runpytest_subprocess, "suites/", *asked)
    here = run("--tg-out=here")
    there = run("--tg-out=there", "--tg-engine=ray", "--tg-workers=1", "--tg-worker-cpus=1")
    assert here.parseoutcomes() == there.parseoutcomes()
    for name in ("one", "two"):
        assert differing(project.path / "here" / f"{name}.json", project.path / "there" / f"{name}.json") == []
    assert "Starting workers on Ray" in there.stdout.str()


def test_a_stranger_does_not_get_into_a_ray_that_was_started_for_a_run():
    pool = WorkerPool(Mortal({}, Path()), RayOptions(workers=1))
    pool.fingerprint(None)
    import ray

    code = f"import ray; ray.init({ray.get_runtime_context().gcs_address!r}, log_to_driver=False)"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=plain | {"RAY_AUTH_MODE": "disabled"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    pool.stop()
    assert done.returncode == 1
    assert "ConnectionError: Failed to connect" in done.stderr


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray that is there already: whoever finds it uses it, and leaves it running."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        import ray

        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


@pytest.fixture
def desk(tmp_path, cluster):
    """Sixty cases of which a third miss, with an answer each, and the record of them."""
    write_desk(tmp_path / "fixtures", 60)
    tasks = load_tasks(tmp_path / "fixtures")
    made = record(tasks, {"desk/triage": "110" * 20})
    answers = {(key, repeat): each.as_completion(key, repeat) for key, repeat, each in results_of(made)}
    (tmp_path / "asked").mkdir()
    return list(units_of(tasks).values()), Mortal(answers, tmp_path / "asked")


class Pooled:
    """A pool as a model, which notes when each answer was there."""

    can = Mortal.can
    fingerprint = WHO

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.received: dict[str, float] = {}

    def complete(self, asked):
        for completion in self.pool.complete(None, asked, WHO):
            assert completion.key not in self.received
            self.received[completion.key] = time.monotonic()
            yield completion


@contextmanager
def pooled(mortal: Mortal, workers: int) -> Iterator[Pooled]:
    pool = WorkerPool(mortal, RayOptions(workers=workers))
    try:
        assert pool.fingerprint(None) == pool.fingerprint(Path("another adapter")) == WHO
        yield Pooled(pool)
    finally:
        pool.stop()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_so_many_workers_make_the_record_of_one_process(desk, workers):
    units, mortal = desk
    with pooled(mortal, workers) as model:
        made = evaluate(units, model, quiet())
    assert replace(made, created="") == replace(evaluate(units, mortal, quiet()), created="")
    assert len([*mortal.asked.glob("[0-9]*")]) >= min(workers, 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed_loses_nothing_that_was_answered(desk, workers):
    units, mortal = desk
    mortal.doomed = 1
    with pooled(mortal, workers) as model:
        made = evaluate(units, model, quiet())
    assert (mortal.asked / ".dead-0").exists()
    whole = evaluate(units, replace(mortal, doomed=0, asked=mortal.asked.parent), quiet())
    assert replace(made, created="") == replace(whole, created="")
    # what was answered was not asked again, and the rest of the dead worker's batch was
    asked = [line.split() for file in mortal.asked.glob("[0-9]*") for line in file.read_text().splitlines()]
    assert [key for when, key in asked if float(when) > model.received[key]] == []
    assert 60 < len(asked) < 120
    assert len(model.received) == 60


def test_workers_that_die_without_an_answer_end_the_run(desk):
    units, mortal = desk
    mortal.doomed, mortal.life = 99, 0
    with pooled(mortal, 2) as model, pytest.raises(CouldNotRun, match="3 workers died in a row without an"):
        evaluate(units, model, quiet())


def test_what_a_worker_refuses_is_said_as_it_says_it(desk):
    units, mortal = desk
    mortal.refuses = "desk/triage/c000: expected prompt and output within 2048 tokens"
    with pooled(mortal, 2) as model, pytest.raises(Refused, match=r"^desk/triage/c000: expected prompt and output"):
        evaluate(units, model, quiet())


def test_workers_of_another_engine_are_refused(desk):
    units, mortal = desk
    pool = WorkerPool(replace(mortal, engine="bfloat16"), RayOptions(workers=2))
    with pytest.raises(Refused, match=r"a worker has another engine than expected \(dtype\): every"):
        evaluate(units, Pooled(pool), quiet())
    pool.stop()


def test_a_cluster_without_room_is_said(desk, monkeypatch):
    _, mortal = desk
    monkeypatch.setattr(worker_pool, "START_SECONDS", 2)
    pool = WorkerPool(mortal, RayOptions(workers=2, cpus=9))
    with pytest.raises(CouldNotRun) as caught:
        pool.fingerprint(None)
    pool.stop()
    assert str(caught.value) == (
        "--tg-engine ray: expected a worker within 2 s, with 9 CPUs and 0 GPUs each, found none; the cluster has 4 "
        "CPUs and 0 GPUs"
    )


def test_whoever_leaves_in_the_middle_leaves_nothing_behind(desk):
    units, mortal = desk
    with pooled(mortal, 2) as model:
        stream = model.pool.complete(None, list(requests(units)), WHO)
        next(stream)
        stream.close()
        assert len({each.key for each in model.complete(list(requests(units)))}) == 60
