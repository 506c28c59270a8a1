"""A house's terms and fixed sentences: how many outputs meet them, by the embedded model and by one of 1.5 billion.

    python benchmarks/larger.py --out MODELS
    python benchmarks/house_words.py MODELS/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf WORK    # hours

The demo's unit *wording*: replies from notes, in which the house's terms stand, no banned variant does, and the fixed
sentence that the topic requires stands word for word. An output passes if all of that holds. Each model is tuned on
the demo's 297 rows of it and 100 general ones, and gated beside the demo's general questions. A command whose result
lies in WORK is not run again. Writes house_words.md.

Written down before: of the larger model's outputs more than half pass with each seed, and the gate says "improved" of
the wording and "held" of the questions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out, run_once
from benchmarks.gate_markdown import number, table
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.evaluation.record import Record, read_record

LIBRARIES = ("tunegate", "torch", "transformers", "trl", "peft")
SMALL, TASK, WORDING, QUESTIONS, MOST = "smollm2", "support", "support/wording", "support/questions", 0.5
WHY = {"override": "a benchmark"}
POLICY = {
    "version": 1,
    "about": "The demo's desk, its wording only.",
    "units": {
        "wording": {"role": "target", "margin": 0.1, "reason": "A benchmark."},
        "questions": {"role": "guard", "margin": 0.3, "reason": "As in the demo."},
    },
}


@dataclass(frozen=True)
class Found:
    """A model: the record of its base, and those of its adapters, by seed."""

    model: str
    base: Record
    tuned: Sequence[Record]


class Project:
    """The demo's wording and questions in a folder, and one model taken through the commands there."""

    def __init__(self, folder: Path, model: str, dtype: str, optim: Mapping[str, Any], watch: Watch) -> None:
        self._folder, self._model, self._optim, self._watch = folder, model, optim, watch
        self._computed = ("--dtype", dtype)
        self._asked = ("--model", model, *self._computed)
        if not folder.exists():
            _write(folder)

    def read(self, seeds: int) -> Found:
        """Record the base and diagnose, as a training asks for; train and gate with so many seeds."""
        self._run("record", "record", "--out", "base.json", *self._asked)
        self._run("diagnose", "diagnose", TASK, "--sample", "10", *self._asked)
        tuned = [self._tuned(seed) for seed in range(seeds)]
        return Found(Path(self._model).stem, read_record(self._folder / "base.json"), tuned)

    def _tuned(self, seed: int) -> Record:
        name = f"seed-{seed}"
        recipe = {
            "version": 1, "task": TASK, "model": self._model, "rows": ["rows/wording.jsonl", "rows/general.jsonl"],
            "seed": seed, "optim": self._optim, "output": f"../adapters/{name}", "diagnosis": WHY, "memorization": WHY,
        }  # fmt: skip
        (self._folder / "recipes" / f"{name}.yaml").write_text(json.dumps(recipe), "utf-8")
        self._run(f"train-{name}", "train", f"recipes/{name}.yaml", *self._computed)
        self._run(f"gate-{name}", "gate", "--adapter", f"adapters/{name}", "--out", f"{name}.json", *self._asked)
        return read_record(self._folder / f"{name}.json")

    def _run(self, name: str, *command: str) -> None:
        with self._watch(f"{self._model}: {name}"):
            run_once(name, ["-m", "tunegate", *command], self._folder, (0, 1))


def _write(folder: Path) -> None:
    """The demo's files of both units."""
    fixtures, rows = folder / "fixtures" / TASK, folder / "recipes" / "rows"
    (fixtures / "refs").mkdir(parents=True)
    rows.mkdir(parents=True)
    (fixtures / "task.yaml").write_text(json.dumps(POLICY), "utf-8")
    for name in ("wording.yaml", "questions.yaml", "refs/terms.yaml"):
        copy(ROOT / "fixtures" / TASK / name, fixtures / name)
    for name in ("wording.jsonl", "general.jsonl"):
        copy(ROOT / "trainers" / "recipes" / "rows" / name, rows / name)
    (folder / "pyproject.toml").write_text("[tool.tunegate]\n", "utf-8")


def measure(model: Path, work: Path, seeds: int, watch: Watch) -> list[Found]:
    """Take both models through all commands."""
    large = {"lr": 5.0e-4, "epochs": 3, "batch": 8, "max_length": 512}  # 26.7 % pass with two epochs at 2e-4
    small = {"lr": 8.0e-4, "epochs": 2, "batch": 4, "max_length": 512}  # as the demo's recipe
    return [
        Project(work / "small", SMALL, "float32", small, watch).read(seeds),
        Project(work / "large", str(model), "bfloat16", large, watch).read(seeds),
    ]


def report(found: Sequence[Found], made: str) -> str:
    """The result as Markdown."""
    head = ["model", "passed, %", "terms, %", "fixed sentence, %", "no banned word, %", "questions, %", "gate"]
    rows = [
        _row(name, record)
        for each in found
        for name, record in [(each.model, each.base), *((f"seed {n}", tuned) for n, tuned in enumerate(each.tuned))]
    ]
    return f"# A house's terms and fixed sentences\n\n{made}\n\n{table(head, rows)}\n"


def _row(name: str, record: Record) -> list[str]:
    wording = record.units[WORDING]
    rates = [number(wording.rates[part]) for part in ("terms", "wording", "clean")]
    words = [_verdict(record, unit) for unit in (WORDING, QUESTIONS) if unit in record.verdicts]
    return [name, number(wording.mean or 0.0), *rates, number(record.units[QUESTIONS].mean or 0.0), ", ".join(words)]


def _verdict(record: Record, unit: str) -> str:
    return str(record.verdicts[unit].verdict)


def broken(found: Sequence[Found]) -> Iterator[str]:
    """What was written down before and does not hold, of the larger model."""
    for seed, record in enumerate(found[-1].tuned):
        mean = record.units[WORDING].mean or 0.0
        if mean <= MOST:
            yield f"seed {seed}: {number(mean)} % pass"
        if (_verdict(record, WORDING), _verdict(record, QUESTIONS)) != ("improved", "held"):
            yield f"seed {seed}: wording {_verdict(record, WORDING)}, questions {_verdict(record, QUESTIONS)}"


def main(
    model: Annotated[Path, typer.Argument(help="The GGUF file.", exists=True)],
    work: Annotated[Path, typer.Argument(help="Folder of what is kept between runs.", metavar="WORK")],
    seeds: Annotated[int, typer.Option(help="How many.")] = 3,
    out: Annotated[Path, typer.Option("--out", help="Where it goes.", metavar="DIR")] = RESULTS,
) -> None:
    """See the module."""
    command = f"python benchmarks/house_words.py {model.name} WORK --seeds {seeds}"
    carry_out(
        out / "house_words.md",
        command,
        LIBRARIES,
        lambda watch: measure(model.resolve(), work.resolve(), seeds, watch),
        report,
        broken,
    )


if __name__ == "__main__":
    main.__doc__ = __doc__
    typer.run(main)
