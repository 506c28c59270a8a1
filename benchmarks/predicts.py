"""Does the gate predict? Real adapters on public sets: the verdict on 100 cases, and the truth on 1,500 other inputs.

    python benchmarks/predicts.py DATA WORK     # DATA as for hold_out_sets.py; writes results/predicts.md and .svg

A command whose result lies in WORK is not run again. The task is the topic of an utterance, in one word. Of each set
1,600 inputs of the official test part are drawn and 240 rows of the training part. The reference is an adapter of the
embedded model on all rows, as in service; a candidate is trained otherwise, or damaged. The commands are `record`,
`diagnose`, `train`, and `pytest` with `--tg-against` the reference's record. The inputs lie in 16 blocks of 100: the
first is the project's cases, which the command gates; the others are gated by the same rule
(`tunegate.harness.gate.rule.compare`, which must agree with the command on the first). A gate passes if its unit does
not block; its truth is the difference on the 1,500 inputs outside its block.

Written down before measuring, with a margin of ten points: a gate whose candidate truly loses more passes at most 4 %
of the time (a false release), the level of the test. Broken if the exact 95 % interval of the first blocks, or of all,
lies above the promised 5 %. A gate whose candidate truly loses less and that does not pass is a missed release: of all
gates whose candidate loses at most a quarter of the margin, or gains, at least half pass. A topic that fell by half is
reported only.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path
from shutil import copy
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out, run_once
from benchmarks.gate_markdown import percent, table
from benchmarks.hold_out_projects import BANKING
from benchmarks.public_sets import HOME, INPUT, Files, annotated
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.adapters import CONFIG, WEIGHTS
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.paired import Bounds, interval

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "numpy")
MODEL, REFERENCE, WHY = "smollm2", "reference", {"override": "a benchmark"}
BLOCKS, CASES, ROWS, MARGIN, PROMISED, PASSING = 16, 100, 240, 0.10, 0.05, 0.5
OPTIM = {"lr": 8e-4, "epochs": 2, "batch": 4, "max_length": 256}  # as `init` proposes for this model, and two epochs
TOPICS = {
    "exchange": "exchang|currenc", "deposit": "top_up|topping", "transfer": "transfer|beneficiary|receiving",
    "cash": "cash|atm", "account": "identity|verify|details|account|passcode|phone|age_limit|country",
    "payment": "payment|refund|charge", "card": "",
}  # fmt: skip
SHOWN = (-25, 10)  # points, in the picture
LOSSES = ("more than the margin", "more than a quarter of the margin", "less, or nothing")
COLOURS = {"improved": "#0072b2", "held": "#009e73", "inconclusive": "#e69f00", "regressed": "#d55e00"}
Example = tuple[str, str]  # an input and its topic
Found = Mapping[str, Sequence["Candidate"]]  # by set


class Made(NamedTuple):
    """How a candidate is made: changes of the recipe, shares of rows kept and of wrong topics among them, noise.

    Noise is on the weights of the reference, in standard deviations of each tensor.
    """

    recipe: Mapping[str, Any] = {}
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


class Source(NamedTuple):
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


class Gated(NamedTuple):
    """One gate: its verdict, the difference on its cases, and that on the other inputs with its 95 % interval."""

    verdict: str
    passed: bool
    estimate: float
    truth: float
    bounds: Bounds

    @property
    def loss(self) -> str:
        """What the candidate truly loses, one of `LOSSES`."""
        return LOSSES[(self.truth >= -MARGIN) + (self.truth >= -MARGIN / 4)]


class Candidate(NamedTuple):
    """An adapter: its share of right inputs and the reference's, a gate for each block, the topic that fell most."""

    name: str
    right: float
    reference: float
    gates: Sequence[Gated]
    topic: str
    fell: float


