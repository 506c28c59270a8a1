"""The rows that a prompt is optimised on: those that a check can score, without private data, none of them a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.progress import Watch
from tunegate.harness.rows.examples import Example, RowFile, read_row_files
from tunegate.harness.rows.row_forms import AUTO
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.config.sections import DROP, Decontaminate
from tunegate.trainers.data.asked_rows import asked_rows
from tunegate.trainers.data.private_data import find_private_data
from tunegate.trainers.decontamination.check import decontaminate
from tunegate.trainers.optimise.gepa_adapter import PromptRow

RECIPES = (".yaml", ".yml")
DISLIKED, PRIVATE, NEAR = "with an output that is not liked", "with secrets or personal data", "too similar to a case"


@dataclass(frozen=True)
class PromptRows:
    """The rows of a task by unit name; `files` gives their SHA-256, `left_out` counts the other rows by reason.

    `unscored` gives the reason why no check can score the rows of a unit.
    """

    units: Mapping[str, Sequence[PromptRow]]
    files: Mapping[str, str]
    left_out: Mapping[str, int]
    unscored: Mapping[str, str]

    def why_not(self, unit: Unit, least: int) -> str:
        """Return why a unit's prompt cannot be optimised on these rows; empty if it can."""
        if any("system" in case.own.get("prompt", {}) for case in unit.cases):
            return "its cases have system prompts of their own"
        if reason := self.unscored.get(unit.name):
            return reason
        count = len(self.units.get(unit.name, ()))
        if count < least:
            return f"expected at least {least} rows, found {count or 'none'}"
        return ""


def read_prompt_rows(files: Sequence[Path], task: Task, tasks: Sequence[Task], watch: Watch) -> PromptRows:
    """Read rows, or those of recipes, for the optimisation of the prompts of the diagnosed `task`.

    Rows that are too similar to a case of any of all `tasks` are left out.

    Raises:
        AuthoringError: lines that are not a row of the task.
        Refused: a recipe of another task, or no row is left.
        CouldNotRun: libraries that the comparison with the cases needs are not installed.
    """
    found = _row_files(files, task)
    every = [row for file in found for row in file.rows]
    private = {id(each.row) for each in find_private_data(every, watch)}
    liked = [row for row in every if row.liked]
    clean = [row for row in liked if id(row) not in private]
    # a row that repeats a case, or may paraphrase one, is dropped, whatever a recipe exempts
    kept = list(decontaminate(clean, tasks, Decontaminate(review=DROP), watch=watch).rows)
    if not kept:
        raise Refused(f"--rows: expected a row that is similar to no case, found none of {len(every)}; add other rows")
    left_out = {
        DISLIKED: len(every) - len(liked), PRIVATE: len(liked) - len(clean), NEAR: len(clean) - len(kept),
    }  # fmt: skip
    hashes = {file.name: file.sha256 for file in found}
    return prompt_rows(kept, task, hashes, {reason: count for reason, count in left_out.items() if count})


def prompt_rows(
    rows: Sequence[Example], task: Task, files: Mapping[str, str], left_out: Mapping[str, int]
) -> PromptRows:
    """Return clean rows by unit, each as it is asked and scored; rows that no check can score are left out."""
    units: dict[str, list[PromptRow]] = {}
    unscored: dict[str, str] = {}
    count = Counter[str](left_out)
    for row, asked in zip(rows, asked_rows(rows, task), strict=True):
        if asked.case is not None and row.unit is not None:
            units.setdefault(row.unit, []).append(PromptRow(asked, row.output))
        elif row.unit is not None:
            unscored[row.unit] = asked.reason
        else:
            count[asked.reason] += 1
    return PromptRows(units, files, dict(count), unscored)


def _row_files(files: Sequence[Path], task: Task) -> list[RowFile]:
    """Read the files of rows; a recipe gives its own, and their form."""
    forms: dict[Path, str] = {}
    for path in files:
        if path.suffix not in RECIPES:
            forms.setdefault(path, AUTO)
            continue
        recipe = read_recipe(path)
        if recipe.task != task.name:
            raise Refused(f"{show_path(path)}: task: expected {task.name}, found {recipe.task}; name its own recipe")
        forms |= dict.fromkeys(recipe.rows, recipe.format)
    return [
        file
        for form in dict.fromkeys(forms.values())
        for file in read_row_files([path for path, own in forms.items() if own == form], task, form)
    ]
