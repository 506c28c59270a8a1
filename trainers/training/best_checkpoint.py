"""The checkpoint chosen on the dev part: its loss after each pass, and the adapter of the step where it was lowest."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunegate.harness.models.adapters import WEIGHTS
from tunegate.trainers.training.distributed import processes

BEST = "best.safetensors"  # the best adapter so far; each checkpoint holds a copy, and so survives a kill with it
DRAFT = "best"


def choosing(work: Path, steps: int, say: Callable[[str], None]) -> Any:
    """The callback that asks for the dev loss each `steps` steps and at the end, and keeps the best adapter in `work`.

    It must come before the one that marks checkpoints.
    """
    from transformers import TrainerCallback

    class Choosing(TrainerCallback):  # type: ignore[misc]
        """Asks transformers for the loss when a pass is over; what is saved in the same step is saved after it."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            control.should_evaluate = state.global_step % steps == 0 or state.global_step == state.max_steps

        def on_evaluate(self, args: Any, state: Any, control: Any, model: Any, **more: Any) -> None:  # noqa: ARG002
            say(f"  dev loss after step {state.global_step} of {state.max_steps}: {dev_losses(state)[-1][1]:.4f}")
            if processes().leads and chosen_step(state) == state.global_step:
                _keep(model, work)

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            if processes().leads and (work / BEST).is_file():
                shutil.copyfile(work / BEST, work / f"checkpoint-{state.global_step}" / BEST)

    return Choosing()


def dev_losses(state: Any) -> list[tuple[int, float]]:
    """Each step whose dev loss was taken, with it; what a checkpoint had come to included."""
    return [(entry["step"], entry["eval_loss"]) for entry in state.log_history if "eval_loss" in entry]


def chosen_step(state: Any) -> int:
    """The step with the lowest dev loss, the first of equal ones; a loss that is no number is the highest."""
    step, _ = min(dev_losses(state), key=lambda each: each[1] if math.isfinite(each[1]) else math.inf)
    return step


def restore(work: Path, checkpoint: Path | None) -> None:
    """Put the best adapter back as it was at a checkpoint: a later one comes again."""
    (work / BEST).unlink(missing_ok=True)
    if checkpoint and (checkpoint / BEST).is_file():
        shutil.copyfile(checkpoint / BEST, work / BEST)


def take_chosen(work: Path, adapter: Path) -> None:
    """Put the best weights into the adapter's folder, where the last ones are."""
    os.replace(work / BEST, adapter / WEIGHTS)


def _keep(model: Any, work: Path) -> None:
    model.save_pretrained(work / DRAFT, selected_adapters=["default"])
    os.replace(work / DRAFT / WEIGHTS, work / BEST)
    shutil.rmtree(work / DRAFT)
