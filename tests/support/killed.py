"""Trainings in processes of their own, to be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.training import Place

TRAIN = "from tunegate.harness.cli.main import app; app(['train', 'recipe.yaml'])"
#: Kills itself while the third checkpoint is written: in the middle of a file, or when all but its mark is there.
IN_A_FILE = f"""
import os, signal, torch
save = torch.save
def die(state, path, *args, **more):
    if 'checkpoint-24/optimizer' not in str(path): return save(state, path, *args, **more)
    open(path, 'wb').write(b'half'); os.kill(os.getpid(), signal.SIGKILL)
torch.save = die
{TRAIN}
"""


#: Forks processes from one that has loaded what a training needs, which takes longer than a training on the tiny model.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.support.loaded"])


@dataclass(frozen=True)
class Started:
    """A process of its own, and what it says; used as one of `subprocess`."""

    process: multiprocessing.process.BaseProcess
    said: Path
    errors: Path

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.join()

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    @property
    def stdout(self) -> Iterator[str]:
        """The lines that it says, as they come."""
        line, ended = "", False
        with self.said.open() as stream:
            while not ended:
                ended = self.poll() is not None  # what it said until then is read once more
                while part := stream.readline():
                    line += part
                    if line.endswith("\n"):
                        yield line
                        line = ""
                time.sleep(0.01)

    def poll(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def communicate(self) -> tuple[str, str]:
        self.process.join()
        return self.said.read_text(), self.errors.read_text()


def start(code: str, folder: Path, environment: dict[str, str]) -> Started:
    """Run code in a process of its own, in a folder."""
    said, errors = (Path(tempfile.mkstemp(dir=folder.parent, prefix=name)[1]) for name in ("said", "errors"))
    process = FORKS.Process(target=_run, args=(code, folder, environment, said, errors))
    with pytest.MonkeyPatch.context() as patch:  # the first one starts the process that forks
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("OMP_NUM_THREADS", "1")
        process.start()
    return Started(process, said, errors)


def _run(code: str, folder: Path, environment: dict[str, str], said: Path, errors: Path) -> None:
    for path, number in ((said, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.update(environment)
    os.chdir(folder)
    exec(code, {"__name__": "__main__"})  # noqa: S102


@dataclass(frozen=True)
class Killed(Place):
    """A place whose trainings run in processes of their own, and the name of the folder of their checkpoints."""

    checkpoints: str = ".adapter.training"

    def start(self, code: str = TRAIN) -> Started:
        """Start training."""
        own = {**os.environ, "OMP_NUM_THREADS": "1"}  # as many threads, as many bits
        return start(code, self.path, own)

    def finish(self) -> str:
        """Train to the end; what was said."""
        process = self.start()
        said, errors = process.communicate()
        assert process.returncode == 0, errors
        return said

    def kill(self, at: int, later: float) -> None:
        """Train, and kill it `later` seconds after the checkpoint of step `at` began to be written."""
        process = self.start()
        while not (self.work / f"checkpoint-{at}").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.001)
        time.sleep(later)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    @property
    def work(self) -> Path:
        """Where a training that was cut off leaves its checkpoints."""
        return self.path / self.checkpoints


def same(one: Path, other: Path) -> bool:
    """Whether two adapters are equal, byte for byte."""
    names = ("adapter_model.safetensors", "adapter_config.json")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
