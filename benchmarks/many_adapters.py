"""Many adapters scored together on one base, against as many runs of their own.

    python benchmarks/many_adapters.py                                     # 24 adapters, 24 cases; 19 minutes
    python benchmarks/many_adapters.py --adapters 4 --cases 4 --model DIR  # another model; --out DIR keeps it apart

Each adapter is trained for a few steps on rows of its own, all in one process. Then one run judges all of them on cases
of the demo, and a run each does so again, in a process of its own with no generations in its cache.
Writes many_adapters.md; exit code 1 if an output differs, or if the run of all loaded the base more than once.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import PLUGIN, RESULTS, ROOT, Usage, carry_out, run_process
from benchmarks.gate_markdown import table
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.record import read_record
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.resolve import cache_folder, resolve
from tunegate.harness.reporting.leaderboard import megabytes

STEPS, BATCH, TOKENS = 3, 4, 16
LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl", "pytest")
CHILD = Path(__file__).with_name("many_adapters_child.py")
Outputs = Mapping[str, str | None]  # by case


@dataclass(frozen=True)
class Scored:
    """A run of the suites: what it used, how often it loaded the base, and each adapter's outputs."""

    used: Usage
    loads: int
    outputs: Mapping[str, Outputs]


@dataclass(frozen=True)
class Outcome:
    """What came of it; sizes in MB."""

    cases: int
    training: Usage
    together: Scored
    apart: Sequence[Scored]
    distinct: int
    sizes: Sequence[float]
    base: float
    leaderboard: str

    @property
    def differing(self) -> list[str]:
        """Adapter and case of every output that is not the same in both."""
        alone = {name: outputs for run in self.apart for name, outputs in run.outputs.items()}
        return [
            f"{name} on {case}" for name, outputs in self.together.outputs.items() for case, output in outputs.items()
            if alone[name][case] != output
        ]  # fmt: skip


def write_project(folder: Path, model: str, adapters: int, cases: int) -> list[str]:
    """A task of the demo's first cases, and a recipe with rows and a seed of its own for each adapter; their names."""
    unit = dict(read_yaml(ROOT / "fixtures/support/triage.yaml").data)
    del unit["shots"]  # for the ladder only
    unit |= {"cases": unit["cases"][:cases], "generate": {"max_new_tokens": TOKENS}}
    task = folder / "fixtures/support"
    (task / "refs").mkdir(parents=True)
    shutil.copy(ROOT / "fixtures/support/refs/triage.schema.json", task / "refs")
    _write(task / "triage.yaml", unit)
    why = {"reason": "a benchmark's"}
    _write(task / "task.yaml", {"version": 1, "units": {"triage": {"role": "target", "margin": 0.2, **why}}})
    shutil.copytree(ROOT / "suites", folder / "suites")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    rows = (ROOT / "trainers/recipes/rows/triage.jsonl").read_text("utf-8").splitlines(keepends=True)
    names = [f"adapter-{number:02}" for number in range(1, adapters + 1)]
    for number, name in enumerate(names):
        own = [rows[(number * STEPS * BATCH + place) % len(rows)] for place in range(STEPS * BATCH)]
        (folder / f"{name}.jsonl").write_text("".join(own), "utf-8")
        recipe = {"version": 1, "task": "support", "model": model, "rows": [f"{name}.jsonl"], "output": name,
                  "diagnosis": {"override": "a benchmark's"}, "optim": {"lr": 2e-3, "epochs": 1, "batch": BATCH},
                  "seed": number}  # fmt: skip
        _write(folder / f"{name}.yaml", recipe)
    return names


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data), "utf-8")  # JSON is YAML


def measure(folder: Path, model: str, adapters: int, cases: int, watch: Watch) -> Outcome:
    """Train the adapters, score them together, then each by itself.

    Raises:
        Failed: a command did not end as it should.
    """
    names, base = write_project(folder, model, adapters, cases), resolve(model, watch)
    record(folder, base, model, watch)
    with watch("Climbing the ladder"):
        run_process(["-m", "tunegate", "diagnose", f"--model={model}"], folder, folder / "log.txt")
    with watch(f"Training {adapters} adapters"):
        recipes = [f"{name}.yaml" for name in names]
        training = run_process([CHILD, "train", *recipes], folder, folder / "log.txt")
    together, leaderboard, apart = score(folder, base, model, names, watch)
    sizes = [megabytes(folder / name) for name in names]
    distinct = len({adapter_digest(folder / name) for name in names})
    return Outcome(cases, training, together, apart, distinct, sizes, megabytes(base), leaderboard)


def record(folder: Path, base: Path, model: str, watch: Watch) -> None:
    """Record the baseline, without which nothing is trained or compared."""
    with watch("Recording the baseline"):
        _run(folder, base, [], model, "--tg-record")


def score(
    folder: Path, base: Path, model: str, names: Sequence[str], watch: Watch
) -> tuple[Scored, str, list[Scored]]:  # fmt: skip
    """Judge adapters in one run, with its leaderboard, and then in a run each."""
    with watch("Judging them together"):
        together = _run(folder, base, names, model, "--tg-against=baseline")
    leaderboard, apart = _leaderboard((folder / "log.txt").read_text("utf-8")), []
    with watch("Judging each by itself", len(names)) as done:
        for name in names:
            apart.append(_run(folder, base, [name], model, "--tg-against=baseline"))
            done(1)
    return together, leaderboard, apart


