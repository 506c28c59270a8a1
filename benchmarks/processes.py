"""One recipe trained by one process and by two: the same losses, and adapters whose scores differ by chance alone?

    python benchmarks/processes.py --rows 48 --cases 40              # the embedded model; 4 minutes on one core
    python benchmarks/processes.py --rows 16 --cases 4 --model DIR   # another model; --out DIR keeps the result apart

A part of the demo's triage rows is trained on with the demo's recipe, the second time under `accelerate launch`; both
adapters are judged on the same cases. Writes processes.md; exit code 1 if zero lies outside the 95 % interval of the
paired difference of their scores, or the losses of the last steps are more than a tenth apart.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import PLUGIN, RESULTS, ROOT, Usage, carry_out, run_process
from benchmarks.gate_markdown import table
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.statistics import paired as stats

UNIT = "support/triage"
APART = 0.1  # of the last steps' loss: two orders of summing give thousandths
LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl", "accelerate", "pytest")
TRAIN = ("-m", "tunegate", "train", "recipe.yaml", "--output")
LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
ON_CPU = {"ACCELERATE_USE_CPU": "true"}  # two cannot share one GPU
SUITES = ("-m", "pytest", "-q", "-p", PLUGIN, "suites/")


@dataclass(frozen=True)
class Trained:
    """An adapter: what its training used, what its record says of it, and what its answers scored."""

    used: Usage
    facts: dict[str, Any]
    scores: Sequence[float]

    @property
    def mean(self) -> float:
        """Its mean score."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class Outcome:
    """What came of one process and of two."""

    rows: int
    one: Trained
    two: Trained

    @property
    def differences(self) -> list[float]:
        """Two processes' score minus one's, case by case."""
        return [after - before for before, after in zip(self.one.scores, self.two.scores, strict=True)]

    def broken(self) -> Iterator[str]:
        """The promises that were not kept."""
        found = stats.interval(self.differences)
        if not found.lower <= 0 <= found.upper:
            yield f"the scores differ beyond chance ([{found.lower:+.3f}, {found.upper:+.3f}])"
        if abs(self.one.facts["last_loss"] - self.two.facts["last_loss"]) > APART:
            yield "the losses differ"
        if self.one.facts["steps"] != self.two.facts["steps"]:
            yield "the numbers of steps differ"


def write_project(folder: Path, model: str, rows: int, cases: int) -> None:
    """A task of a part of the demo's cases, rows for it, and the demo's recipe."""
    unit = dict(read_yaml(ROOT / "fixtures/support/triage.yaml").data)
    task = folder / "fixtures/support"
    shutil.copytree(ROOT / "fixtures/support/refs", task / "refs")
    (task / "triage.yaml").write_text(json.dumps(unit | {"cases": unit["cases"][:cases]}), "utf-8")  # JSON is YAML
    shutil.copytree(ROOT / "suites", folder / "suites")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    lines = (ROOT / "trainers/recipes/rows/triage.jsonl").read_text("utf-8").splitlines()[:rows]
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    demo = read_yaml(ROOT / "trainers/recipes/support.yaml").data
    override = {"override": "a benchmark of the trainer, not of the task"}
    recipe = demo | {"model": model, "rows": ["rows.jsonl"], "output": "one", "diagnosis": override}
    recipe["optim"] = {**demo["optim"], "max_length": 1024}  # for a tokenizer of bytes, too
    (folder / "recipe.yaml").write_text(json.dumps(recipe), "utf-8")


def measure(folder: Path, model: str, rows: int, cases: int, watch: Watch) -> Outcome:
    """Train twice, judge both.

    Raises:
        Failed: a command ended otherwise than it should.
    """
    write_project(folder, model, rows, cases)
    log, named = folder / "log.txt", f"--tg-model={model}"
    with watch("Recording the baseline"):
        run_process([*SUITES, named, "--tg-record"], folder, log)
    with watch("Climbing the ladder"):
        run_process(["-m", "tunegate", "diagnose", named, "--sample=10"], folder, log)
    with watch("Training by one process"):
        one = run_process([*TRAIN, "one"], folder, log, **ON_CPU)
    with watch("Training by two"):
        two = run_process([*LAUNCH, *TRAIN, "two"], folder, log, **ON_CPU)
    with watch("Judging both"):  # a run each: one adapter is not picked among two
        for name in ("one", "two"):
            scored = [named, f"--tg-adapter={name}", "--tg-against=baseline", f"--tg-out={name}.json"]
            run_process([*SUITES, *scored], folder, log, fine=(0, 1))
    return Outcome(rows, _trained(folder, "one", one), _trained(folder, "two", two))


def _trained(folder: Path, name: str, used: Usage) -> Trained:
    facts = json.loads((folder / name / "training.json").read_text("utf-8"))["training"]
    return Trained(used, facts, _scores(read_record(folder / f"{name}.json")))


def _scores(record: Record) -> list[float]:
    return [float(result.score) for key, result in sorted(record.cases.items()) if key.startswith(f"{UNIT}/")]


def report(outcome: Outcome, made: str) -> str:
    """The result as Markdown."""
    found = stats.interval(outcome.differences)
    mean = sum(outcome.differences) / len(outcome.differences)
    rows = [
        [str(each.facts["processes"]), str(each.facts["steps"]), f"{each.facts['first_loss']:.3f}",
         f"{each.facts['last_loss']:.3f}", f"{100 * each.mean:.1f} %", f"{each.facts['tokens_per_second']:.0f}",
         f"{each.used.wall:.0f}"]
        for each in (outcome.one, outcome.two)
    ]  # fmt: skip
    differing = sum(each != 0 for each in outcome.differences)
    return "\n\n".join(
        [
            "# One process and two",
            f"The demo's recipe on {outcome.rows} of its triage rows; judged on {len(outcome.differences)} cases.",
            table(
                ["processes", "steps", "loss, first steps", "loss, last steps", "right", "tokens/s", "s, all in all"],
                rows,
            ),
            f"Two less one: {100 * mean:+.1f} points, 95 % interval "
            f"[{100 * found.lower:+.1f}, {100 * found.upper:+.1f}]; cases that differ: {differing}. The seconds hold "
            "the start, the look at the rows and the proof of the adapter. On a machine whose cores one process uses "
            "already, two of them gain nothing.",
            made,
        ]
    )


def main(
    rows: Annotated[int, typer.Option(min=4)] = 120,
    cases: Annotated[int, typer.Option(min=2)] = 60,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where the result goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Measure and write processes.md."""
    with tempfile.TemporaryDirectory() as name:
        carry_out(
            out / "processes.md",
            f"python benchmarks/processes.py --rows {rows} --cases {cases} --model {model}",
            LIBRARIES,
            lambda watch: measure(Path(name), model, rows, cases, watch),
            report,
            Outcome.broken,
        )


if __name__ == "__main__":
    typer.run(main)
