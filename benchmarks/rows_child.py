"""One training of `rows.py`, in a process of its own: rows_child.py PROJECT OUTPUT REPORT.json [full].

The project holds a recipe, its fixtures and its rows. What is trained, a LoRA adapter or with `full` every weight, goes
to the output; the report has the seconds that the steps took.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import watch_on
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.resolve import resolve
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.trainers.config.recipe import Recipe, read_recipe
from tunegate.trainers.data.examples import read_examples
from tunegate.trainers.data.tokenize import Tokens, tokenize
from tunegate.trainers.training import trainers
from tunegate.trainers.training.loop import ADAPTER, Job, fit

ROOT = Path(__file__).parent.parent
RECIPE, FULL = "recipe.yaml", "full"


def main(project: Path, output: Path, report: Path, full: bool = False) -> None:
    """Train as the project's recipe says and tell."""
    recipe = read_recipe(project / RECIPE)
    base = resolve(recipe.model)
    (task,) = load_tasks(project / "fixtures")
    rows = tokenize(read_examples(recipe.rows, task), load_tokenizer(base), recipe.optim.max_length)
    start = time.perf_counter()
    if full:
        train_whole(recipe, base, rows, output)
    else:
        with tempfile.TemporaryDirectory(dir=output.parent) as work:
            fit(Job(recipe, rows, (), Path(work), None), base, watch_on(Console()), print)
            (Path(work) / ADAPTER).rename(output)
    report.write_text(json.dumps({"seconds": time.perf_counter() - start}), "utf-8")


def train_whole(recipe: Recipe, base: Path, rows: list[Tokens], output: Path) -> None:
    """All weights by the trainer that trains adapters, and the model with its tokenizer in a folder."""

    def whole(recipe: Recipe, base: Path, tokenizer: Any) -> Any:  # noqa: ARG001
        return load_base(base), None

    with tempfile.TemporaryDirectory() as work, trainers.quiet_libraries(), patch.object(trainers, "_policy", whole):
        trainer = trainers.build_trainer(recipe, base, rows, Path(work), watch_on(Console()))
        trainer.train()
        trainer.model.save_pretrained(output)
    load_tokenizer(base).save_pretrained(output)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # as with python -m from the checkout
    main(*map(Path, sys.argv[1:4]), full=sys.argv[4:] == [FULL])