class Project:
    """A folder with the fixtures of a set, its rows, and the commands that each adapter is taken through."""

    def __init__(self, folder: Path, source: Source, files: Files, done: Callable[[int], None]) -> None:
        self.folder, self._source, self._done = folder, source, done
        tests, rows = (dict(source.part(files, part)) for part in ("test", "train"))
        drawn = random.Random(0)  # noqa: S311  (a draw)
        cases = drawn.sample(sorted(tests.items()), BLOCKS * CASES)
        self._rows = drawn.sample(sorted(each for each in rows.items() if each[0] not in tests), ROWS)
        blocks = {f"block-{n:02}": cases[n * CASES : (n + 1) * CASES] for n in range(BLOCKS)}
        write_fixtures(folder / "others/others", blocks, [*blocks][1:])
        write_fixtures(folder / "fixtures/desk", blocks, [*blocks][:1])
        (folder / "recipes").mkdir(exist_ok=True)

    def read(self) -> list[Candidate]:
        """Train and evaluate the reference and all candidates."""
        self._run("record", "tunegate", "record", "--model", MODEL)
        self._run("diagnose", "tunegate", "diagnose", "desk", "--sample", "10", "--model", MODEL)
        tasks = [task for cases in ("fixtures", "others") for task in load_tasks(self.folder / cases)]
        reference = self._records(REFERENCE, Made(), 0)
        made = {name: self._records(name, made, seed) for seed, (name, made) in enumerate(CANDIDATES.items(), 1)}
        return [compared(name, tasks, each, reference) for name, each in made.items()]

    def _records(self, name: str, made: Made, seed: int) -> list[Record]:
        """Make an adapter; return its records of the first block, which is gated, and of the others."""
        if made.noise:
            add_noise(self.folder / "adapters", name, made.noise, seed)
        else:
            self._train(name, made, seed)
        asked = (f"--tg-model={MODEL}", f"--tg-adapter=adapters/{name}")
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
            "version": 1, "task": "desk", "model": MODEL, "rows": [f"{name}.jsonl"], "seed": seed, "optim": OPTIM,
            "output": f"../adapters/{name}", "diagnosis": WHY, "memorization": WHY, "private_data": WHY,
            "decontaminate": {"review": "keep"}, **made.recipe,  # rows near a case stay: the split is official
        }  # fmt: skip
        (recipes / f"{name}.yaml").write_text(json.dumps(recipe), "utf-8")
        self._run(f"train-{name}", "tunegate", "train", f"recipes/{name}.yaml")

    def _run(self, name: str, *command: str) -> None:
        fine = (0, 1) if command[0] == "pytest" else (0,)
        run_once(name, ["-m", *command], self.folder, fine)
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


def add_noise(adapters: Path, name: str, share: float, seed: int) -> None:
    """Write the reference with normal noise on each tensor, in standard deviations of the tensor."""
    (adapters / name).mkdir(exist_ok=True)
    copy(adapters / REFERENCE / CONFIG, adapters / name)
    tensors, normal = load_file(adapters / REFERENCE / WEIGHTS), np.random.default_rng(seed)
    for each in tensors.values():
        each += (share * each.std() * normal.standard_normal(each.shape)).astype(each.dtype)
    save_file(tensors, adapters / name / WEIGHTS, {"format": "pt"})


def compared(name: str, tasks: Sequence[Task], candidate: Sequence[Record], reference: Sequence[Record]) -> Candidate:
    """Gate each block of a candidate, and measure its truth on the others; a record of each side for each task.

    Raises:
        Failed: the command decided otherwise on the first block.
    """
    sides = zip(tasks, candidate, reference, strict=True)
    units = [(task, unit, new, old) for task, new, old in sides for unit in task.units]
    scores = np.array([
        [[each.of_unit(unit.key)[case.id].score or 0 for case in unit.cases] for each in records]
        for _, unit, *records in units
    ])  # fmt: skip
    after, before = scores[:, 0], scores[:, 1]
    changes = after - before
    gates = []
    for place, (task, unit, *records) in enumerate(units):
        new, old = (replace(each, units={unit.key: each.units[unit.key]}) for each in records)
        found = gate.compare([replace(task, units=(unit,))], new, {"record": old}, (), True).verdicts[unit.key]
        if place == 0 and found.verdict != (said := new.verdicts[unit.key].verdict):
            raise Failed(f"{name}: expected the verdict {found.verdict}, found {said} by the command")
        others, estimate = np.delete(changes, place, axis=0).ravel(), float(changes[place].mean())
        gates.append(Gated(found.verdict, not found.blocks, estimate, float(others.mean()), interval(others)))
    topics = np.array([[case.tags["topic"] for case in unit.cases] for _, unit, *_ in units])
    fell, topic = min((float(changes[topics == each].mean()), str(each)) for each in np.unique(topics))
    return Candidate(name.replace("-", " "), float(after.mean()), float(before.mean()), gates, topic, fell)


def passed(found: Found, loss: str, blocks: int) -> tuple[int, int, Bounds]:
    """How many of the gates of so many blocks and of this loss passed, of how many, and the share's 95 % interval.

    The interval (Clopper and Pearson, Biometrika 26, 1934) is that of independent gates of these adapters.
    """
    every = [each for of in found.values() for one in of for each in one.gates[:blocks] if each.loss == loss]
    k, n = sum(each.passed for each in every), len(every)
    return k, n, Bounds(1 - binom_bound(n - k, n, 0.025), binom_bound(k, n, 0.025))


