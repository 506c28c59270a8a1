"""What do grades of parts say of tasks that nobody here wrote? Fields and confusions before and after a short tune.

    python benchmarks/foreign.py              # writes foreign.md
    python benchmarks/foreign.py --keep DIR   # keeps the projects, with their records

An extraction task (postal addresses) and a classification task (moods of short messages), from data that source
packages of PyPI carry (`foreign_data`). Each is recorded, diagnosed, tuned for one pass over its rows, and gated, the
addresses twice: by answers that are right as a whole, and by the share of an answer that is right.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.foreign_data import CASES, ROWS, Example, addresses, moods, split, unit
from benchmarks.frame import PLUGIN, RESULTS, carry_out, run_process
from benchmarks.gate_markdown import table
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.reporting.parts import PartReport
from tunegate.harness.reporting.report import CandidateReport, candidate_report
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.paired import Floats

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl")
EXACT, SHARE = {"extract": "strict"}, {"extract": "strict", "score": "share"}
UNITS = {
    "addresses": {"addresses": EXACT, "addresses-share": SHARE},
    "moods": {"moods": EXACT},
}
SIZES, DRAWS = (5, 10, 20, 40), 500  # of cases that are drawn, to see how many a gate needs
MARGIN = {"role": "target", "margin": 0.1, "reason": "A benchmark's: ten in a hundred would be noticed."}


@dataclass(frozen=True)
class Tuned:
    """A task before and after its tune, as the gate reports it, and how many rows were left to train on.

    `gains` are by unit the differences of its cases' scores.
    """

    task: str
    rows: int
    before: CandidateReport
    after: CandidateReport
    gains: Mapping[str, Floats]


def write_project(folder: Path, task: str, examples: Sequence[Example], model: str) -> None:
    """Fixtures, rows and recipe of a task, in a project of its own."""
    cases, rows = split(examples)
    fixtures = folder / "fixtures" / task
    fixtures.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    for name, check in UNITS[task].items():
        _write(fixtures / f"{name}.yaml", unit(name, cases, check))
    _write(fixtures / "task.yaml", {"version": 1, "units": dict.fromkeys(UNITS[task], MARGIN)})
    first = next(iter(UNITS[task]))
    lines = [json.dumps({"unit": first, "input": row.text, "output": json.dumps(row.answer)}) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = {
        "version": 1, "task": task, "model": model, "rows": ["rows.jsonl"], "output": "tuned",
        "diagnosis": {"override": "a benchmark's"}, "decontaminate": {"refuse": "drop", "review": "keep"},
        "optim": {"lr": 5e-4, "epochs": 1, "batch": 8}, "seed": 7,
    }  # fmt: skip
    _write(folder / "recipe.yaml", recipe)


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=1), "utf-8")  # JSON is YAML


def measure(folder: Path, model: str, watch: Watch) -> list[Tuned]:
    """Record, diagnose, tune and gate both tasks.

    Raises:
        Failed: a command did not end as it should.
    """
    tasks = {"addresses": addresses(folder), "moods": moods(folder)}
    for task, examples in tasks.items():
        write_project(folder / task, task, examples, model)
    return [_tune(folder / task, task, model, watch) for task in tasks]


def _tune(folder: Path, task: str, model: str, watch: Watch) -> Tuned:
    log, asked = folder / "log.txt", f"--model={model}"
    with watch(f"Recording the baseline of {task}"):
        record = ["-m", "pytest", "-q", "--tb=no", "-p", PLUGIN, "fixtures/", f"--tg-model={model}", "--tg-record"]
        run_process(record, folder, log, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    with watch(f"Climbing the ladder of {task}"):
        run_process(["-m", "tunegate", "diagnose", asked], folder, log)
    with watch(f"Tuning on {task}"):
        run_process(["-m", "tunegate", "train", "recipe.yaml"], folder, log)
    with watch(f"Judging {task}"):
        before, after = _judge(folder, "base.json", asked), _judge(folder, "tuned.json", asked, "--adapter=tuned")
    said = json.loads((folder / "tuned/training.json").read_text("utf-8"))
    gains = {
        unit: np.array([(after.cases[key].score or 0) - (before.cases[key].score or 0) for key in keys])
        for unit in (f"{task}/{name}" for name in UNITS[task])
        if (keys := [key for key in after.cases if key.startswith(f"{unit}/")])
    }
    return Tuned(task, said["grading"]["trained"], candidate_report(before), candidate_report(after), gains)


def _judge(folder: Path, record: str, *asked: str) -> Record:
    run_process(["-m", "tunegate", "gate", *asked, f"--out={record}"], folder, folder / "log.txt", fine=(0, 1, 4))
    return read_record(folder / record)


def share_improved(gains: Floats, size: int) -> float:
    """In how many draws of so many cases a gate would have said "improved"."""
    draw = np.random.default_rng(size)
    drawn = (draw.choice(gains, size, replace=False) for _ in range(DRAWS))
    return float(np.mean([stats.p_better(each, seed=SEED).p <= LEVEL for each in drawn]))


def report(found: Sequence[Tuned], made: str) -> str:
    """The result as Markdown."""
    return "\n\n".join([
        "# Tasks that nobody here wrote",
        f"Two tasks of {CASES} cases and {ROWS} rows, from the data of two source packages of PyPI; the embedded "
        "model, one pass over the rows, one seed: what the grades see is the subject, not how well it can be tuned.",
        *(part for task in found for part in _task(task)),
        "## How", made, "",
    ])  # fmt: skip


def _task(tuned: Tuned) -> Iterator[str]:
    yield f"## {tuned.task}: {tuned.rows} rows trained on"
    yield f"The gate, against the base: {shown_in_markdown(tuned.after.verdict)}"
    judged = [
        [each.key, str(each.n), _score(each.base), _score(each.mean), each.verdict, shown_in_markdown(each.reason)]
        for each in tuned.after.units
    ]
    yield table(["unit", "cases", "base", "tuned", "verdict", "why"], judged)
    earlier = {part.name: part for part in tuned.before.units[0].parts}
    yield table(
        ["part", "base", "tuned", "precision", "recall", "most often, base", "most often, tuned"],
        [_cells(earlier.get(part.name), part) for part in tuned.after.units[0].parts],
    )
    yield f"With fewer cases: in how many of {DRAWS} draws the gate would have found the gain."
    found = [[unit, *(percent(share_improved(d, size)) for size in SIZES)] for unit, d in tuned.gains.items()]
    yield table(["unit", *(f"{size} cases" for size in SIZES)], found)


def _score(mean: float | None) -> str:
    return "-" if mean is None else percent(mean)


def _cells(earlier: PartReport | None, part: PartReport) -> list[str]:
    both = [_score(earlier.mean if earlier else None), _score(part.mean), _score(part.precision), _score(part.recall)]
    taken = [shown_in_markdown(each.confusions) if each else "" for each in (earlier, part)]
    return [shown_in_markdown(part.label), *both, *taken]


def main(
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    keep: Annotated[Path | None, typer.Option(help="Where the projects are kept.", metavar="DIR")] = None,
    out: Annotated[Path, typer.Option(help="Where foreign.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Tune on two tasks of others' data, and write what the grades see of them before and after."""

    def in_a_folder(watch: Watch) -> list[Tuned]:
        if keep:
            keep.mkdir(parents=True)
            return measure(keep, model, watch)
        with tempfile.TemporaryDirectory(prefix="tunegate-foreign-") as folder:
            return measure(Path(folder), model, watch)

    carry_out(out / "foreign.md", "python benchmarks/foreign.py", LIBRARIES, in_a_folder, report, lambda _: ())


if __name__ == "__main__":
    typer.run(main)
