"""A model's own samples on two units of the demo: what they win over the rows that people wrote.

    python benchmarks/samples.py            # two hours: three seeds, 200 rows, 80 inputs, 60 cases a unit
    python benchmarks/samples.py --quick    # one seed of a small version, ten minutes

Of the demo's rows of triage and orders some are trained on (*rows*). The inputs of others, whose outputs nobody sees,
are sampled eight times with that adapter (`distil --samples 8 --pairs`). What passes the check's form is trained on
together with the rows, from the base (*rows and samples*). The rows alone are trained on for as many steps (*rows, as
many steps*). The pairs are trained on by dpo, from the first adapter (*rows, then pairs*). Open cases are scored with
their expectations, by which no sample was selected. Writes samples.md.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import ROOT, script
from benchmarks.gate_markdown import number, table
from benchmarks.rewards import evaluate_in, run_command, write_as_json
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import Watch

MODEL, SAMPLES, TASK, UNITS = "smollm2", 8, "support", ("triage", "orders")
ARMS = ("base", "rows", "rows and samples", "rows, as many steps", "rows, then pairs")
LORA = {"r": 16, "alpha": 32, "target": "all-linear"}
SFT = {"lr": 8.0e-4, "epochs": 1, "batch": 4, "warmup": 0.05, "schedule": "cosine", "max_length": 512}
DPO = SFT | {"lr": 5.0e-5, "warmup": 0.1}
REASON = "A benchmark."
Scores = Mapping[str, float]  # mean score by unit


@dataclass(frozen=True)
class Seed:
    """What one seed came to: how many samples passed and how many pairs there were, and the scores of each arm."""

    seed: int
    samples: int
    pairs: int
    arms: Mapping[str, Scores]


def measure(seeds: int, rows: int, inputs: int, cases: int, watch: Watch) -> list[Seed]:
    """Train each arm with each seed: numbers of rows, of inputs to sample and of cases are by unit."""
    with tempfile.TemporaryDirectory(prefix="tunegate-") as made, contextlib.chdir(made):
        folder = Path(made)
        _write(folder, rows, inputs, cases)
        with watch("The base"):
            base = _scores(folder, record=True)
            run_command("diagnose", TASK, "--sample", "10", "--quiet")
        return [_trained(folder, seed, base, watch) for seed in range(seeds)]


def _write(folder: Path, rows: int, inputs: int, cases: int) -> None:
    task = folder / "fixtures" / TASK
    copytree(ROOT / "fixtures" / TASK / "refs", task / "refs")
    known: dict[str, list[str]] = {"rows": [], "inputs": []}
    for unit in UNITS:
        data = read_yaml(ROOT / "fixtures" / TASK / f"{unit}.yaml").data
        write_as_json(task / f"{unit}.yaml", {**data, "cases": data["cases"][:cases]})
        lines = (ROOT / "trainers" / "recipes" / "rows" / f"{unit}.jsonl").read_text("utf-8").splitlines()
        known["rows"] += lines[:rows]
        asked = [json.loads(line) for line in lines[rows : rows + inputs]]
        known["inputs"] += [json.dumps({"unit": unit, "input": row["input"]}) for row in asked]
    for name, lines in known.items():
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    policy = {"role": "target", "margin": 0.1, "reason": REASON}
    write_as_json(task / "task.yaml", {"version": 1, "units": dict.fromkeys(UNITS, policy)})


def _trained(folder: Path, seed: int, base: Scores, watch: Watch) -> Seed:
    first, own = f"rows-{seed}", f"own-{seed}.jsonl"
    arms = {"base": base, "rows": _train(folder, first, ["rows.jsonl"], seed, watch)}
    options = ("--adapter", first, "--samples", str(SAMPLES), "--pairs", "--output", own, "--quiet")
    with watch(f"Seed {seed}: sampling"):
        print(run_command("distil", TASK, "inputs.jsonl", *options))
    arms["rows and samples"] = _train(folder, f"samples-{seed}", ["rows.jsonl", own], seed, watch)
    samples, pairs = _lines(Path(own)), Path(own).with_suffix(".pairs.jsonl")
    longer = {"optim": SFT | {"epochs": 1 + samples / _lines(Path("rows.jsonl"))}}
    arms["rows, as many steps"] = _train(folder, f"longer-{seed}", ["rows.jsonl"], seed, watch, **longer)
    if pairs.exists():
        preferred = {"start": first, "method": "dpo", "optim": DPO}
        arms["rows, then pairs"] = _train(folder, f"pairs-{seed}", [str(pairs)], seed, watch, **preferred)
    return Seed(seed, samples, _lines(pairs), arms)


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


def _train(folder: Path, name: str, rows: Sequence[str], seed: int, watch: Watch, **how: Any) -> Scores:
    how = {"optim": SFT} | how | ({} if "start" in how else {"lora": LORA})
    write_as_json(folder / f"{name}.yaml", {
        "version": 1, "task": TASK, "model": MODEL, "rows": list(rows), "output": name, "seed": seed, **how,
        "failing_rows": "drop", "private_data": "drop", "diagnosis": {"override": REASON},
    })  # fmt: skip
    with watch(f"Seed {seed}: {name}"):
        run_command("train", f"{name}.yaml", "--quiet")
        return _scores(folder, adapters=(folder / name,))


def _scores(folder: Path, **options: Any) -> Scores:
    [record] = evaluate_in(folder, **options).records
    return {unit: record.units[f"{TASK}/{unit}"].mean or 0.0 for unit in UNITS}


def report(found: list[Seed], how: str) -> str:
    """The table, in Markdown."""
    rows = [
        [arm, *(_row(each.arms[arm][unit] for each in found if arm in each.arms) for unit in UNITS)] for arm in ARMS
    ]
    text = (
        f"{MODEL}, {len(found)} seed{'s' * (len(found) > 1)}; the score of the open cases in %, each seed, then their "
        f"mean. By seed, {SAMPLES} samples per input became "
        + "; ".join(f"{each.samples} rows and {each.pairs} pairs" for each in found)
        + "."
    )
    return f"# A model's own samples\n\n{text}\n\n{table(['trained on', *UNITS], rows)}\n\n## How\n\n{how}\n"


def _row(scores: Iterable[float]) -> str:
    known = list(scores)
    return f"{', '.join(map(number, known))}: {number(float(np.mean(known)))}" if known else "no pairs"


def broken(found: list[Seed]) -> Iterator[str]:  # noqa: ARG001
    """Nothing is promised."""
    yield from ()


if __name__ == "__main__":
    libraries = ("tunegate", "transformers", "torch", "trl")
    script(__file__, libraries, measure, report, broken, whole=(3, 200, 80, 60), quick=(1, 40, 12, 20))