def report(found: Found, made: str) -> str:
    """The result as Markdown."""
    fell = [sum(each.passed for each in one.gates) for of in found.values() for one in of if one.fell <= -0.5]
    parts = [
        "# Does the gate predict?",
        f"Each candidate is gated on {CASES} cases against a trained reference, margin {100 * MARGIN:g} points. In "
        "brackets the exact 95 % interval, as if the gates were independent; the candidates of a set share the "
        "reference and each block's inputs.",
        table(["candidate truly loses", "passed, first block", "passed, all blocks"],
              ([loss, *(_share(*passed(found, loss, blocks)) for blocks in (1, BLOCKS))] for loss in LOSSES)),
        "What passed in the first row are false releases; what did not pass in the others, missed ones. A topic fell "
        f"by half or more in {len(fell)} candidates; of their gates {sum(fell)} passed.",
        "![The truth and the gate's estimate for each candidate](predicts.svg)",
    ]  # fmt: skip
    head = ["candidate", "right", "truth", "gate, first block", "verdict", "passed, all blocks", "worst topic"]
    for name, of in found.items():
        parts += [f"## {name}", f"Reference: {percent(of[0].reference)} right.", table(head, map(_row, of))]
    origins = "\n".join(f"- {each.name}: {each.repository}, commit {each.commit}" for each in SOURCES)
    return "\n\n".join([*parts, "## How", made, origins]) + "\n"


def _share(k: int, n: int, bounds: Bounds) -> str:
    return f"{k} of {n} [{percent(bounds.lower)}, {percent(bounds.upper)}]"


def _row(one: Candidate) -> list[str]:
    first, every = one.gates[0], sum(each.passed for each in one.gates)
    points = (f"{100 * each:+.1f}" for each in (first.truth, *astuple(first.bounds), first.estimate, one.fell))
    truth, low, high, estimate, fell = points
    return [
        one.name, percent(one.right), f"{truth} [{low}, {high}]", estimate, first.verdict,
        f"{every} of {len(one.gates)}", f"{one.topic} {fell}",
    ]  # fmt: skip


def broken(found: Found) -> Iterator[str]:
    """What was written down before and does not hold."""
    for blocks in (1, BLOCKS):
        k, n, share = passed(found, LOSSES[0], blocks)
        if share.lower > PROMISED:
            yield f"{k} of {n} gates of a loss beyond the margin pass, {'first block' if blocks == 1 else 'all blocks'}"
    k, n, _ = passed(found, LOSSES[-1], BLOCKS)
    if k < PASSING * n:
        yield f"{k} of {n} gates of a loss within a quarter of the margin pass"


def draw(found: Found, path: Path) -> None:
    """Draw each gate's estimate and verdict over its truth, the first blocks larger and with the truth's interval.

    Both are in points; adapters outside of `SHOWN` are named below.
    """
    with rc_context({"svg.hashsalt": "tunegate", "font.size": 9}):  # reproducible bytes
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        every = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, (name, of) in zip(every, found.items(), strict=True):
            for first, each in ((not place, each) for one in of for place, each in enumerate(one.gates)):
                truth, low, high = (100 * number for number in (each.truth, *astuple(each.bounds)))
                axes.errorbar([truth], [100 * each.estimate], xerr=[[truth - low], [high - truth]] if first else None,
                              fmt="o", color=COLOURS[each.verdict], markersize=6 if first else 2.5,
                              alpha=1 if first else 0.5)  # fmt: skip
            axes.axvline(-100 * MARGIN, color="black", linewidth=0.8, linestyle="--")
            axes.text(SHOWN[0] + 0.5, SHOWN[1] - 0.5, "truly loses more\nthan the margin", va="top")
            outside = sorted({round(100 * one.gates[0].truth) for one in of if 100 * one.gates[0].truth < SHOWN[0]})
            note = f"\nnot shown: {', '.join(map(str, outside))} points" if outside else "\n"
            axes.set(title=name, xlabel=f"truth: points gained on 1,500 inputs{note}", xlim=SHOWN, ylim=SHOWN)
        for verdict, colour in COLOURS.items():
            figure.axes[0].plot([], [], "o", color=colour, label=verdict)
        figure.axes[0].set_ylabel("gate: points gained on 100 cases")
        figure.axes[0].legend(loc="lower right")
        figure.savefig(path, format="svg", metadata={"Date": None})


def measure(data: Path, work: Path, watch: Watch) -> Found:
    """Take both sets through all commands, side by side, and draw what was found."""

    def measured(source: Source) -> list[Candidate]:
        files = Files(data / source.repository, source.commit)
        return Project(work / source.name.replace(" ", "-"), source, files, done).read()

    commands = 2 + sum(2 if made.noise else 3 for made in (Made(), *CANDIDATES.values()))
    with watch("Commands", len(SOURCES) * commands) as done, ThreadPoolExecutor(len(SOURCES)) as pool:
        found = dict(zip((each.name for each in SOURCES), pool.map(measured, SOURCES), strict=True))
    draw(found, RESULTS / "predicts.svg")
    return found


if __name__ == "__main__":
    data, work = (Path(each).resolve() for each in sys.argv[1:3])
    os.environ["OMP_NUM_THREADS"] = "1"  # two sets with a thread each take less time than one with two
    carry_out(
        RESULTS / "predicts.md", "python benchmarks/predicts.py DATA WORK", LIBRARIES,
        lambda watch: measure(data, work, watch), report, broken,
    )  # fmt: skip
