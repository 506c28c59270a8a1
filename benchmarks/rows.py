"""How many rows, and how clean? And a LoRA adapter beside a training of every weight, on the same rows.

    python benchmarks/rows.py                       # 100, 300 and 1,000 rows
    python benchmarks/rows.py --sizes 30 --cases 9  # minutes

The task is one that nobody here wrote: the mood of short messages (`foreign_data`). Of as many rows each, an adapter is
trained on clean ones and on noisy ones, of which a part has another's label, and all weights on the clean ones. Each
training is a process of its own; what it made answers the same cases, which no training saw, and the demo's general
passages and questions, for what was kept. Writes rows.md and rows.svg. There is no promise to break.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.foreign_data import Example, moods, unit
from benchmarks.frame import RESULTS, ROOT, carry_out, run_process
from benchmarks.gate_markdown import table
from benchmarks.rows_child import FULL, RECIPE
from benchmarks.rows_plot import draw
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.diagnosis.ladder import sample
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.local.huggingface import Local

CHILD = Path(__file__).with_name("rows_child.py")
LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl")
LABELS = ("positive", "neutral", "negative")
CLEAN, NOISY, WHOLE = "LoRA, clean rows", "LoRA, noisy rows", "all weights, clean rows"
LR = {CLEAN: 5e-4, NOISY: 5e-4, WHOLE: 5e-5}  # all weights bear a tenth of it
KEPT = ("passages", "questions")
RUNGS = ("as-is", "few-shot")
SEED, LEVEL = 11, 0.05
MB = 1 << 20


@dataclass(frozen=True)
class Answered:
    """What a model made of the cases: the share that is right and that fits the schema and, by general unit, means."""

    right: float
    fitting: float
    kept: Mapping[str, float]


@dataclass(frozen=True)
class Trained:
    """A training: on how many rows, in what way, what it took, and what it came to."""

    way: str
    rows: int
    minutes: float
    peak: float  # MB, of the process
    size: float  # MB, on disk
    answered: Answered


@dataclass(frozen=True)
class Measured:
    """All trainings, the base beside them by rung, and how many cases, noise and passes there were."""

    cases: int
    noise: float
    passes: int
    base: Mapping[str, Answered]
    trained: Sequence[Trained]


def divide(examples: Sequence[Example], cases: int, rows: int) -> tuple[list[Example], list[Example]]:
    """Cases, and rows in an order of which any beginning has an equal share of each label.

    Raises:
        ValueError: there are not as many examples.
    """
    drawn = random.Random(SEED).sample(examples, len(examples))  # noqa: S311
    by_label = {label: [each for each in drawn if each.answer["mood"] == label] for label in LABELS}
    if min(map(len, by_label.values())) * len(LABELS) < cases + rows:
        raise ValueError(f"expected {cases + rows} examples, a third of each label, found fewer")
    share = cases // len(LABELS)
    aside = [each for those in by_label.values() for each in those[:share]]
    taken = [each for three in zip(*(those[share:] for those in by_label.values()), strict=False) for each in three]
    return aside, taken[:rows]


def spoil(rows: Sequence[Example], noise: float) -> list[Example]:
    """The same rows, of which a share has another label."""
    draw = random.Random(SEED)  # noqa: S311
    wrong = set(draw.sample(range(len(rows)), round(noise * len(rows))))
    return [
        replace(row, answer={"mood": draw.choice([label for label in LABELS if label != row.answer["mood"]])})
        if index in wrong else row
        for index, row in enumerate(rows)
    ]  # fmt: skip


def write_project(folder: Path, rows: Sequence[Example], lr: float, model: str, passes: int) -> None:
    """Rows and recipe beside the fixtures, which stand there."""
    lines = [json.dumps({"unit": "moods", "input": row.text, "output": json.dumps(row.answer)}) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = {
        "version": 1, "task": "moods", "model": model, "rows": ["rows.jsonl"], "output": "tuned",
        "optim": {"lr": lr, "epochs": passes, "batch": 4, "max_length": 512}, "seed": 7,
    }  # fmt: skip
    (folder / RECIPE).write_text(json.dumps(recipe), "utf-8")


def write_fixtures(folder: Path, cases: Sequence[Example], shots: Sequence[Example]) -> Unit:
    """The task that is trained for, its cases being those put aside."""
    fixtures = folder / "fixtures/moods"
    fixtures.mkdir(parents=True)
    shown = [{"input": each.text, "output": json.dumps(each.answer)} for each in shots]
    data: dict[str, Any] = {**unit("moods", cases, {"extract": "strict"}), "shots": shown}
    (fixtures / "moods.yaml").write_text(json.dumps(data), "utf-8")
    return find_unit(load_tasks(folder / "fixtures"), "moods/moods")


def measure(
    model: str, sizes: Sequence[int], cases: int, kept: int, noise: float, passes: int, watch: Watch
) -> Measured:  # fmt: skip
    """Train in each way on each number of rows, and ask all.

    Raises:
        Failed: a training did not end as it should.
    """
    tasks = load_tasks(ROOT / "fixtures")
    general = [sample(find_unit(tasks, f"support/{name}"), kept) for name in KEPT]
    with tempfile.TemporaryDirectory(prefix="tunegate-rows-") as made:
        folder = Path(made)
        aside, rows = divide(moods(folder), cases, max(sizes) + len(LABELS))
        asked = write_fixtures(folder, aside, rows[-len(LABELS) :])
        base = {rung: answered(Local(model, quiet(), rung=rung), asked, general) for rung in RUNGS}
        found = []
        with watch("Trainings", len(sizes) * len(LR)) as done:
            for size in sizes:
                for way in LR:
                    found.append(train(folder, way, rows[:size], model, noise, passes, (asked, general)))
                    done(1)
    return Measured(len(aside), noise, passes, base, found)


def train(
    folder: Path, way: str, rows: Sequence[Example], model: str, noise: float, passes: int,
    units: tuple[Unit, Sequence[Unit]],
) -> Trained:  # fmt: skip
    """One training in a process of its own, then its answers."""
    write_project(folder, spoil(rows, noise) if way == NOISY else rows, LR[way], model, passes)
    tuned, told = folder / f"tuned-{list(LR).index(way)}-{len(rows)}", folder / "told.json"
    used = run_process(
        [CHILD, folder, tuned, told, *([FULL] if way == WHOLE else [])], folder, folder / "log.txt"
    )  # fmt: skip
    seconds = json.loads(told.read_text("utf-8"))["seconds"]
    size = sum(path.stat().st_size for path in tuned.rglob("*") if path.is_file()) / MB
    asked = Local(str(tuned), quiet()) if way == WHOLE else Local(model, quiet(), tuned)
    return Trained(way, len(rows), seconds / 60, used.peak, size, answered(asked, *units))


def answered(model: Local, asked: Unit, general: Sequence[Unit]) -> Answered:
    """Ask one model everything."""
    units = [asked] if model.fingerprint.subject.get("rung") == RUNGS[1] else [asked, *general]
    record = evaluate(units, model, quiet(), partial=True)
    rates, means = record.units[asked.key].rates, {each.name: record.units[each.key].mean for each in units[1:]}
    kept = {name: mean or 0.0 for name, mean in means.items()}
    return Answered(record.units[asked.key].mean or 0.0, rates["adherence"], kept)


def at_least(share: float, n: int) -> float:
    """The lower 95 % bound of a share (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    k = round(share * n)
    return float(beta.ppf(LEVEL, k, n - k + 1)) if k else 0.0


def report(found: Measured, made: str) -> str:
    """The result as Markdown."""
    head = ["", "rows", "right", "adherence", "at least", *KEPT, "minutes", "peak MB", "MB on disk"]
    rows = [*(_base(rung, each, found.cases) for rung, each in found.base.items()), *_trained(found)]
    return "\n".join([
        "# How many rows, and how clean", "",
        *(f"- {line}" for line in findings(found)), "",
        table(head, rows), "",
        f"The moods of {found.cases} short messages, a third of each label, in the words of other people; of noisy "
        f"rows {percent(found.noise)} have another label. Passes over the rows: {found.passes}; a batch of four, one "
        "seed; "
        f"learning rates {LR[CLEAN]:g} for adapters and {LR[WHOLE]:g} for all weights. Passages and questions are the "
        "demo's general units, for what was kept. `at least` is the lower 95 % bound of adherence.", "",
        "![right answers and what was kept, by the number of rows](rows.svg)", "", "## How", "", made, "",
    ])  # fmt: skip


def findings(found: Measured) -> Iterator[str]:
    """What the table comes to."""
    by = {(each.way, each.rows): each for each in found.trained}
    sizes = sorted({each.rows for each in found.trained})
    for size in sizes:
        clean, noisy = by[CLEAN, size].answered.right, by[NOISY, size].answered.right
        yield f"{size:,} rows: {percent(clean)} right of clean ones, {percent(noisy)} of noisy ones."
    largest = max(sizes)
    lora, whole = by[CLEAN, largest], by[WHOLE, largest]
    yield (
        f"All weights on {largest:,} rows: {percent(whole.answered.right)} right in {whole.minutes:.1f} minutes, "
        f"{whole.peak:,.0f} MB of memory and {whole.size:,.0f} MB on disk, against {percent(lora.answered.right)}, "
        f"{lora.minutes:.1f}, {lora.peak:,.0f} and {lora.size:,.0f} for an adapter."
    )


def _base(rung: str, each: Answered, cases: int) -> list[str]:
    return [f"the base, {rung}", "", *_answered(each, cases), "", "", ""]


def _trained(found: Measured) -> Iterator[list[str]]:
    for each in sorted(found.trained, key=lambda one: list(LR).index(one.way)):
        cells = _answered(each.answered, found.cases)
        yield [each.way, f"{each.rows:,}", *cells, f"{each.minutes:.1f}", f"{each.peak:,.0f}", f"{each.size:,.0f}"]


def _answered(each: Answered, cases: int) -> list[str]:
    kept = [f"{each.kept[name]:.3f}" if name in each.kept else "" for name in KEPT]
    return [percent(each.right), percent(each.fitting), percent(at_least(each.fitting, cases)), *kept]


def main(
    sizes: Annotated[list[int], typer.Option(min=10, help="Rows, a training each way for each.")] = [100, 300, 1000],  # noqa: B006
    cases: Annotated[int, typer.Option(min=3, help="Messages that no training sees.")] = 450,
    kept: Annotated[int, typer.Option(min=1, help="General passages, and general questions.")] = 24,
    noise: Annotated[float, typer.Option(min=0, max=1, help="Share of the noisy rows with another label.")] = 0.3,
    passes: Annotated[int, typer.Option(min=1, help="Over the rows.")] = 2,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where rows.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Train on few and many rows, clean and noisy, an adapter and all weights, and write rows.md."""
    command = f"python benchmarks/rows.py {' '.join(f'--sizes {size}' for size in sizes)} --cases {cases}"
    command += f" --kept {kept} --noise {noise:g} --passes {passes} --model {model}"
    out.mkdir(parents=True, exist_ok=True)

    def drawn(watch: Watch) -> Measured:
        found = measure(model, sizes, cases, kept, noise, passes, watch)
        points = [(each.way, each.rows, each.answered.right, each.answered.kept) for each in found.trained]
        draw(points, out / "rows.svg")
        return found

    carry_out(out / "rows.md", command, LIBRARIES, drawn, report, lambda _: ())


if __name__ == "__main__":
    typer.run(main)
