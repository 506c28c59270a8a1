"""The best checkpoint: chosen on the rows put aside by the task's own scores, or by their loss, and kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunegate.harness.models.adapters import WEIGHTS
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.training.distributed import processes
from tunegate.trainers.training.evaluations import Evaluation, RowEvaluator, best_of, evaluations, is_too_far

BEST = "best.safetensors"  # the best adapter so far; each checkpoint holds a copy, and so survives a kill with it
DRAFT = "best"


def keep_best(
    work: Path, recipe: Recipe, steps: int, evaluator: RowEvaluator | None, say: Callable[[str], None]
) -> Any:
    """The callback that evaluates each `steps` steps and at the end, keeps the best adapter, and stops where it must.

    It must come before the one that marks checkpoints. Of several processes the first one has the `evaluator`.
    """
    from transformers import TrainerCallback

    most_kl = recipe.stop.kl

    class KeepingBest(TrainerCallback):  # type: ignore[misc]
        """Asks transformers for the loss when one is due; what is saved in the same step is saved after it."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            # a kill may have come between the evaluation that stopped it and the end
            control.should_training_stop = any(is_too_far(each, most_kl) for each in evaluations(state))

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            control.should_evaluate = state.global_step % steps == 0 or state.global_step == state.max_steps

        def on_evaluate(self, args: Any, state: Any, control: Any, model: Any, **more: Any) -> None:  # noqa: ARG002
            score, kl = processes().tell(evaluator.evaluate(model) if evaluator else (None, None))
            state.log_history.append({"step": state.global_step, "eval_score": score, "eval_kl": kl})
            found = evaluations(state)
            say(f"  after step {state.global_step} of {state.max_steps}, on the rows put aside: {found[-1]}")
            best = best_of(found, most_kl)
            if processes().leads and best and best.step == state.global_step:
                _keep(model, work)
            if is_too_far(found[-1], most_kl):
                say(f"stopped: the KL divergence from the base is above stop.kl = {most_kl}")
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            if processes().leads and (work / BEST).is_file():
                shutil.copyfile(work / BEST, work / f"checkpoint-{state.global_step}" / BEST)

    return KeepingBest()


def restore(work: Path, checkpoint: Path | None) -> None:
    """Put the best adapter back as it was at a checkpoint: a later one comes again."""
    (work / BEST).unlink(missing_ok=True)
    if checkpoint and (checkpoint / BEST).is_file():
        shutil.copyfile(checkpoint / BEST, work / BEST)


def take_best(work: Path, adapter: Path) -> None:
    """Put the best weights into the adapter's folder, where the last ones are."""
    os.replace(work / BEST, adapter / WEIGHTS)


def why_best(best: Evaluation) -> str:
    """Why a step is kept, in words."""
    if best.score is None:
        return "its validation loss is the lowest, for no check of the task can score the rows put aside"
    return "its score by the task's own checks is the highest, and among equal ones its loss the lowest"


def _keep(model: Any, work: Path) -> None:
    model.save_pretrained(work / DRAFT, selected_adapters=["default"])
    os.replace(work / DRAFT / WEIGHTS, work / BEST)
    shutil.rmtree(work / DRAFT)
