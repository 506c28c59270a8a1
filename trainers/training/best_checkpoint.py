"""The best checkpoint, chosen on the validation split by the task's own scores, or by loss."""

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

BEST = "best.safetensors"  # the best adapter so far; each checkpoint holds a copy, so that a resume finds it
DRAFT = "best"


def keep_best(
    work: Path, recipe: Recipe, steps: int, evaluator: RowEvaluator | None, say: Callable[[str], None]
) -> Any:
    """Return a callback that evaluates every `steps` steps and at the end, keeps the best adapter, and stops early.

    It must run before the callback that marks checkpoints. Only the first process has the `evaluator`.
    """
    from transformers import TrainerCallback

    most_kl = recipe.stop.kl

    class KeepingBest(TrainerCallback):  # type: ignore[misc]
        """Requests an evaluation when one is due; transformers evaluates before it saves."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            # the previous run may have been killed between the stopping evaluation and the end
            control.should_training_stop = any(is_too_far(each, most_kl) for each in evaluations(state))

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            control.should_evaluate = state.global_step % steps == 0 or state.global_step == state.max_steps

        def on_evaluate(self, args: Any, state: Any, control: Any, model: Any, **more: Any) -> None:  # noqa: ARG002
            score, kl = processes().broadcast(evaluator.evaluate(model) if evaluator else (None, None))
            state.log_history.append({"step": state.global_step, "eval_score": score, "eval_kl": kl})
            found = evaluations(state)
            say(f"  after step {state.global_step} of {state.max_steps}, on the validation split: {found[-1]}")
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
    """Restore the best adapter as of a checkpoint; the resumed training repeats what came later."""
    (work / BEST).unlink(missing_ok=True)
    if checkpoint and (checkpoint / BEST).is_file():
        shutil.copyfile(checkpoint / BEST, work / BEST)


def take_best(work: Path, adapter: Path) -> None:
    """Replace the last weights in the adapter's folder by the best ones."""
    os.replace(work / BEST, adapter / WEIGHTS)


def why_best(best: Evaluation) -> str:
    """The reason why a step is kept."""
    if best.score is None:
        return "it has the lowest validation loss; no check of the task can score the validation split"
    return "it has the highest score by the task's own checks; ties are broken by the lowest loss"


def _keep(model: Any, work: Path) -> None:
    model.save_pretrained(work / DRAFT, selected_adapters=["default"])
    os.replace(work / DRAFT / WEIGHTS, work / BEST)
    shutil.rmtree(work / DRAFT)
