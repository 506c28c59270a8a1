"""What leaks that decontamination misses lend to a score: retold and translated cases among the demo's rows.

    python benchmarks/missed_leaks.py      # forty minutes; writes results/missed_leaks.md

Of the three sets by writers who saw the fixtures (blind_leaks.py), the rows that are found by nothing are added to the
rows of the recipe for `triage`. SmolLM2-135M is trained with and without them, three times each, and gated on all
cases of the unit, the sealed ones among them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.blind_leaks import INNOCENT, MISSED, SETS, TEXTS, held
from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.gate_markdown import table
from benchmarks.hold_out_projects import prepare, trained
from benchmarks.hold_out_sets import Numbers, interval, points
from tunegate.harness.core.progress import Watch

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "sentence-transformers")
SEEDS, TASK, UNIT = (0, 1, 2), "support", "triage"
ARMS = {"without": ["triage.jsonl"], "with": ["triage.jsonl", "missed.jsonl"]}
WHY = {"override": "a benchmark of leaks that nothing finds"}


@dataclass(frozen=True)
class Found:
    """The missed rows by case, the rate of exact outputs and of right fields on each case, of shape (seeds, cases)."""

    missed: Mapping[str, str]  # case to kind
    cases: Sequence[str]
    exact: Mapping[str, Numbers]
    fields: Mapping[str, Numbers]


def measure(watch: Watch) -> Found:
    """Train with and without the missed rows."""
    rows = [raw for name in SETS for raw in _missed(name, watch) if raw["unit"].removesuffix("-sealed") == UNIT]
    with tempfile.TemporaryDirectory() as folder, watch("Training", len(ARMS) * len(SEEDS)) as done:
        project = Path(folder)
        _write_project(project, rows)
        prepare(project, TASK)
        exact: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
        fields: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
        for arm in ARMS:
            for seed in SEEDS:
                record, _ = trained(project, f"{arm}-{seed}")
                results = record.of_unit(f"{TASK}/{UNIT}")
                cases = sorted(results)
                exact[arm].append([float(results[case].score or 0) for case in cases])
                fields[arm].append([_right(results[case].fields) for case in cases])
                done(1)
    missed = {"sealed-" * raw["unit"].endswith("-sealed") + raw["case"]: raw["kind"] for raw in rows}
    return Found(missed, cases, _arrays(exact), _arrays(fields))


def _missed(name: str, watch: Watch) -> Iterator[dict[str, Any]]:
    """The rows of a set that leak a case and that nothing finds."""
    file = TEXTS / f"{name}.jsonl"
    for line, each in zip(file.read_text("utf-8").splitlines(), held(file, watch), strict=True):
        if each.kind != INNOCENT and each.outcome in MISSED:
            yield json.loads(line)


def _arrays(values: Mapping[str, Any]) -> dict[str, Numbers]:
    return {arm: np.array(each, dtype=np.float64) for arm, each in values.items()}


def _right(fields: Mapping[str, Any]) -> float:
    """The share of a case's fields that are right."""
    return sum(each.is_right for each in fields.values()) / len(fields) if fields else 0.0


def _write_project(project: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The unit as one, with its sealed cases, and a recipe for each arm and seed."""
    task, recipes = project / "fixtures" / TASK, project / "recipes"
    shutil.copytree(ROOT / "fixtures/support/refs", task / "refs")
    unit, sealed = (
        yaml.safe_load((ROOT / f"fixtures/support/{name}.yaml").read_text("utf-8")) for name in (UNIT, f"{UNIT}-sealed")
    )
    unit["cases"] += [each | {"id": f"sealed-{each['id']}"} for each in sealed["cases"]]
    (task / f"{UNIT}.yaml").write_text(json.dumps(unit), "utf-8")
    declared = {"version": 1, "units": {UNIT: {"role": "target", "reason": "a benchmark"}}}
    (task / "task.yaml").write_text(json.dumps(declared), "utf-8")
    shutil.copytree(ROOT / "trainers/recipes", recipes)
    lines = [{"unit": UNIT, "input": each["input"], "output": each["output"]} for each in rows]
    (recipes / "rows/missed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    recipe = yaml.safe_load((recipes / f"{UNIT}.yaml").read_text("utf-8"))
    for arm, files in ARMS.items():
        for seed in SEEDS:
            more = {
                "rows": [f"rows/{file}" for file in files], "seed": seed, "output": f"../adapters/{arm}-{seed}",
                "diagnosis": WHY, "memorization": WHY, "private_data": WHY,
            }  # fmt: skip
            (recipes / f"{arm}-{seed}.yaml").write_text(json.dumps(recipe | more), "utf-8")


def report(found: Found, made: str) -> str:
    """The result as Markdown."""
    kinds = {
        "retold or translated, and missed": [case in found.missed for case in found.cases],
        "all others": [case not in found.missed for case in found.cases],
    }
    rows = [
        [kind, str(sum(mask)), what, *(points(float(values[arm][:, mask].mean())) for arm in ARMS),
         _difference(values, np.array(mask))]
        for kind, mask in kinds.items() for what, values in (("exact", found.exact), ("fields right", found.fields))
    ]  # fmt: skip
    whole = points(float(found.exact["with"].mean() - found.exact["without"].mean()))
    return "\n\n".join([
        "# What missed leaks lend to a score",
        f"{len(found.missed)} rows that retell or translate a case of `{UNIT}` and that decontamination does not find, "
        f"beside the recipe's 300. In %, the mean of three seeds; the difference in points with its 95 % interval over "
        f"cases (bootstrap). On all {len(found.cases)} cases together they lend {whole} points.",
        table(["cases", "number", "measure", "without them", "with them", "difference"], rows),
        "## How", made,
    ]) + "\n"  # fmt: skip


def _difference(values: Mapping[str, Numbers], mask: Any) -> str:
    change = (values["with"] - values["without"]).mean(axis=0)[mask]
    low, high = interval(change)
    return f"{points(float(change.mean()))} [{points(low)}, {points(high)}]"


def broken(found: Found) -> Iterator[str]:
    """Nothing is promised of what is missed."""
    return iter(() if found.missed else ("nothing is missed",))


if __name__ == "__main__":
    command = "python benchmarks/missed_leaks.py"
    carry_out(RESULTS / "missed_leaks.md", command, LIBRARIES, measure, report, broken)
