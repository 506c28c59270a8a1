"""What the benchmarks of trials and checkpoints share: a few of the demo's rows to train on, and others kept sealed."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.frame import ROOT
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.local.huggingface import Local
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.data.asked_rows import AskedRow, asked_rows
from tunegate.trainers.data.examples import read_examples
from tunegate.trainers.data.preference import tokenize_for
from tunegate.trainers.data.split import split
from tunegate.trainers.decontamination.check import decontaminate
from tunegate.trainers.preparation import Ready

BASELINES = "baselines"  # its own, for the ledger of its searches
SEALED = "sealed.jsonl"


@dataclass(frozen=True)
class SmallTraining:
    """A folder with a recipe on some rows of a unit of the demo, and further rows that no training sees."""

    folder: Path
    unit: str

    def ready(self, watch: Watch) -> Ready:
        """What is trained on, without the guards before a training: the rows are the demo's, which passed them."""
        recipe, task = read_recipe(self.folder / "recipe.yaml"), _task()
        base, rows = Local(recipe.model, watch), read_examples(recipe.rows, task)
        divided = split(rows, recipe)
        tokens = divided.apart(tokenize_for(rows, base.tokenizer, recipe))
        asked = asked_rows([rows[index] for index in divided.validation], task)
        clean = decontaminate(rows, (), recipe.decontaminate, (), watch)
        return Ready(recipe, base, rows, *tokens, asked, (), clean, {})

    def sealed(self) -> list[AskedRow]:
        """The rows that no training sees."""
        task = _task()
        return asked_rows(read_examples([self.folder / SEALED], task), task)


def _task() -> Task:
    [task] = (task for task in load_tasks(ROOT / "fixtures") if task.name == "support")
    return task


def write_training(folder: Path, unit: str, rows: int, sealed: int, **recipe: Any) -> SmallTraining:
    """Draw rows of a unit, the same each time, and write what a training on them takes."""
    folder.mkdir()
    lines = (ROOT / f"trainers/recipes/rows/{unit}.jsonl").read_text("utf-8").splitlines(keepends=True)
    random.Random(17).shuffle(lines)  # noqa: S311
    (folder / "rows.jsonl").write_text("".join(lines[:rows]), "utf-8")
    (folder / SEALED).write_text("".join(lines[rows : rows + sealed]), "utf-8")
    data = {"version": 1, "task": "support", "rows": ["rows.jsonl"], "output": "adapter", **recipe}
    (folder / "recipe.yaml").write_text(json.dumps(data), "utf-8")
    return SmallTraining(folder, unit)


def sealed_score(rows: Sequence[AskedRow], base: Local, adapter: Path | None) -> float:
    """The mean score of an adapter, or of the base, on rows that no training saw."""
    model = Local(base.model.name, quiet(), adapter, base=base.base)
    by_key = {row.request.key: row for row in rows}
    scores = [by_key[answer.key].score(answer) for answer in model.answer([row.request for row in rows])]
    return statistics.fmean(score for score in scores if score is not None)


def numbers(evaluation: Mapping[str, Any]) -> list[str]:
    """The step, loss, score and KL of an evaluation, for a table."""
    return [str(evaluation["step"]), *(f"{evaluation[name]:.3f}" for name in ("score", "loss", "kl"))]
