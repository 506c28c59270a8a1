"""Trainings in processes of their own, to be killed."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.forked import Started, start
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
