"""One training by two real processes, as `accelerate launch` starts them: the same steps, words, files and resume."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil
import pytest

from tests.support.killed import same
from tests.support.paths import ROOT
from tests.support.training import RECIPE, Place
from tunegate.harness.models.adapters import adapter_digest
from tunegate.trainers.training.distributed import Processes, processes

# as launched on a machine with GPUs; on the CPU it starts two processes just as well, which --cpu does under MPI only
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
TRAIN = ["-m", "tunegate", "train", "recipe.yaml"]
OPTIM = {**RECIPE["optim"], "epochs": 8, "checkpoint_steps": 8, "validation_split": 0.2}
STEPS = 40  # 5 a pass
# what is registered first runs last, when all that training holds has gone
WATCHED = """
import atexit, pathlib, runpy, sys
names = lambda: [each.read_text().strip() for each in pathlib.Path("/proc/self/task").glob("*/comm")]
atexit.register(lambda: print("at the end:", [name for name in names() if "gloo" in name]))
sys.argv = ["tunegate", "train", "recipe.yaml"]
runpy.run_module("tunegate", run_name="__main__")
"""
OWN = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}


@dataclass(frozen=True)
class Launched(Place):
    """A place whose trainings run in two processes."""

    def start(self) -> subprocess.Popen[str]:
        """Start training."""
        return self._start([*LAUNCH, *TRAIN])

    def kill(self, at: int) -> None:
        """Train, and kill launcher and processes at once when the checkpoint of step `at` begins to be written."""
        process = self.start()
        while not (self.path / f".adapter.training/checkpoint-{at}").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.001)
        for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            each.kill()
        process.communicate()

    def finish(self) -> str:
        """Train to the end; what was said."""
        process = self.start()
        said, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return said

    def start_each(self, command: list[str] = TRAIN) -> list[subprocess.Popen[str]]:
        """Start both processes without a launcher, which would end one when the other ends."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        places = ({"RANK": index, "LOCAL_RANK": index} for index in "01")
        return [self._start(command, **group, **place) for place in places]

    def _start(self, command: list[str], **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **OWN, **more},
        )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(recorded, tmp_path_factory) -> Launched:
    """A recorded place with a recipe that saves often, and dropout to make it hard."""
    place = Launched(shutil.copytree(recorded.path, tmp_path_factory.mktemp("prepared") / "place"))
    place.recipe(optim=OPTIM, lora={**RECIPE["lora"], "dropout": 0.1})
    return place


@pytest.fixture
def place(prepared, tmp_path, monkeypatch) -> Launched:
    """A prepared place of the test's own, as working directory."""
    monkeypatch.chdir(shutil.copytree(prepared.path, tmp_path / "place"))
    return Launched(tmp_path / "place")


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory) -> Launched:
    """A place with the adapter of a training that nobody killed, and what it said."""
    place = Launched(shutil.copytree(prepared.path, tmp_path_factory.mktemp("trained") / "place"))
    said = place.finish()
    (place.path / "said.txt").write_text(said)
    return place


def losses(place: Place) -> list[float]:
    training = json.loads(place.read("adapter/training.json"))["training"]
    return [training["first_loss"], training["last_loss"], *(each["loss"] for each in training["validation"])]


def test_two_processes_leave_what_one_does(trained):
    record = json.loads(trained.read("adapter/training.json"))

    assert record["adapter"] == adapter_digest(trained.path / "adapter")
    assert (record["training"]["processes"], record["training"]["steps"]) == (2, STEPS)
    names = sorted(path.name for path in trained.path.iterdir() if "adapter" in path.name)
    assert names == [".adapter.lock", "adapter"]


def test_two_processes_train_what_one_does(place):
    """Only the order of the same sums differs: no dropout, no last batch to fill up, no rate that makes it grow."""
    place.recipe(lora=RECIPE["lora"], optim={**OPTIM, "batch": 6, "lr": 1e-3})
    place.finish()
    both = json.loads(place.read("adapter/training.json"))
    spread = losses(place)
    shutil.rmtree(place.path / "adapter")

    assert place.train().exit_code == 0

    alone = json.loads(place.read("adapter/training.json"))
    assert alone["recipe_digest"] == both["recipe_digest"]
    assert (both["training"]["processes"], alone["training"]["processes"]) == (2, 1)
    assert spread == pytest.approx(losses(place), abs=0.002)


def test_one_process_speaks(trained):
    said = trained.read("said.txt").splitlines()

    assert said.count("Training on 18 rows, steps: 40") == 1
    assert said.count("2 processes, rows per step in each: 2") == 1
    assert said[-1] == "next: pytest fixtures/ --tg-adapter=adapter --tg-against baseline"
    told = [line for line in said if "done in" not in line and " after " not in line]
    assert len(told) == len(set(told))


def test_no_thread_of_the_group_lives_when_the_interpreter_ends(place):
    """Such a thread that lets go of a tensor then aborts the process, and the launcher says that training failed."""
    both = place.start_each(["-c", WATCHED])

    said = [each.communicate(timeout=120)[0].splitlines()[-1] for each in both]
    assert said == ["at the end: []", "at the end: []"]
    assert [each.returncode for each in both] == [0, 0]


def test_a_kill_of_all_changes_no_bit_and_another_number_of_processes_starts_afresh(trained, place):
    place.kill(at=24)
    kept = shutil.copytree(place.path / ".adapter.training", place.path / "kept")

    said = place.finish()

    assert f" of {STEPS}\n" in said[said.index("resuming at step ") :]
    assert same(place.path / "adapter", trained.path / "adapter")
    kept.rename(place.path / ".adapter.training")
    alone = place.train()
    assert "(number of processes changed since): starting from scratch" in alone.output
    assert "resuming" not in alone.output


def test_a_refusal_ends_both_and_is_said_once(place):
    shutil.rmtree(place.path / "baselines")
    before = place.tree()

    found = [(process, *process.communicate(timeout=120)) for process in place.start_each()]

    assert [process.returncode for process, _, _ in found] == [4, 4]
    assert "expected a baseline" in found[0][2]
    assert found[1][1:] == ("", "")
    assert place.tree() == before


def test_a_batch_that_does_not_spread_evenly_is_refused(place, monkeypatch):
    monkeypatch.setattr("tunegate.trainers.preparation.processes", lambda: Processes(3))

    result = place.train()

    assert result.exit_code == 4
    assert (
        "recipe.yaml: optim.batch: expected a multiple of 3, the number of processes, found 4; set it to 6"
        in result.output
    )


def test_without_a_launcher_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")

    alone = processes.__wrapped__()

    assert (alone.count, alone.index, alone.leads) == (1, 0, True)
