"""The training loop, by TRL on PEFT: from the start, or resumed from a checkpoint."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.files import write_json
from tunegate.harness.core.progress import Advance, Watch, quiet
from tunegate.harness.core.reading import read_object
from tunegate.harness.models.adapters import CONFIG
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.models.resolve import resolve
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.preference import Data
from tunegate.trainers.training.best_checkpoint import keep_best, take_best, why_best
from tunegate.trainers.training.checkpoints import saving, step_of
from tunegate.trainers.training.distributed import processes
from tunegate.trainers.training.evaluations import Evaluation, RowEvaluator, best_of, evaluations
from tunegate.trainers.training.trainers import (
    build_trainer,
    pass_of,
    precision,
    quiet_libraries,
    steps_of,
    weights_dtype,
)

ADAPTER = "adapter"  # the new adapter's place in the work folder
MARGINS, ACCURACIES = "rewards/margins", "rewards/accuracies"  # as TRL logs them
SMOOTHED = 8  # steps; the loss of a single step depends on its rows


@dataclass(frozen=True, slots=True)
class Job:
    """What each process of a training needs; rows are token ids, and `checkpoint` is the one to resume from, if any."""

    recipe: Recipe
    data: Data
    validation: Data
    work: Path
    checkpoint: Path | None


def follow() -> None:
    """Run a process other than the first: take over the job and train silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up
    job: Job = processes().take_over()
    fit(job, resolve(job.recipe.model), quiet(), lambda _: None)


def fit(
    job: Job, base: Path, watch: Watch, say: Callable[[str], None], evaluator: RowEvaluator | None = None
) -> dict[str, Any]:
    """Run a job's training on the base model in a folder, and save the adapter in its work folder.

    Only the first process has the `evaluator` on the validation split.

    Returns:
        Steps, losses and speed, for the training record; with dpo and kto also the reward margin, and with dpo the
        accuracy.

    Raises:
        Refused: the model lacks the recipe's modules, a batch does not match the rows, or every evaluation exceeded
            stop.kl.
        CouldNotRun: the libraries are not installed, or the training failed.
    """
    recipe, data, checkpoint = job.recipe, job.data, job.checkpoint
    steps, at = steps_of(recipe, len(data)), step_of(checkpoint) if checkpoint else 0
    with quiet_libraries():
        trainer = build_trainer(recipe, base, data, job.work, watch, job.validation)
        if at:
            say(f"resuming at step {at} of {steps}")
        with watch(f"Training on {len(data)} rows, steps", steps - at) as done:
            trainer.add_callback(speed := _progress(done))
            if job.validation:
                every = recipe.optim.validation_steps or pass_of(recipe, len(data))
                trainer.add_callback(keep_best(job.work, recipe, every, evaluator, say))
            # last, since callbacks run in this order and the mark covers what the others wrote into the checkpoint
            trainer.add_callback(saving(recipe.optim.checkpoint_steps))
            try:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except (RuntimeError, MemoryError) as error:
                stopped = trainer.state.global_step
                raise CouldNotRun(f"training failed at step {stopped} of {steps}: {error}") from error
        with processes().together():
            best = _best(recipe, evaluations(trainer.state)) if job.validation else None
        if processes().leads:
            trainer.model.save_pretrained(job.work / ADAPTER, selected_adapters=["default"])  # without dpo's reference
            _tidy(job.work / ADAPTER, recipe.model)
            if best:
                take_best(job.work, job.work / ADAPTER)
                say(f"the adapter of step {best.step} is kept: {why_best(best)}")
    bits = recipe.opened.quantization
    more = {"quantization": bits} if bits != NO_QUANTIZATION else {"weights": weights_dtype(recipe)}
    return _facts(trainer.state, best) | more | {"resumed_at": at, "tokens_per_second": round(speed.rate, 1)}


def _best(recipe: Recipe, found: Sequence[Evaluation]) -> Evaluation:
    best = best_of(found, recipe.stop.kl)
    if best is None:
        raise Refused(
            f"{show_path(recipe.path)}: stop.kl: expected an evaluation with a KL divergence from the base of at most "
            f"{recipe.stop.kl}, found {found[0].kl} at the first, after step {found[0].step}; lower optim.lr, set "
            "optim.validation_steps to evaluate earlier, or raise stop.kl"
        )
    return best


def _progress(done: Advance) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        """Reports each step, its loss and the speed to our progress display, instead of transformers' printed dict."""

        start = time.monotonic()
        rate = 0.0  # tokens per second in this process; TRL restarts its count after a resume

        def on_train_begin(self, *_: Any, **more: Any) -> None:  # noqa: ARG002
            self.start = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            losses = _logged(state, "loss")
            # validation losses and a summary are logged through the same hook
            if losses and "loss" in state.log_history[-1]:
                self.rate = state.log_history[-1]["num_tokens"] / (time.monotonic() - self.start)
                done(1, f"loss {fmean(losses[-SMOOTHED:]):.3f}{_rewards(state)}, {self.rate:.0f} tokens/s")

    return Progress()


def _rewards(state: Any) -> str:
    """The progress of a preference method, for the progress line; empty for sft."""
    margins, right = _logged(state, MARGINS), _logged(state, ACCURACIES)
    said = f", margin {fmean(margins[-SMOOTHED:]):.2f}" if margins else ""
    return said + (f", {fmean(right[-SMOOTHED:]):.0%} right" if right else "")


def _logged(state: Any, name: str) -> list[float]:
    return [entry[name] for entry in state.log_history if name in entry]


def _facts(state: Any, best: Evaluation | None) -> dict[str, Any]:
    losses = _logged(state, "loss")
    few = min(SMOOTHED, math.ceil(len(losses) / 4))
    rewards = {"last_margin": _logged(state, MARGINS)[-few:], "last_accuracy": _logged(state, ACCURACIES)[-few:]}
    return {
        "steps": state.global_step,
        "processes": processes().count,
        "precision": precision(),
        "first_loss": round(fmean(losses[:few]), 4),
        "last_loss": round(fmean(losses[-few:]), 4),
        **{name: round(fmean(values), 4) for name, values in rewards.items() if values},
        **(_validation(state, best) if best else {}),
    }


def _validation(state: Any, best: Evaluation) -> dict[str, Any]:
    """The evaluations on the validation split, the chosen step, and the criterion."""
    return {
        "validation": [each.as_dict() for each in evaluations(state)],
        "best_step": best.step,
        "chosen_by": "loss" if best.score is None else "score",
        "stopped_early": state.global_step < state.max_steps,
    }


def _tidy(adapter: Path, model: str) -> None:
    """Make the configuration the same on every machine, and delete PEFT's empty model card; a release writes one."""
    config = read_object(adapter / CONFIG)
    config["base_model_name_or_path"] = model  # PEFT names the folder in this machine's cache
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # it was a set, whose order varies
    write_json(adapter / CONFIG, config)
    (adapter / "README.md").unlink(missing_ok=True)
