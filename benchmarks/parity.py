"""Does `tunegate parity` name what is wrong with a served model? 30 damaged artefacts, and 10 that are healthy.

    python benchmarks/parity.py WORK                     # all of them; about an hour
    python benchmarks/parity.py WORK --only llama.cpp    # or folders, or vllm: the one of TUNEGATE_VLLM_PYTHON
    python benchmarks/parity.py WORK --quick             # at most 12 cases instead of up to 120

Two adapters of the embedded model are trained on rows of the demo, unless WORK has them. `parity_artefacts.py` lists
the artefacts with the causes that are right for each, written before anything was measured. A cause counts if the
command names it first, or if it ends with an error that says it.

Writes results/parity.md. Promised: of 30 damaged artefacts at least 28 are named right, and none passes; of 10 healthy
ones, on 4 to 120 cases, none is called different. One that is only said to have too few cases is not.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer
import yaml
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out, run_once
from benchmarks.gate_markdown import table
from benchmarks.parity_artefacts import EARLIER, MODEL, TUNED, Artefact, Made, Workshop
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.served.vllm_process import find_installation

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "xllamacpp", "gguf")
TASK, UNITS, FEWEST = "support", {"triage": 1, "passages": 4}, 4  # a fourth as many passages as messages
WHY = {"override": "a benchmark"}
#: The first rows of the demo's `triage`, the epochs and the seed.
TRAININGS = {TUNED: (48, 2, 7), EARLIER: (24, 2, 1)}
KINDS: dict[str, Callable[[Workshop], Made]] = {
    "folders": Workshop.folders, "llama.cpp": Workshop.files, "vllm": Workshop.servers,
}  # fmt: skip
DAMAGED, HEALTHY, MISNAMED, QUICK = 30, 10, 2, 12
ERRORS, TOO_FEW = (3, 4), "too few cases in"
#: What the command calls the causes of a difference.
CAUSES = frozenset(re.findall(r"`([a-z-]+)`", (ROOT / "docs/parity.md").read_text("utf-8").split("## Causes")[1]))


class Row(NamedTuple):
    """An artefact, and what the command made of it: the exit code, the first cause, its words, the seconds."""

    by: str
    artefact: Artefact
    code: int
    cause: str
    said: str
    seconds: float

    @property
    def is_named(self) -> bool:
        """Whether the cause is right, or the error says it."""
        causes = self.artefact.causes.split(" or ")
        return any(each in self.said for each in causes) if self.code in ERRORS else self.cause in causes

    @property
    def is_called_different(self) -> bool:
        """Whether it is said not to be the evaluated model."""
        return self.code != 0 and TOO_FEW not in self.said

    @property
    def cells(self) -> list[str]:
        """Its row of a table."""
        named = self.cause or " ".join(self.said.split())[:200].replace("|", "/") or "-"
        is_right = self.is_named if self.artefact.causes else not self.is_called_different
        return [
            self.by, self.artefact.name, str(self.artefact.cases), self.artefact.causes or "-", named, str(self.code),
            f"{self.seconds:.0f}", "" if is_right else "wrong",
        ]  # fmt: skip


class Project:
    """A folder with so many cases of the demo."""

    def __init__(self, work: Path, cases: int) -> None:
        self.folder = work / f"{cases}-cases"
        task = self.folder / "fixtures" / TASK
        shutil.copytree(ROOT / "fixtures" / TASK / "refs", task / "refs", dirs_exist_ok=True)
        for name, share in UNITS.items():
            unit = _of_demo(name)
            unit["cases"] = unit["cases"][: max(cases // share, FEWEST)]
            (task / f"{name}.yaml").write_text(json.dumps(unit), "utf-8")
        units = {name: policy for name, policy in _of_demo("task")["units"].items() if name in UNITS}
        (task / "task.yaml").write_text(json.dumps({"version": 1, "units": units}), "utf-8")
        self._run("record")

    def train(self) -> None:
        """Train both adapters, unless they are there."""
        self._run("diagnose", TASK, "--sample", "10")
        recipes = self.folder / "recipes"
        recipes.mkdir(exist_ok=True)
        rows = (ROOT / "trainers/recipes/rows/triage.jsonl").read_text("utf-8").splitlines(keepends=True)
        for name, (count, epochs, seed) in TRAININGS.items():
            (recipes / f"{name}.jsonl").write_text("".join(rows[:count]), "utf-8")
            recipe = {
                "version": 1, "task": TASK, "model": MODEL, "rows": [f"{name}.jsonl"], "seed": seed,
                "optim": {"lr": 8e-4, "batch": 4, "epochs": epochs, "max_length": 512}, "diagnosis": WHY,
                "memorization": WHY, "private_data": WHY, "output": f"../../adapters/{name}",
            }  # fmt: skip
            (recipes / f"{name}.yaml").write_text(json.dumps(recipe), "utf-8")
            self._run("train", f"recipes/{name}.yaml")

    def evaluate(self) -> None:
        """Evaluate the adapter, unless that was done."""
        self._run("gate", "--adapter", f"../adapters/{TUNED}", "--out", "run.json")

    def _run(self, *command: str) -> None:
        name = f"{command[0]}-{Path(command[-1]).stem}"
        run_once(name, ["-m", "tunegate", *command, "--quiet"], self.folder, (0, 1) if command[0] == "gate" else (0,))

    def compare(self, by: str, artefact: Artefact, model: str) -> Row:
        """Run `tunegate parity` on an artefact, in this process."""
        from tunegate.harness.cli.main import app

        command = ["parity", f"../adapters/{TUNED}", "--model", model, "--run", "run.json", "--json", "--quiet"]
        start = time.monotonic()
        with chdir(self.folder):
            done = CliRunner().invoke(app, command)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        with (self.folder / "parity.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {by}: {artefact.name}: exit {done.exit_code}\n{done.stdout}{done.stderr}\n")
        return Row(
            by, artefact, done.exit_code, first_cause(done.stdout), done.stderr.strip(), time.monotonic() - start
        )


def first_cause(printed: str) -> str:
    """The first cause in what `parity --json` printed; empty where it printed nothing, or names none."""
    lines = json.loads(printed)["lines"] if printed.strip() else []
    return next((name for line in lines if (name := line.partition(":")[0]) in CAUSES), "")


def _of_demo(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / f"fixtures/{TASK}/{name}.yaml").read_text("utf-8"))
    return found


def measure(work: Path, kinds: Sequence[str], most: int, watch: Watch) -> list[Row]:
    """Make each artefact of these kinds in a folder, and compare it on at most so many cases."""
    if "vllm" in kinds:
        find_installation()  # before the rest takes an hour
    work.mkdir(parents=True, exist_ok=True)
    work = work.resolve()
    Project(work, FEWEST).train()
    projects: dict[int, Project] = {}
    shop, rows = Workshop(work), []
    with watch("Artefacts", DAMAGED + HEALTHY) as done:
        for by in kinds:
            for artefact, model in KINDS[by](shop):
                cases = min(artefact.cases, most)
                if cases not in projects:
                    projects[cases] = Project(work, cases)
                    projects[cases].evaluate()
                rows.append(projects[cases].compare(by, artefact._replace(cases=cases), str(model)))
                done(1)
    return rows


def report(rows: Sequence[Row], made: str) -> str:
    """The result as Markdown."""
    damaged, healthy = parts(rows)
    head = ["", "artefact", "cases", "right", "named", "exit code", "s", ""]
    return "\n\n".join([
        "# Is what is wrong with a served model named?",
        f"Of {len(damaged)} damaged artefacts of an adapter of the embedded model "
        f"{sum(row.is_named for row in damaged)} are named right, and {sum(not row.code for row in damaged)} pass. Of "
        f"{len(healthy)} healthy ones {sum(row.is_called_different for row in healthy)} are called different.",
        "*Right*: the causes that were written down before. *Named*: the first cause, or the error.",
        table(head, (row.cells for row in damaged)),
        "## Healthy", table(head, (row.cells for row in healthy)),
        "## How", made,
    ]) + "\n"  # fmt: skip


def broken(rows: Sequence[Row]) -> Iterator[str]:
    """The promises that were not kept."""
    damaged, healthy = parts(rows)
    wrong = [f"{row.by}: {row.artefact.name}" for row in damaged if not row.is_named]
    if len(wrong) > MISNAMED:
        yield f"{len(damaged) - len(wrong)} of {len(damaged)} are named right; wrong are {', '.join(wrong)}"
    yield from (f"{row.by}: {row.artefact.name} passes" for row in damaged if not row.code)
    yield from (f"{row.by}: {row.artefact.name} is called different" for row in healthy if row.is_called_different)
    if {row.by for row in rows} == KINDS.keys() and (len(damaged), len(healthy)) != (DAMAGED, HEALTHY):
        yield f"{len(damaged)} damaged and {len(healthy)} healthy artefacts, not {DAMAGED} and {HEALTHY}"


def parts(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The damaged artefacts, and the healthy ones."""
    return [row for row in rows if row.artefact.causes], [row for row in rows if not row.artefact.causes]


def main(
    work: Annotated[Path, typer.Argument(help="Where everything is made.")],
    only: Annotated[Literal["folders", "llama.cpp", "vllm"] | None, typer.Option("--only", help="One kind.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where it goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Measure, and write the result."""
    terms = (work, [only] if only else [*KINDS], QUICK if quick else sys.maxsize)
    command = f"python benchmarks/parity.py WORK{f' --only {only}' * bool(only)}{' --quick' * quick}"
    carry_out(out / "parity.md", command, LIBRARIES, lambda watch: measure(*terms, watch), report, broken)


if __name__ == "__main__":
    typer.run(main)