def _run(folder: Path, base: Path, names: Sequence[str], model: str, how: str) -> Scored:
    """Run the suites with an empty cache of generations, but with the model that was converted before."""
    models, cache, out, loaded = cache_folder() / "models", folder / "cache", folder / "out", folder / "loaded.json"
    for old in (cache, out):
        shutil.rmtree(old, ignore_errors=True)
    models.mkdir(parents=True, exist_ok=True)
    cache.mkdir()
    (cache / "models").symlink_to(models.resolve())
    out.mkdir()
    files = {name: out / f"{name}.json" for name in names}
    where = [f"--tg-out={out if len(names) > 1 else files[names[0]]}"] if names else []
    used = run_process(
        [CHILD, "score", loaded, "-q", "--tb=no", "-p", "no:cacheprovider", "-p", PLUGIN, "suites/",
         f"--tg-model={model}", how, *where, *(f"--tg-adapter={name}" for name in names)],
        folder, folder / "log.txt", fine=(0, 1),
        TUNEGATE_CACHE=str(cache), COLUMNS="110", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip
    loads = [Path(each) for each in json.loads(loaded.read_text("utf-8"))]
    shown = {name: {key: case.output for key, case in read_record(file).cases.items()} for name, file in files.items()}
    return Scored(used, sum(each.resolve() == base.resolve() for each in loads), shown)


def _leaderboard(said: str) -> str:
    """The part of pytest's words that is the leaderboard, its weights in MB included."""
    _, found, rest = said.partition(" leaderboard ")
    if not found:
        return said
    lines = [line.rstrip() for line in rest.splitlines()[1:]]
    last = next((at for at, line in enumerate(lines) if " on one base of " in line), len(lines))
    return "\n".join(lines[: last + 1])


def broken(found: Outcome) -> Iterator[str]:
    """What should not be: an output that differs, or a base that is not loaded exactly once."""
    if found.differing:
        yield f"{len(found.differing)} outputs differ: {', '.join(found.differing[:5])}"
    if found.together.loads != 1:
        yield f"the run of all loaded the base {found.together.loads} times"


def report(found: Outcome, made: str) -> str:
    """The result as Markdown."""
    together, apart, count = found.together, found.apart, len(found.apart)
    wall, cpu = (sum(getattr(run.used, what) for run in apart) for what in ("wall", "cpu"))
    peak, outputs = max(run.used.peak for run in apart), count * found.cases
    answers = {json.dumps(list(each.values())) for each in together.outputs.values()}
    rows = [
        ["together", "1", str(together.loads), *_cells(together.used.wall, together.used.cpu, together.used.peak)],
        ["each by itself", str(count), str(sum(run.loads for run in apart)), *_cells(wall, cpu, peak)],
    ]
    return "\n".join([
        "# Many adapters on one base", "",
        f"- {count} adapters scored on {found.cases} cases in one run: the base was loaded "
        f"{_times(together.loads)}. It took {together.used.wall:.0f} s, and {wall:.0f} s in {count} runs of their own: "
        f"{wall / together.used.wall:.1f} times as long, and {cpu / together.used.cpu:.1f} times the processor time.",
        f"- {outputs - len(found.differing):,} of {outputs:,} outputs are the same in both, character by character. "
        f"The adapters are not alike: {found.distinct} different ones, {len(answers)} different sets of answers.",
        f"- {count} adapters weigh {sum(found.sizes):.0f} MB, {max(found.sizes):.1f} MB each at most; as many full "
        f"copies of the base would weigh {count * found.base:,.0f} MB, "
        f"{count * found.base / sum(found.sizes):.0f} times as much.", "",
        table(["run", "processes", "base loaded", "s", "CPU s", "peak MB"], rows), "",
        "Sums over the processes, but the peak is that of the largest one: kept in memory side by side, as many full "
        "models would need many times that. Loads are counted where transformers loads a model. Each run begins with "
        "no generations in its cache; the model was converted before.", "",
        "## The leaderboard", "", "```", found.leaderboard, "```", "",
        f"The adapters were trained for {STEPS} steps of {BATCH} rows, each on rows of its own, all in one process "
        f"({found.training.wall:.0f} s, {found.training.peak:.0f} MB at its peak): enough to differ, not to be good.",
        "",
        "## How", "", made, "",
    ])  # fmt: skip


def _cells(wall: float, cpu: float, peak: float) -> list[str]:
    return [f"{wall:.0f}", f"{cpu:.0f}", f"{peak:,.0f}"]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def main(
    adapters: Annotated[int, typer.Option(min=2, help="How many adapters.")] = 24,
    cases: Annotated[int, typer.Option(min=1, help="How many cases of the demo's triage.")] = 24,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where many_adapters.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Judge many adapters together and apart, write many_adapters.md, and fail if the outputs are not the same."""

    def in_a_folder(watch: Watch) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="tunegate-adapters-") as folder:
            return measure(Path(folder), model, adapters, cases, watch)

    command = f"python benchmarks/many_adapters.py --adapters {adapters} --cases {cases} --model {model}"
    carry_out(out / "many_adapters.md", command, LIBRARIES, in_a_folder, report, broken)


if __name__ == "__main__":
    typer.run(main)
