"""Write an imported task into the project: its fixtures, its policy and recorded outputs; no file is overwritten."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.begin.results.scored_outputs import column_called
from tunegate.harness.begin.scaffold.task import check_name
from tunegate.harness.begin.scaffold.writing import write_imported
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import quantity
from tunegate.harness.imports.fixtures import ImportedTask, task_of
from tunegate.harness.imports.model import Imported
from tunegate.harness.imports.promptfoo_config import CONFIGS

OUTPUTS = Path("outputs")
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Written:
    """What was written: the paths, the models of recorded outputs, and lines for people."""

    paths: tuple[Path, ...]
    models: tuple[str, ...]
    lines: tuple[str, ...]


def write_import(imported: Imported, name: str | None, root: Path, cases: Path) -> Written:
    """Write what was imported as the task `name`; by default that of the file, or of a configuration's folder.

    Raises:
        UsageError: the name is not valid.
        Refused: a file exists, or the cases make no valid fixtures; nothing was written.
        CouldNotRun: writing failed; files written before were removed.
    """
    called = check_name(name or _task_name(imported.path))
    folder = cases / called
    task = task_of(called, imported, folder)
    files = {folder / file: text for file, text in task.files.items()}
    outputs = _output_files(task)
    files |= {root / path: text for path, text in outputs.items()}
    models = tuple(f"replay:{path.stem}={path.as_posix()}" for path in outputs) or _result_models(imported, root)
    changes = write_imported(folder, files, root, cases, models[0] if models else "")
    total = sum(task.cases.values())
    units = ", ".join(f"{unit} {count:,}" for unit, count in task.cases.items())
    lines = (
        f"{show_path(imported.path)} is a file of {imported.tool}",
        f"{task.name}: {quantity(total, 'case')} ({units})",
        *map(shown, imported.tally.lines()),
        *_scored_lines(imported),
    )
    return Written((*changes.new, *changes.added), models, lines)


def _task_name(path: Path) -> str:
    named = path.resolve().parent.name if path.name in CONFIGS else path.stem
    name = _NO_NAME.sub("-", named).strip("-").lower()[:60].rstrip("-")
    if not name:
        raise UsageError(f"TASK: expected a name, found none for {show_path(path)}")
    return name


def _scored_lines(imported: Imported) -> Iterator[str]:
    if scored := imported.scored:
        count = quantity(len(scored.cases), "case")
        yield f"scored by {scored.runner}, with all of their assertions: {count} (scored.yaml)"
        yield (
            f"scored.yaml needs the result file of {scored.runner} as the model (replay:NAME=FILE); to test without, "
            "delete it and its lines in task.yaml"
        )


def _result_models(imported: Imported, root: Path) -> tuple[str, ...]:
    """The providers or prompts of a result file as models."""
    columns = imported.scored.columns if imported.scored else ()
    path = Path(os.path.relpath(imported.path, root)).as_posix()
    return tuple(f"replay:{column_called(each) or 'model'}={path}" for each in columns)


def _output_files(task: ImportedTask) -> dict[Path, str]:
    """The files of recorded outputs, one for each model."""
    files: dict[Path, str] = {}
    for model, found in task.outputs.items():
        stem = f"{task.name}-{_NO_NAME.sub('-', model).strip('-').lower()[:60] or 'model'}"
        names = (stem, *(f"{stem}-{number}" for number in range(2, len(task.outputs) + 2)))
        path = next(path for name in names if (path := OUTPUTS / f"{name}.jsonl") not in files)
        files[path] = "".join(json.dumps({"case": key, "output": output}) + "\n" for key, output in found.items())
    return files
