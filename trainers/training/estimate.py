"""Estimates of a training's time, memory and disk space, measured on a few of its steps."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.core.progress import Watch
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.preference import Data
from tunegate.trainers.training.checkpoints import KEPT
from tunegate.trainers.training.trainers import build_trainer, quiet_libraries, steps_of

STEPS = 3  # the first is a warm-up and is not timed
STATES = 3  # a checkpoint holds the adapter and Adam's two moments


@dataclass(frozen=True)
class Estimate:
    """A training's cost; sizes in bytes. `reference` is the frozen copy of the start that dpo keeps, otherwise 0."""

    steps: int
    tokens: int
    tokens_per_second: float
    memory: int
    adapter: int
    reference: int
    free: int

    @property
    def seconds(self) -> float:
        """The duration of all steps."""
        return self.tokens / self.tokens_per_second

    @property
    def disk(self) -> int:
        """Peak disk usage: the checkpoints, including the one being written, and the adapter."""
        return (self.adapter * STATES + self.reference) * (KEPT + 1) + self.adapter

    def render(self) -> Iterator[str]:
        """Yield the lines of a summary."""
        minutes = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 60 else f"{self.seconds:.0f} s"
        yield f"  time: {minutes} for {self.steps} steps ({self.tokens:,} tokens at {self.tokens_per_second:.0f}/s)"
        yield f"  memory: {self.memory / 1e9:.1f} GB peak, including the longest rows"
        yield f"  disk: {_mega(self.disk)} while training, {_mega(self.adapter)} afterwards; {_mega(self.free)} free"
        if self.disk > self.free:
            yield "  warning: not enough free disk space"


def estimate(recipe: Recipe, base: Path, data: Data, watch: Watch) -> Estimate:
    """Measure a few steps on the longest and on typical rows, and discard the result.

    Raises:
        Refused, CouldNotRun: as in `build_trainer`.
    """
    with tempfile.TemporaryDirectory() as work, quiet_libraries():
        trainer = build_trainer(recipe, base, data, Path(work), watch)
        with watch(f"Measuring {STEPS} steps"):
            rate = _rate(trainer, _sample(data, recipe.optim.batch))
    output = recipe.output.resolve()
    there = next(each for each in (output, *output.parents) if each.exists())
    sizes = [(name, each.numel() * each.element_size()) for name, each in trainer.model.named_parameters()]
    return Estimate(
        steps=steps_of(recipe, len(data)),
        tokens=round(sum(row.length for row in data) * recipe.optim.epochs),
        tokens_per_second=rate,
        memory=_peak(),
        adapter=sum(size for name, size in sizes if ".default" in name),
        reference=sum(size for name, size in sizes if ".ref." in name),
        free=shutil.disk_usage(there).free,
    )


def _sample(data: Data, batch: int) -> list[int]:
    """Indices of rows for the steps: the longest, which need the most memory, and a spread of all other lengths."""
    by_length = sorted(range(len(data)), key=lambda index: data[index].length)
    longest, others = by_length[-batch:], by_length[:-batch] or by_length
    count = batch * (STEPS - 1)
    return [*longest, *(others[place * len(others) // count] for place in range(count))]


def _rate(trainer: Any, sample: Sequence[int]) -> float:
    """Tokens per second over the steps after the first."""
    from transformers import TrainerCallback

    seen: list[tuple[float, float]] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Records the time and the token count after each step."""

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            if "loss" in state.log_history[-1]:
                seen.append((time.monotonic(), state.log_history[-1]["num_tokens"]))

    trainer.train_dataset = trainer.train_dataset.select(sample)
    trainer.args.max_steps = STEPS
    trainer.add_callback(Clock())
    trainer.train()
    # `num_tokens` is cumulative, so the difference excludes the first step
    (first, before), (last, after) = seen[0], seen[-1]
    return (after - before) / (last - first)


def _peak() -> int:
    """Peak memory so far, of the GPU if there is one, otherwise of this process."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    # ru_maxrss is in bytes on macOS and in KiB on Linux
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _mega(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
