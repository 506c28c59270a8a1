"""Many adapters scored together on one base, against as many runs of their own.

    python benchmarks/many_adapters.py                                     # 24 adapters, 24 cases; 19 minutes
    python benchmarks/many_adapters.py --adapters 4 --cases 4 --model DIR  # another model; --out DIR keeps it apart
    python benchmarks/many_adapters.py --untrained --adapters 200 --cases 2 --apart 8   # hundreds, with random weights

Each adapter is trained for a few steps on rows of its own, all in one process. Then one run judges all of them on cases
of the demo, and a run each (or of some, `--apart`) does so again, in a process of its own with no generations in its
cache. Writes many_adapters.md, of untrained ones hundreds_of_adapters.md; exit code 1 if an output differs, or if the
run of all loaded the base more than once.
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
class Wanted:
    """How many adapters and cases, whether they are trained, and how many of them run by themselves; 0: all."""

    adapters: int
    cases: int
    trained: bool = True
    apart: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of it; sizes in MB."""

    cases: int
    training: Usage | None
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
            if name in alone and alone[name][case] != output
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
    digits = max(2, len(str(adapters)))
    names = [f"adapter-{number:0{digits}}" for number in range(1, adapters + 1)]
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


def measure(folder: Path, model: str, wanted: Wanted, watch: Watch) -> Outcome:
    """Make the adapters, score them together, then each by itself, or some of them.

    Raises:
        Failed: a command did not end as it should.
    """
    names, base = write_project(folder, model, wanted.adapters, wanted.cases), resolve(model, watch)
    record(folder, base, model, watch)
    training = None
    if wanted.trained:
        training = train(folder, model, names, watch)
    else:
        with watch(f"Making {wanted.adapters} adapters"):
            run_process([CHILD, "make", base, *names], folder, folder / "log.txt")
    alone = names[:: max(1, len(names) // wanted.apart)][: wanted.apart] if wanted.apart else names
    together, leaderboard, apart = score(folder, base, model, names, watch, alone)
    sizes = [megabytes(folder / name) for name in names]
    distinct = len({adapter_digest(folder / name) for name in names})
    return Outcome(wanted.cases, training, together, apart, distinct, sizes, megabytes(base), leaderboard)


def train(folder: Path, model: str, names: Sequence[str], watch: Watch) -> Usage:
    """Climb the ladder, then train every adapter, all in one process."""
    with watch("Climbing the ladder"):
        run_process(["-m", "tunegate", "diagnose", f"--model={model}"], folder, folder / "log.txt")
    with watch(f"Training {len(names)} adapters"):
        return run_process([CHILD, "train", *(f"{name}.yaml" for name in names)], folder, folder / "log.txt")


def record(folder: Path, base: Path, model: str, watch: Watch) -> None:
    """Record the baseline, without which nothing is trained or compared."""
    with watch("Recording the baseline"):
        _run(folder, base, [], model, "--tg-record")


def score(
    folder: Path, base: Path, model: str, names: Sequence[str], watch: Watch, alone: Sequence[str] | None = None
) -> tuple[Scored, str, list[Scored]]:
    """Judge adapters in one run, with its leaderboard, and then all of them, or `alone` those named, in a run each."""
    alone = names if alone is None else alone
    with watch("Judging them together"):
        together = _run(folder, base, names, model, "--tg-against=baseline")
    leaderboard, apart = _leaderboard((folder / "log.txt").read_text("utf-8")), []
    with watch("Judging each by itself", len(alone)) as done:
        for name in alone:
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
    together, apart = found.together, found.apart
    count, alone = len(together.outputs), len(apart)
    wall, cpu = (sum(getattr(run.used, what) for run in apart) for what in ("wall", "cpu"))
    rows = [
        ["together", "1", f"{count}", str(together.loads), *_cells(together.used, count)],
        ["each by itself", str(alone), str(alone), str(sum(run.loads for run in apart)),
         *_cells(Usage(wall, cpu, max(run.used.peak for run in apart)), alone)],
    ]  # fmt: skip
    return "\n".join([
        "# Many adapters on one base", "", *(f"- {line}" for line in _findings(found)), "",
        table(["run", "processes", "adapters", "base loaded", "s", "s an adapter", "CPU s", "peak MB"], rows), "",
        "Sums over the processes, but the peak is that of the largest one: kept in memory side by side, as many full "
        "models would need many times that. Loads are counted where transformers loads a model. Each run begins with "
        "no generations in its cache; the model was converted before.", "",
        "## The leaderboard", "", "```", found.leaderboard, "```", "", _origin(found.training), "",
        "## How", "", made, "",
    ])  # fmt: skip


def _findings(found: Outcome) -> Iterator[str]:
    together, apart, count = found.together, found.apart, len(found.together.outputs)
    wall, cpu = (sum(getattr(run.used, what) for run in apart) / len(apart) for what in ("wall", "cpu"))
    one_wall, one_cpu = together.used.wall / count, together.used.cpu / count
    outputs = len(apart) * found.cases
    answers = {json.dumps(list(each.values())) for each in together.outputs.values()}
    yield (
        f"{count} adapters scored on {found.cases} cases in one run: the base was loaded {_times(together.loads)}. An "
        f"adapter took {one_wall:.1f} s, and {wall:.1f} s in a run of its own: {wall / one_wall:.1f} times as long, "
        f"and {cpu / one_cpu:.1f} times the processor time."
    )
    yield (
        f"{outputs - len(found.differing):,} of {outputs:,} outputs are the same in both, character by character. The "
        f"adapters are not alike: {found.distinct} different ones, {len(answers)} different sets of answers."
    )
    more = together.used.peak - max(run.used.peak for run in apart)
    yield (
        f"In memory one adapter is there at a time: the peak of the run of all is {abs(more):.0f} MB "
        f"{'higher' if more > 0 else 'lower'} than that of one adapter alone, {max(more, 0) / count:.2f} MB an adapter."
    )
    yield (
        f"{count} adapters weigh {sum(found.sizes):.0f} MB, {max(found.sizes):.1f} MB each at most; as many full "
        f"copies of the base would weigh {count * found.base:,.0f} MB, "
        f"{count * found.base / sum(found.sizes):.0f} times as much."
    )


def _origin(training: Usage | None) -> str:
    if training is None:
        return "The adapters have random weights: rank 4, on the queries and values of every layer. None was trained."
    return (
        f"The adapters were trained for {STEPS} steps of {BATCH} rows, each on rows of its own, all in one process "
        f"({training.wall:.0f} s, {training.peak:.0f} MB at its peak): enough to differ, not to be good."
    )


def _cells(used: Usage, adapters: int) -> list[str]:
    return [f"{used.wall:.0f}", f"{used.wall / adapters:.1f}", f"{used.cpu:.0f}", f"{used.peak:,.0f}"]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def main(
    adapters: Annotated[int, typer.Option(min=2, help="How many adapters.")] = 24,
    cases: Annotated[int, typer.Option(min=1, help="How many cases of the demo's triage.")] = 24,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights, which are made in a moment.")] = False,
    apart: Annotated[int, typer.Option(min=0, help="How many run by themselves; 0: all.")] = 0,
    out: Annotated[Path, typer.Option(help="Where many_adapters.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Judge many adapters together and apart, write many_adapters.md, and fail if the outputs are not the same."""

    def in_a_folder(watch: Watch) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="tunegate-adapters-") as folder:
            return measure(Path(folder), model, Wanted(adapters, cases, not untrained, apart), watch)

    command = f"python benchmarks/many_adapters.py --adapters {adapters} --cases {cases} --model {model}"
    command += f"{' --untrained' if untrained else ''}{f' --apart {apart}' if apart else ''}"
    result = out / f"{'hundreds_of' if untrained else 'many'}_adapters.md"
    carry_out(result, command, LIBRARIES, in_a_folder, report, broken)


if __name__ == "__main__":
    typer.run(main)
