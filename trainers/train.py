"""Train a LoRA adapter from a recipe: the guards, then TRL, then the proof, then the adapter in its place."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.adapters import TRAINING, adapter_digest, load_adapter
from harness.baselines import Baseline, digests, matching
from harness.cases import Task, load_tasks
from harness.errors import CouldNotRun, Refused, show_path
from harness.files import digest, file_digest, locked, write_json
from harness.local import PROBE, Local
from harness.progress import Watch
from trainers.holdout import check_holdout
from trainers.recipe import Recipe
from trainers.rows import Row, read_rows
from trainers.tokens import Tokens, check_labels, tokenize

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")
RELEASE = "release.json"


@dataclass(frozen=True)
class Ready:
    """All that was checked before the first step."""

    recipe: Recipe
    base: Local
    rows: Sequence[Row]
    baselines: Sequence[Baseline]
    holdout: Mapping[str, int]


def check(recipe: Recipe, cases: Path, baselines: Path, watch: Watch) -> Ready:
    """Everything that can refuse a training, cheapest first; writes nothing.

    Raises:
        AuthoringError: mistakes in fixtures or rows.
        Refused: no baseline of this model and these questions, or rows that repeat fixtures.
    """
    tasks = load_tasks(cases)
    task = _task(recipe, tasks)
    rows = read_rows(recipe.rows, task)
    holdout = check_holdout(rows, tasks)
    if (recipe.output / RELEASE).exists():
        raise Refused(f"{show_path(recipe.output)} holds a released adapter; name another `output:` or --output")
    base = Local(recipe.model, watch)
    open_units = [unit for unit in task.units if not unit.sealed]
    found = matching(baselines, base.model.slug, open_units, base.identity.subject, base.identity.engine)
    return Ready(recipe, base, rows, found, holdout)


def _task(recipe: Recipe, tasks: Sequence[Task]) -> Task:
    for task in tasks:
        if task.name == recipe.task:
            return task
    known = ", ".join(task.name for task in tasks)
    raise Refused(f"{show_path(recipe.path)}: task {recipe.task!r}: expected one of {known}")


def train(ready: Ready, watch: Watch) -> Path:
    """Train, prove, and put the adapter in its place in one move; a kill leaves the old one or none.

    Returns:
        The adapter's folder.
    """
    output = ready.recipe.output.resolve()
    with locked(output):
        work = output.parent / f".{output.name}.training"
        shutil.rmtree(work, ignore_errors=True)  # what a killed run left is never read
        work.mkdir(parents=True)
        start = time.monotonic()
        facts = _fit(ready, work, watch)
        with watch("Proving that the adapter loads and acts"):
            _prove(ready.base.folder, work)
        write_json(work / TRAINING, _record(ready, work, facts | {"seconds": round(time.monotonic() - start, 1)}))
        _replace(work, output)
    return output


def _replace(work: Path, output: Path) -> None:
    old = output.parent / f".{output.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        os.replace(output, old)
    os.replace(work, output)
    shutil.rmtree(old, ignore_errors=True)


def _fit(ready: Ready, work: Path, watch: Watch) -> dict[str, Any]:
    try:
        import torch
        from datasets import Dataset
        from datasets.utils.logging import disable_progress_bar
        from peft import LoraConfig
        from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
        from trl import SFTTrainer
    except ImportError as error:
        raise CouldNotRun(f"training needs the extra: pip install 'tunegate[train]' ({error})") from error
    recipe = ready.recipe
    disable_progress_bar()
    set_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(ready.base.folder)
    data = tokenize(ready.rows, tokenizer, recipe.optim.max_length)
    model = AutoModelForCausalLM.from_pretrained(ready.base.folder, dtype=torch.float32)
    lora = LoraConfig(
        r=recipe.lora.r, lora_alpha=recipe.lora.alpha, lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.target, task_type="CAUSAL_LM",
    )  # fmt: skip
    steps = math.ceil(len(data) / recipe.optim.batch * recipe.optim.epochs)
    with watch(f"Training on {len(data)} rows, steps", steps) as done:
        trainer = SFTTrainer(
            model=model, args=_arguments(recipe, work), train_dataset=Dataset.from_list([asdict(row) for row in data]),
            processing_class=tokenizer, peft_config=lora, callbacks=[_bar(done)],
        )  # fmt: skip
        check_labels(next(iter(trainer.get_train_dataloader())), tokenizer.eos_token_id)
        set_seed(recipe.seed)  # the look at a batch must not move the training
        result = trainer.train()
    trainer.model.save_pretrained(work)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "steps": trainer.state.global_step,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "mean_loss": result.training_loss,
        "tokens_per_second": _speed(data, recipe, result.metrics.get("train_runtime")),
    }


def _speed(data: Sequence[Tokens], recipe: Recipe, seconds: float | None) -> float | None:
    tokens = sum(len(row.input_ids) for row in data) * recipe.optim.epochs
    return round(tokens / seconds, 1) if seconds else None


def _arguments(recipe: Recipe, work: Path) -> Any:
    import torch
    from trl import SFTConfig

    optim, on_gpu = recipe.optim, torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(work / "trainer"),
        learning_rate=optim.lr,
        num_train_epochs=optim.epochs,
        per_device_train_batch_size=optim.batch,
        warmup_steps=optim.warmup,  # below 1 it is the share of all steps
        lr_scheduler_type=optim.schedule,
        max_length=None,  # checked beforehand: nothing is cut
        packing=False,
        completion_only_loss=True,
        train_sampling_strategy="group_by_length",
        # TRL's defaults, both wrong on a CPU: bf16 is emulated, and memory is not short
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=recipe.seed,
        data_seed=recipe.seed,
    )


def _bar(done: Any) -> Any:
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback

    class Bar(TrainerCallback):  # type: ignore[misc]
        """Advances the progress bar once a step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            done(1)

    del PrinterCallback
    return Bar()


def _prove(folder: Path, work: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    fresh = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    load_adapter(fresh, work, tokenizer(PROBE, return_tensors="pt").input_ids)
    shutil.rmtree(work / "trainer", ignore_errors=True)


def _record(ready: Ready, work: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    recipe = ready.recipe
    return {
        "schema_version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": recipe.task,
        "adapter": adapter_digest(work),
        "model": ready.base.model.as_dict(),
        "recipe": recipe.effective(),
        "recipe_digest": digest(recipe.effective()),
        "rows": [
            {
                "file": show_path(path),
                "sha256": file_digest(path),
                "rows": sum(row.file == show_path(path) for row in ready.rows),
            }
            for path in recipe.rows
        ],
        "holdout": dict(ready.holdout),
        "baselines": digests(ready.baselines),
        "versions": {name: version(name) for name in PACKAGES},
        "training": dict(facts),
    }
