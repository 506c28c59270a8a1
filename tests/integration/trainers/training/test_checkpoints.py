"""Real kills of trainings in processes of their own: the same command again gives the same adapter, bit for bit."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.killed import IN_A_FILE, TRAIN, Killed, same
from tests.support.training import RECIPE
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.data.tokenize import tokenize
from tunegate.trainers.data.writer import writer_of
from tunegate.trainers.training import loop as fit
from tunegate.trainers.training.checkpoints import MARK

STEPS = 60  # 6 a pass
OPTIM = {**RECIPE["optim"], "epochs": 10, "checkpoint_steps": 8}
BEFORE_THE_MARK = f"""
import os, signal, tunegate.trainers.training.checkpoints as checkpoints
from tests.support.paths import ROOT
mark, calls = checkpoints.mark, []
def die(path):
    calls.append(path)
    if len(calls) < 3: return mark(path)
    os.kill(os.getpid(), signal.SIGKILL)
checkpoints.mark = die
{TRAIN}
"""


@pytest.fixture
def place(recorded, tmp_path) -> Killed:
    """A recorded place of the test's own, with a recipe that saves often, and dropout to make it hard."""
    shutil.copytree(recorded.path, tmp_path / "place")
    place = Killed(tmp_path / "place")
    place.recipe(optim=OPTIM, lora={**RECIPE["lora"], "dropout": 0.1})
    return place


@pytest.fixture(scope="module")
def whole(recorded, tmp_path_factory) -> Path:
    """The adapter of a training that nobody killed."""
    place = Killed(shutil.copytree(recorded.path, tmp_path_factory.mktemp("whole") / "place"))
    place.recipe(optim=OPTIM, lora={**RECIPE["lora"], "dropout": 0.1})
    assert "resuming" not in place.finish()
    assert not place.work.exists()
    return place.path / "adapter"


def moments() -> Iterator[tuple[int, float]]:
    """Steps at which to kill, later and later, and how long after their checkpoint began."""
    draw = random.Random(5)
    return ((step, draw.uniform(0, 0.1)) for step in sorted(draw.sample(range(8, STEPS - 8, 8), 3)))


def test_kills_at_random_moments_change_no_bit(place, whole):
    for step, later in moments():
        place.kill(step, later)
        assert not (place.path / "adapter").exists()

    said = place.finish()

    (at,) = re.findall(rf"resuming at step (\d+) of {STEPS}\n", said)
    assert f"Training on 22 rows, steps: {STEPS - int(at)}\n" in said
    assert same(place.path / "adapter", whole)
    record = json.loads(place.read("adapter/training.json"))
    assert record["adapter"] == adapter_digest(whole)
    assert (record["training"]["steps"], record["training"]["resumed_at"]) == (STEPS, int(at))
    assert not place.work.exists()


@pytest.mark.parametrize("code", [IN_A_FILE, BEFORE_THE_MARK], ids=["in a file", "before the mark"])
def test_a_kill_while_a_checkpoint_is_written_costs_that_one_only(place, whole, code):
    process = place.start(code)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (place.work / "checkpoint-24" / MARK).exists()
    assert (place.work / "checkpoint-24").is_dir()

    assert f"resuming at step 16 of {STEPS}\n" in place.finish()

    assert same(place.path / "adapter", whole)


def test_how_often_it_saves_may_change_between_a_kill_and_its_resume(place, whole):
    place.kill(16, 0.05)
    place.recipe(optim={**OPTIM, "checkpoint_steps": 50})

    said = place.finish()

    assert f" of {STEPS}\n" in said.partition("resuming at step ")[2]
    assert same(place.path / "adapter", whole)
    assert json.loads(place.read("adapter/training.json"))["recipe"]["optim"]["checkpoint_steps"] == 50


def test_the_speed_after_a_resume_is_of_the_steps_that_were_taken_after_it(place, monkeypatch):
    place.recipe(optim={**OPTIM, "checkpoint_steps": 12})
    place.start(BEFORE_THE_MARK).communicate()  # of the third, at step 36: it goes on from 24
    monkeypatch.chdir(place.path)
    monkeypatch.setattr(fit, "time", SimpleNamespace(monotonic=count().__next__))  # a step takes a second

    done = place.train()

    assert f"resuming at step 24 of {STEPS}\n" in done.output
    facts = json.loads(place.read("adapter/training.json"))["training"]
    assert facts["tokens_per_second"] == pytest.approx(rows_tokens(place) / 6, abs=0.05)  # 6 passes of 6 steps each


def rows_tokens(place: Killed) -> int:
    """The tokens of all rows, as the trainer sees them."""
    recipe = read_recipe(place.path / "recipe.yaml")
    rows = read_examples(recipe.rows, load_tasks(place.path / "fixtures")[0])
    return sum(len(row.input_ids) for row in tokenize(rows, writer_of(load_tokenizer(Path(recipe.model))), 1024))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 4}, "recipe changed since"),
        ({"rows": ["other.jsonl"]}, "rows changed since"),
    ],
)
def test_another_recipe_or_other_rows_start_afresh_and_say_so(place, change, said):
    place.kill(16, 0)
    rows = place.read("rows.jsonl").splitlines()
    (place.path / "other.jsonl").write_text("\n".join(rows[1:]) + "\n")
    place.recipe(**change)

    with place.start() as process:
        found = "".join(takewhile(lambda line: not line.startswith("Training on"), process.stdout))
        process.kill()

    assert f"discarding the interrupted training ({said}): starting from scratch\n" in found
    assert "resuming" not in found


def test_a_refused_command_leaves_the_checkpoint_alone(place):
    place.kill(16, 0)
    before = place.tree()
    rows = place.read("rows.jsonl")
    (place.path / "rows.jsonl").write_text(rows + '{"input": "Ticket 22", "output": "A boiler."}\n')

    process = place.start()
    assert "training rows fail" in process.communicate()[1]
    (place.path / "rows.jsonl").write_text(rows)

    assert place.tree() == before
