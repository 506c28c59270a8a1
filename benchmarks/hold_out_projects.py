"""Public sets with an official split, each written as a project; the commands that a project is taken through."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.frame import run_process
from benchmarks.public_sets import HOME, INPUT, LISTS, WHOLE, Files, Row, annotated, by_intent
from tunegate.harness.models.evaluation.record import Record, read_record

TASK, UNIT = "desk", "asked"
KEY = f"{TASK}/{UNIT}"
BANKING = "57ec275d8078af65b7731c2a98be812d844a6d6b"
WHY = {"override": "a benchmark of rows that come near cases"}


@dataclass(frozen=True)
class Source:
    """A set: where it is, how a part of it is read, and how many intents, and cases and rows of each, are taken."""

    name: str
    repository: str
    commit: str
    part: Callable[[Files, str], Iterator[Row]]
    intents: int
    cases: int
    rows: int
    max_new_tokens: int


def banking(files: Files, part: str) -> Iterator[Row]:
    """Questions to a bank, of every sixth intent in the order of their names."""
    rows = list(csv.DictReader(io.StringIO(files.text(f"banking_data/{part}.csv"))))
    chosen = sorted({row["category"] for row in rows})[::6]
    return ({INPUT: row["text"], "intent": row["category"]} for row in rows if row["category"] in chosen)


def home(files: Files, part: str) -> Iterator[Row]:
    """Utterances to an assistant at home: the first of ten folds is the test part."""
    rows = annotated(files, [1] if part == "test" else range(2, 11))
    return ({INPUT: row[INPUT], "intent": row["intent"]} for row in rows)


def snips(files: Files, part: str) -> Iterator[Row]:
    """Utterances with slots, each with its first value."""
    for row in by_intent(files, "validate" if part == "test" else "train"):
        slots = {name: values[0] for name, values in row[WHOLE]["slots"].items()}
        yield {INPUT: row[INPUT], "intent": row[WHOLE]["intent"], "slots": slots}


SOURCES = (
    Source("Banking77", "task-specific-datasets", BANKING, banking, 12, 8, 20, 24),
    Source("home assistant", "NLU-Evaluation-Data", HOME, home, 12, 8, 20, 24),
    Source("SNIPS, with slots", "nlu-benchmark", LISTS, snips, 6, 16, 40, 80),
)  # fmt: skip


def write_project(project: Path, source: Source, files: Files, recipes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the fixtures, the rows and a recipe for each name, with what they add to the usual one."""
    cases, rows = (list(source.part(files, part)) for part in ("test", "train"))
    intents = _intents(source, cases, rows)
    _write_task(project / "fixtures" / TASK, source, intents, _first(cases, intents, source.cases))
    (project / "recipes").mkdir()
    lines = [
        {"unit": UNIT, "input": row[INPUT], "output": json.dumps(_answer(row), ensure_ascii=False)}
        for row in _first(rows, intents, source.rows)
    ]
    (project / "recipes/rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    for name, more in recipes.items():
        recipe = {
            "version": 1, "task": TASK, "rows": ["rows.jsonl"], "output": f"../adapters/{name}",
            "optim": {"lr": 8e-4, "epochs": 2, "batch": 4},  # as `init` proposes for this model, and two passes
            "diagnosis": WHY, "memorization": WHY, "private_data": WHY, **more,
        }  # fmt: skip
        (project / f"recipes/{name}.yaml").write_text(json.dumps(recipe), "utf-8")


def prepare(project: Path, task: str = TASK) -> None:
    """Record the baseline and diagnose, as a training asks for."""
    for command in (["record"], ["diagnose", task, "--sample", "20"]):
        run_process(["-m", "tunegate", *command, "--quiet"], project, project / "log")


def trained(project: Path, name: str) -> tuple[Record, float]:
    """Train by the recipe of this name, and gate the adapter; return the record, and the minutes of the training."""
    train = ["-m", "tunegate", "train", f"recipes/{name}.yaml", "--quiet"]
    seconds = run_process(train, project, project / "log")
    gate = ["-m", "tunegate", "gate", "--adapter", f"adapters/{name}", "--out", f"{name}.json", "--quiet"]
    run_process(gate, project, project / "log", fine=(0, 1))
    return read_record(project / f"{name}.json"), seconds / 60


def _write_task(folder: Path, source: Source, intents: Sequence[str], cases: Sequence[Row]) -> None:
    answer: dict[str, Any] = {"intent": {"enum": intents}}
    asks = f"the intent ({', '.join(intents)})"
    if "slots" in cases[0]:
        answer["slots"] = {"type": "object", "additionalProperties": {"type": "string"}}
        asks += " and the slots, word for word"
    schema = {"type": "object", "properties": answer, "required": list(answer), "additionalProperties": False}
    unit = {
        "version": 1, "suite": "schema", "unit": UNIT,
        "prompt": {"system": f"Reply with one line of JSON: {asks}.", "template": "{input}"},
        "check": {"schema": "refs/schema.json", "extract": "strict"},
        "generate": {"max_new_tokens": source.max_new_tokens},
        "cases": [
            {"id": f"c{place}", "input": row[INPUT], "expect": _answer(row)} for place, row in enumerate(cases)
        ],
    }  # fmt: skip
    declared = {"version": 1, "units": {UNIT: {"role": "target", "reason": "a benchmark"}}}
    (folder / "refs").mkdir(parents=True)
    for name, data in {"refs/schema.json": schema, f"{UNIT}.yaml": unit, "task.yaml": declared}.items():
        (folder / name).write_text(json.dumps(data), "utf-8")


def _answer(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != INPUT}


def _intents(source: Source, cases: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """The most frequent intents of the test part that have enough texts in both parts."""
    tested, trained = (
        Counter(intent for intent, _ in {(row["intent"], row[INPUT]) for row in part}) for part in (cases, rows)
    )
    enough = [
        intent for intent, count in sorted(tested.items()) if count >= source.cases and trained[intent] >= source.rows
    ]
    return sorted(sorted(enough, key=lambda intent: -tested[intent])[: source.intents])


def _first(rows: Sequence[Row], intents: Sequence[str], number: int) -> list[Row]:
    """The first rows of each intent, each text once."""
    found: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if len(found[row["intent"]]) < number:
            found[row["intent"]].setdefault(row[INPUT], row)
    return [row for intent in intents for row in found[intent].values()]
