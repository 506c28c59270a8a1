"""One training of `training.py`, in a process of its own: python benchmarks/training_child.py ORDER.json REPORT.json.

The order says which model, how many steps of how many rows, which seed and which settings. The report says how long the
steps took, and the loss on rows that were not trained on.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import watch_on
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.resolve import resolve
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.trainers.config.recipe import Recipe, read_recipe
from tunegate.trainers.data.examples import read_examples
from tunegate.trainers.data.tokenize import Tokens, tokenize
from tunegate.trainers.training import trainers as setup

ROOT = Path(__file__).parent.parent
PLAIN = "plain"  # among the settings: TRL's own trainer with our arguments


def main(order: Path, report: Path) -> None:
    """Train as ordered and tell."""
    wanted = json.loads(order.read_text("utf-8"))
    recipe = read_recipe(ROOT / "trainers/recipes/support.yaml")
    recipe = replace(recipe, seed=wanted["seed"], optim=replace(recipe.optim, epochs=1))
    base = resolve(wanted["model"])
    rows = rows_of(recipe, base)
    count = wanted["steps"] * recipe.optim.batch
    train, held = rows[:count], rows[-wanted["held"] :]
    with tempfile.TemporaryDirectory() as work, setup.quiet_libraries():
        trainer = build(wanted["settings"], recipe, base, train, Path(work))
        start, cpu = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        loss = trainer.evaluate(_dataset(held))["eval_loss"]
    told = {
        "tokens": sum(len(row.input_ids) for row in train), "answers": sum(len(row.answer) for row in train),
        "seconds": seconds, "cpu": cpu, "loss": loss, "precision": "bfloat16" if trainer.args.bf16 else "float32",
    }  # fmt: skip
    report.write_text(json.dumps(told), "utf-8")


def rows_of(recipe: Recipe, base: Path) -> list[Tokens]:
    """The demo's rows in an order that is the same each time."""
    tasks = load_tasks(ROOT / "fixtures")
    (task,) = (each for each in tasks if each.name == recipe.task)
    rows = list(read_examples(recipe.rows, task))
    random.Random(17).shuffle(rows)  # noqa: S311
    return tokenize(rows, load_tokenizer(base), 10_000)


def build(settings: dict[str, Any] | None, recipe: Recipe, base: Path, rows: Sequence[Tokens], work: Path) -> Any:
    """Our trainer with some arguments changed; or, with None, TRL's with its defaults."""
    if settings is None:
        return trl_defaults(recipe, base, rows, work)
    from trl import SFTTrainer

    from tunegate.trainers.training import methods

    usual, settings = methods.arguments_of, dict(settings)
    if settings.pop(PLAIN, False):
        methods.trainer_of = lambda recipe: SFTTrainer  # noqa: ARG005

    def changed(recipe: Recipe) -> Any:
        return lambda **ours: usual(recipe)(**{**ours, **settings})

    methods.arguments_of = changed
    return setup.build_trainer(recipe, base, rows, work, watch_on(Console()))


def trl_defaults(recipe: Recipe, base: Path, rows: Sequence[Tokens], work: Path) -> Any:
    """TRL as it comes, with the same rows, LoRA, batch, learning rate, steps and seed."""
    import torch
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    lora = recipe.lora
    set_seed(recipe.seed)
    arguments = SFTConfig(
        output_dir=str(work), per_device_train_batch_size=recipe.optim.batch, learning_rate=recipe.optim.lr,
        num_train_epochs=1, seed=recipe.seed,
        completion_only_loss=True,  # else, as it gets token ids, it would take the loss on the prompts too
        use_cpu=not torch.cuda.is_available(),  # without it bf16, its default, is refused on a CPU
        report_to="none",  # else it would ask for the trackers that are installed
        save_strategy="no",  # ours saves nothing here either
        disable_tqdm=True,
    )  # fmt: skip
    return SFTTrainer(
        model=load_base(base), args=arguments, train_dataset=_dataset(rows), processing_class=load_tokenizer(base),
        peft_config=LoraConfig(
            r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=lora.target,
            task_type="CAUSAL_LM",
        ),
    )  # fmt: skip


def _dataset(rows: Sequence[Tokens]) -> Any:
    from datasets import Dataset

    return Dataset.from_list([row.columns() for row in rows])


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # as with python -m from the checkout
    main(*map(Path, sys.argv[1:]))
