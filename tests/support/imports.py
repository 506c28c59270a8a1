"""Imports a file that a test writes, and scores outputs with what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.imports.fixtures import task_of
from tunegate.harness.imports.model import Imported
from tunegate.harness.imports.recognise import import_source


def put(path: Path, content: Any) -> Path:
    """Write data as what the name says: YAML, JSON, JSONL (a list), or a text as it stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str):
        kind = path.suffix
        content = (
            yaml.safe_dump(content, sort_keys=False) if kind in (".yaml", ".yml")
            else "".join(json.dumps(row) + "\n" for row in content) if kind == ".jsonl"
            else json.dumps(content)
        )  # fmt: skip
    path.write_text(content, "utf-8")
    return path


def fixtures_of(imported: Imported, folder: Path) -> Mapping[str, Any]:
    """Write the fixtures of an import, load them, and return their data by unit."""
    task = task_of("t", imported)
    for name, text in task.files.items():
        put(folder / "fixtures/t" / name, text)
    load_tasks(folder / "fixtures")
    return {Path(name).stem: yaml.safe_load(text) for name, text in task.files.items() if name != "task.yaml"}


def scored(path: Path, case: str, outputs: Iterable[str], **options: Any) -> dict[str, bool]:
    """Whether a case passes with each output: in all units that have it."""
    fixtures_of(import_source(path, **options), path.parent / "out")
    [task] = load_tasks(path.parent / "out/fixtures")
    mine = [each for unit in task.units for each in unit.cases if each.id == case]
    return {output: all(each.check(output, each.expect, "").score == 1 for each in mine) for output in outputs}


def config(*assertions: Any, **more: Any) -> dict[str, Any]:
    """A configuration of promptfoo with one test, which has these assertions."""
    return {
        "prompts": ["Say {{x}}"], "providers": ["echo"],
        "tests": [{"vars": {"x": "a"}, "assert": list(assertions), **more}],
    }  # fmt: skip
