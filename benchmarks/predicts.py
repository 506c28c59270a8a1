"""Does the gate predict? Real adapters on public sets: the verdict on 100 cases, and the truth on 1,500 other inputs.

    git clone --bare https://github.com/PolyAI-LDN/task-specific-datasets DATA/task-specific-datasets
    git clone --bare https://github.com/xliuhw/NLU-Evaluation-Data DATA/NLU-Evaluation-Data
    python benchmarks/predicts.py DATA WORK     # writes results/predicts.md and .svg; a command is run once per WORK

The task is the topic of an utterance, in one word. Of each set 1,600 inputs of the official test part are drawn and 240
rows of the training part. The reference is an adapter of the embedded model on all rows, as in service; each candidate
is trained otherwise, or damaged. The commands are `record`, `train`, and `pytest` with `--tg-against` the reference's
record. The inputs lie in 16 blocks of 100. The first is the project's cases, which the command gates. Each other block
is gated by the same rule (`tunegate.harness.gate.rule.compare`, which must agree with the command on the first block).
A gate passes if its unit does not block; its truth is the difference on the 1,500 inputs outside its block.

Written down before measuring, with a margin of ten points: a gate whose candidate truly loses more passes at most 4 %
of the time (a false release), the level of the test; broken if the 95 % interval lies above the promised 5 %, of the
first blocks (exact) or of all (bootstrap over adapters). Of the gates of all blocks whose candidate truly loses at most
half of the margin, or gains, at least half pass; the others are missed releases. A topic that fell by half is reported
only: no mean promises anything about it.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out, run_once
from benchmarks.gate_markdown import percent, table
from benchmarks.hold_out_projects import BANKING
from benchmarks.public_sets import HOME, INPUT, Files, annotated
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.gate import rule as gate
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.paired import Bounds, interval

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "numpy")
REFERENCE, WHY = "reference", {"override": "a benchmark"}
BLOCKS, CASES, ROWS, MARGIN, PROMISED, PASSING = 16, 100, 240, 0.10, 0.05, 0.5
OPTIM = {"lr": 8e-4, "epochs": 2, "batch": 4, "max_length": 256}  # as `init` proposes for this model, and two epochs
TOPICS = {
    "exchange": "exchang|currenc", "deposit": "top_up|topping", "transfer": "transfer|beneficiary|receiving",
    "cash": "cash|atm", "account": "identity|verify|details|account|passcode|phone|age_limit|country",
    "payment": "payment|refund|charge", "card": "",
}  # fmt: skip
COLOURS = {"improved": "#0072b2", "held": "#009e73", "inconclusive": "#e69f00", "regressed": "#d55e00"}
Example = tuple[str, str]  # an input and its topic


@dataclass(frozen=True)
class Made:
    """How a candidate is made: what its recipe and rows differ in, or the noise on the weights of the reference.

    `rows` and `wrong` are shares: of the rows, and of those the ones with another topic. `noise` is in standard
    deviations of each tensor.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    rows: float = 1.0
    wrong: float = 0.0
    without_topic: bool = False
    noise: float = 0.0


CANDIDATES = {
    "seed-1": Made(), "seed-2": Made(), "one-epoch": Made({"optim": OPTIM | {"epochs": 1}}),
    "half-of-the-rows": Made(rows=0.5), "quarter-of-the-rows": Made(rows=0.25),
    "rank-2": Made({"lora": {"r": 2, "alpha": 4}}), "learning-rate-times-5": Made({"optim": OPTIM | {"lr": 4e-3}}),
    "labels-10-%-wrong": Made(wrong=0.1), "labels-20-%-wrong": Made(wrong=0.2), "labels-30-%-wrong": Made(wrong=0.3),
    "without-a-topic": Made(without_topic=True), "noise-0.5": Made(noise=0.5), "noise-1": Made(noise=1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A set: where it is, how a part of it is read, and the topic that one candidate's rows lack."""

    name: str
    repository: str
    commit: str
    part: Callable[[Files, str], Iterator[Example]]
    missing: str


def banking(files: Files, part: str) -> Iterator[Example]:
    """Questions to a bank; the topic is the first whose pattern is in the name of the intent."""
    for row in csv.DictReader(io.StringIO(files.text(f"banking_data/{part}.csv"))):
        yield row["text"].strip(), next(topic for topic, of in TOPICS.items() if re.search(of, row["category"]))


def home(files: Files, part: str) -> Iterator[Example]:
    """Utterances to an assistant at home, with their scenario; the first two of ten folds are the test part."""
    for row in annotated(files, [1, 2] if part == "test" else range(3, 11)):
        yield row[INPUT].strip(), row["intent"].partition("_")[0]


SOURCES = (
    Source("Banking77", "task-specific-datasets", BANKING, banking, "exchange"),
    Source("home assistant", "NLU-Evaluation-Data", HOME, home, "transport"),
)


@dataclass(frozen=True)
class Gated:
    """One gate: its verdict, the difference on its cases, and that on the other inputs with its 95 % interval."""

    verdict: str
    passed: bool
    estimate: float
    truth: float
    bounds: Bounds


@dataclass(frozen=True)
class Candidate:
    """An adapter: the share of all inputs that is right, a gate for each block, and the topic that fell most."""

    name: str
    right: float
    gates: Sequence[Gated]
    topic: str
    fell: float


@dataclass(frozen=True)
class Found:
    """A set: the digest of its files, the reference's share of right inputs, and the candidates."""

    name: str
    digest: str
    reference: float
    candidates: Sequence[Candidate]


class Project:
    """A folder with the fixtures of a set, its rows, and the commands that each adapter is taken through."""

    def __init__(self, folder: Path, source: Source, files: Files, model: str, done: Callable[[int], None]) -> None:
        self.folder, self._source, self._model, self._done = folder, source, model, done
        tests, rows = (dict(source.part(files, part)) for part in ("test", "train"))
        drawn = random.Random(0)  # noqa: S311  (a draw)
        cases = drawn.sample(sorted(tests.items()), BLOCKS * CASES)
        self._rows = drawn.sample(sorted(each for each in rows.items() if each[0] not in tests), ROWS)
        blocks = {f"block-{n:02}": cases[n * CASES : (n + 1) * CASES] for n in range(BLOCKS)}
        write_fixtures(folder / "others/others", blocks, [*blocks][1:])
        write_fixtures(folder / "fixtures/desk", blocks, [*blocks][:1])
        (folder / "recipes").mkdir(exist_ok=True)

    def read(self) -> tuple[float, list[Candidate]]:
        """Train and evaluate the reference and all candidates."""
        self._run("record", "tunegate", "record", "--model", self._model)
        self._run("diagnose", "tunegate", "diagnose", "desk", "--sample", "10", "--model", self._model)
        tasks = [task for cases in ("fixtures", "others") for task in load_tasks(self.folder / cases)]
        reference = self._records(REFERENCE, Made(), 0)
        made = {name: self._records(name, made, seed) for seed, (name, made) in enumerate(CANDIDATES.items(), 1)}
        return right(reference), [compared(name, tasks, each, reference) for name, each in made.items()]

    def _records(self, name: str, made: Made, seed: int) -> list[Record]:
        """Make an adapter; return its records of the first block, which is gated, and of the others."""
        if made.noise:
            add_noise(self.folder / "adapters" / REFERENCE, self.folder / "adapters" / name, made.noise, seed)
        else:
            self._train(name, made, seed)
        asked = (f"--tg-model={self._model}", f"--tg-adapter=adapters/{name}")
        against = () if name == REFERENCE else (f"--tg-against={REFERENCE}.json",)
        self._run(f"gate-{name}", "pytest", "fixtures/", *asked, *against, f"--tg-out={name}.json")
        others = ("others/", "--tg-cases=others", f"--tg-out={name}-others.json")
        self._run(f"truth-{name}", "pytest", *others, *asked)
        return [read_record(self.folder / f"{name}{which}.json") for which in ("", "-others")]

    def _train(self, name: str, made: Made, seed: int) -> None:
        recipes, rows = self.folder / "recipes", made_rows(self._rows, made, self._source.missing, seed)
        lines = [json.dumps({"input": text, "output": topic}) + "\n" for text, topic in rows]
        (recipes / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        recipe = {
            "version": 1, "task": "desk", "model": self._model, "rows": [f"{name}.jsonl"], "seed": seed, "optim": OPTIM,
            "output": f"../adapters/{name}", "diagnosis": WHY, "memorization": WHY, "private_data": WHY,
            "decontaminate": {"review": "keep"}, **made.recipe,  # rows near a case stay: the split is official
        }  # fmt: skip
        (recipes / f"{name}.yaml").write_text(json.dumps(recipe), "utf-8")
        self._run(f"train-{name}", "tunegate", "train", f"recipes/{name}.yaml")

    def _run(self, name: str, *command: str) -> None:
        fine = (0, 1) if command[0] == "pytest" else (0,)
        # two sets with a thread each take less time than one with two
        run_once(name, ["-m", *command], self.folder, fine, OMP_NUM_THREADS="1")
        self._done(1)


def write_fixtures(folder: Path, blocks: Mapping[str, Sequence[Example]], names: Sequence[str]) -> None:
    """Write a task with a unit for each of these blocks, its cases tagged with their topics."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        unit = {
            "version": 1, "suite": "retention", "unit": name, "prompt": {"system": "Topic?", "template": "{input}"},
            "check": {"measure": "questions"}, "generate": {"max_new_tokens": 4},
            "cases": [{"id": f"c{place}", "input": text, "expect": {"answer": [topic]}, "tags": {"topic": topic}}
                      for place, (text, topic) in enumerate(blocks[name])],
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(json.dumps(unit), "utf-8")
    units = {name: {"role": "target", "margin": MARGIN, "reason": "a benchmark"} for name in names}
    (folder / "task.yaml").write_text(json.dumps({"version": 1, "units": units}), "utf-8")


def made_rows(rows: Sequence[Example], made: Made, missing: str, seed: int) -> list[Example]:
    """Return the rows of a candidate; wrong topics are drawn from the others."""
    topics = sorted({topic for _, topic in rows})
    kept = [each for each in rows[: round(made.rows * len(rows))] if not made.without_topic or each[1] != missing]
    drawn = random.Random(seed)  # noqa: S311  (a draw)
    for place in drawn.sample(range(len(kept)), round(made.wrong * len(kept))):
        text, topic = kept[place]
        kept[place] = text, drawn.choice([each for each in topics if each != topic])
    return kept


def add_noise(adapter: Path, noisy: Path, share: float, seed: int) -> None:
    """Write the adapter with normal noise on each tensor, in standard deviations of the tensor."""
    from safetensors.numpy import load_file, save_file

    weights, config, normal = "adapter_model.safetensors", "adapter_config.json", np.random.default_rng(seed)
    noisy.mkdir(exist_ok=True)
    tensors = {
        name: each + (share * each.std() * normal.standard_normal(each.shape)).astype(each.dtype)
        for name, each in load_file(adapter / weights).items()
    }
    save_file(tensors, noisy / weights, {"format": "pt"})
    (noisy / config).write_bytes((adapter / config).read_bytes())


def compared(name: str, tasks: Sequence[Task], candidate: Sequence[Record], reference: Sequence[Record]) -> Candidate:
    """Gate each block of a candidate, and measure its truth on the others; a record of each side for each task.

    Raises:
        Failed: the command decided otherwise on the first block.
    """
    sides = zip(tasks, candidate, reference, strict=True)
    units = [(task, unit, new, old) for task, new, old in sides for unit in task.units]
    changes = [
        np.array([(new.of_unit(unit.key)[case.id].score or 0) - (old.of_unit(unit.key)[case.id].score or 0)
                  for case in unit.cases]) for _, unit, new, old in units
    ]  # fmt: skip
    gates = []
    for place, (task, unit, *records) in enumerate(units):
        new, old = (replace(each, units={unit.key: each.units[unit.key]}) for each in records)
        found = gate.compare([replace(task, units=(unit,))], new, {"record": old}, (), True).verdicts[unit.key]
        if place == 0 and found["verdict"] != (said := new.verdicts[unit.key]["verdict"]):
            raise Failed(f"{name}: expected the verdict {found['verdict']}, found {said} by the command")
        others, estimate = np.concatenate(changes[:place] + changes[place + 1 :]), float(changes[place].mean())
        gates.append(Gated(found["verdict"], not found["blocks"], estimate, float(others.mean()), interval(others)))
    topics = np.array([case.tags["topic"] for _, unit, *_ in units for case in unit.cases])
    fell, topic = min((float(np.concatenate(changes)[topics == each].mean()), str(each)) for each in np.unique(topics))
    return Candidate(name.replace("-", " "), right(candidate), gates, topic, fell)


def right(records: Sequence[Record]) -> float:
    """The share of all inputs that is right."""
    return float(np.mean([each.score or 0 for record in records for each in record.cases.values()]))


#: The gates by what the candidate truly loses.
LOSSES: dict[str, Callable[[Gated], bool]] = {
    "more than the margin": lambda each: each.truth < -MARGIN,
    "more than half of the margin": lambda each: -MARGIN <= each.truth < -MARGIN / 2,
    "less, or nothing": lambda each: each.truth >= -MARGIN / 2,
}
LOST, _, FINE = LOSSES


def passed(found: Sequence[Found], loss: str, blocks: int) -> tuple[int, int, Bounds]:
    """How many of the gates of so many blocks and of this loss passed, of how many, and the share's 95 % interval.

    It is exact for one block (Clopper and Pearson, Biometrika 26, 1934), otherwise the bootstrap's over adapters.
    """
    adapters = [
        [each.passed for each in one.gates[:blocks] if LOSSES[loss](each)] for of in found for one in of.candidates
    ]
    counts = np.array([(sum(each), len(each)) for each in adapters if each]).reshape(-1, 2)
    k, n = map(int, counts.sum(axis=0))
    if blocks == 1 or not n:
        return k, n, Bounds(1 - binom_bound(n - k, n, 0.025), binom_bound(k, n, 0.025))
    drawn = counts[np.random.default_rng(0).integers(len(counts), size=(10_000, len(counts)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return k, n, Bounds(float(low), float(high))


def report(found: Sequence[Found], made: str) -> str:
    """The result as Markdown."""
    every = [one for of in found for one in of.candidates]
    torn = sum(each.bounds.lower < -MARGIN < each.bounds.upper for one in every for each in one.gates)
    fell = [one for one in every if one.fell <= -0.5]
    parts = [
        "# Does the gate predict?",
        f"Each candidate is gated on {CASES} cases against a trained reference, margin {100 * MARGIN:g} points. In "
        "brackets the 95 % interval: exact for the first block, by bootstrap over adapters for all. The candidates of "
        "a set share the reference and the cases.",
        table(["candidate truly loses", "passed, first block", "passed, all blocks"],
              ([loss, *(_passed(found, loss, blocks) for blocks in (1, BLOCKS))] for loss in LOSSES)),
        "What passed in the first row are false releases; what did not pass in the last, missed ones. The truth's own "
        f"interval contains the margin in {torn} gates. In {len(fell)} candidates a topic fell by half or more; "
        f"{sum(each.passed for one in fell for each in one.gates)} of their gates passed.",
        "![The truth and the gate's estimate for each candidate](predicts.svg)",
    ]  # fmt: skip
    head = ["candidate", "right", "truth", "gate, first block", "verdict", "passed, all blocks", "worst topic"]
    for of in found:
        parts += [f"## {of.name}", f"Reference: {percent(of.reference)} right.", table(head, map(_row, of.candidates))]
    files = "\n".join(f"- {of.name}: SHA-256 of the files that are read {of.digest}" for of in found)
    return "\n\n".join([*parts, "## How", made, files]) + "\n"


def _passed(found: Sequence[Found], loss: str, blocks: int) -> str:
    k, n, share = passed(found, loss, blocks)
    return f"{k} of {n} [{percent(share.lower)}, {percent(share.upper)}]"


def _row(one: Candidate) -> list[str]:
    first, every = one.gates[0], sum(each.passed for each in one.gates)
    change, low, high, estimate, fell = (
        f"{100 * each:+.1f}" for each in (first.truth, first.bounds.lower, first.bounds.upper, first.estimate, one.fell)
    )
    truth, all_blocks = f"{change} [{low}, {high}]", f"{every} of {len(one.gates)}"
    return [one.name, percent(one.right), truth, estimate, first.verdict, all_blocks, f"{one.topic} {fell}"]


def broken(found: Sequence[Found]) -> Iterator[str]:
    """What was written down before and does not hold."""
    for blocks in (1, BLOCKS):
        k, n, share = passed(found, LOST, blocks)
        if share.lower > PROMISED:
            yield f"{k} of {n} gates of a loss beyond the margin pass, with {blocks} blocks"
    k, n, _ = passed(found, FINE, BLOCKS)
    if k < PASSING * n:
        yield f"{k} of {n} gates of a loss within half of the margin pass"


def draw(found: Sequence[Found], path: Path) -> None:
    """Draw each gate's estimate and verdict over its truth, the first blocks larger and with the truth's interval."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "tunegate", "font.size": 9}):  # reproducible bytes
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        for axes, of in zip(figure.subplots(1, len(found), sharey=True, squeeze=False)[0], found, strict=True):
            for one in of.candidates:
                for place, each in enumerate(one.gates):
                    first, x = not place, 100 * each.truth
                    ends = [[x - 100 * each.bounds.lower], [100 * each.bounds.upper - x]] if first else None
                    axes.errorbar([x], [100 * each.estimate], xerr=ends, fmt="o", color=COLOURS[each.verdict],
                                  markersize=6 if first else 2, alpha=1 if first else 0.4)  # fmt: skip
            axes.axvline(-100 * MARGIN, color="black", linewidth=0.8, linestyle="--")
            axes.set(title=of.name, xlabel="truth: difference on 1,500 inputs, points")
        figure.axes[0].set_ylabel("gate: difference on 100 cases, points")
        for verdict, colour in COLOURS.items():
            figure.axes[0].plot([], [], "o", color=colour, label=verdict)
        figure.axes[0].legend()
        figure.savefig(path, format="svg", metadata={"Date": None})


def measure(data: Path, work: Path, model: str, watch: Watch) -> list[Found]:
    """Take both sets through all commands, side by side."""
    commands = 2 + sum(2 if made.noise else 3 for made in (Made(), *CANDIDATES.values()))
    with watch("Commands", len(SOURCES) * commands) as done, ThreadPoolExecutor(len(SOURCES)) as pool:
        return list(pool.map(partial(_measured, data, work, model, done), SOURCES))


def _measured(data: Path, work: Path, model: str, done: Callable[[int], None], source: Source) -> Found:
    files = Files(data / source.repository, source.commit)
    reference, candidates = Project(work / source.name.replace(" ", "-"), source, files, model, done).read()
    return Found(source.name, files.digest, reference, candidates)


def main(
    data: Annotated[Path, typer.Argument(help="Folder of the clones.", exists=True, resolve_path=True)],
    work: Annotated[Path, typer.Argument(help="Folder of what is kept between runs.", resolve_path=True)],
    model: Annotated[str, typer.Option(help="The base model.")] = "smollm2",
    out: Annotated[Path, typer.Option("--out", help="Where it goes.", metavar="DIR")] = RESULTS,
) -> None:
    """See the module."""

    def drawn(watch: Watch) -> list[Found]:
        found = measure(data, work, model, watch)
        draw(found, out / "predicts.svg")
        return found

    carry_out(out / "predicts.md", "python benchmarks/predicts.py DATA WORK", LIBRARIES, drawn, report, broken)


if __name__ == "__main__":
    main.__doc__ = __doc__
    typer.run(main)
